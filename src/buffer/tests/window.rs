//! The duplicate window: what is stored is not stored again when its sender missed the answer, and only then.

use sdk::event::{DIGEST_LEN, Fingerprint, Group, Piece, Session};

use super::*;

const WINDOW: Duration = Duration::from_mins(10);

/// A message of these numbers over a connection; equal numbers make an equal message.
fn message(session: &mut Session, numbers: std::ops::Range<u32>) -> (Batch, Receipt) {
    let mut digest = [0; DIGEST_LEN];
    digest[..4].copy_from_slice(&numbers.start.to_be_bytes());
    let (mut batch, receipt) = batch("tag", numbers);
    batch.fingerprint = Some(session.next(digest, WINDOW));
    session.owe();
    (batch, receipt)
}

impl Rig {
    async fn send(&self, session: &mut Session, numbers: std::ops::Range<u32>) {
        let (batch, receipt) = message(session, numbers);
        self.admit(batch).await.unwrap();
        within(receipt).await.unwrap();
    }

    fn duplicates(&self) -> u64 {
        self.counter("weir_dropped_records_total{reason=\"duplicate\",intended=\"true\"}")
    }
}

fn both() -> [(BufferSettings, Option<TempDir>); 2] {
    let dir = tempfile::tempdir().unwrap();
    [
        (BufferSettings::memory(), None),
        (disk(dir.path()), Some(dir)),
    ]
}

#[tokio::test]
async fn a_message_whose_answer_was_missed_is_answered_again_and_stored_once() {
    for (settings, _dir) in both() {
        let rig = Rig::open(settings);
        let (mut lost, mut other) = (Session::new(), Session::new());
        rig.send(&mut lost, 0..3).await;
        drop(lost);
        rig.send(&mut other, 0..3).await;
        rig.send(&mut other, 3..4).await;
        assert_eq!(rig.duplicates(), 3);
        assert_eq!(rig.drain().await, [0, 1, 2, 3]);
        assert_eq!(rig.account.imbalance(), 0);
    }
}

#[tokio::test]
async fn equal_messages_are_stored_while_their_sender_can_be_answered_or_was() {
    for (settings, _dir) in both() {
        let rig = Rig::open(settings);
        let (mut one, mut two) = (Session::new(), Session::new());
        rig.send(&mut one, 0..1).await;
        rig.send(&mut one, 0..1).await;
        rig.send(&mut two, 0..1).await;
        let answers = one.answers();
        answers.written();
        answers.written();
        one.end_answered();
        drop(one);
        rig.send(&mut two, 0..1).await;
        assert_eq!(rig.duplicates(), 0);
        assert_eq!(rig.drain().await, [0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn each_missed_message_is_recognised_once() {
    let rig = Rig::open(BufferSettings::memory());
    let (mut lost, mut other) = (Session::new(), Session::new());
    rig.send(&mut lost, 0..1).await;
    rig.send(&mut lost, 0..1).await;
    drop(lost);
    for _ in 0..3 {
        rig.send(&mut other, 0..1).await;
    }
    assert_eq!(rig.duplicates(), 2);
    // The answers to the two, and to the third, may be missed again.
    drop(other);
    let mut again = Session::new();
    for _ in 0..4 {
        rig.send(&mut again, 0..1).await;
    }
    assert_eq!(rig.duplicates(), 5);
    assert_eq!(rig.drain().await, [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_message_that_comes_twice_into_one_buffer_is_stored_twice_though_its_sender_is_gone() {
    let rig = Rig::open(BufferSettings::memory());
    let mut lost = Session::new();
    let (first, one) = message(&mut lost, 0..1);
    let second = first.clone();
    drop(lost);
    rig.admit(first).await.unwrap();
    rig.admit(second).await.unwrap();
    within(one).await.unwrap();
    assert_eq!(rig.drain().await, [0, 0]);
}

#[tokio::test]
async fn the_copy_that_was_sent_first_may_be_stored_last() {
    let rig = Rig::open(BufferSettings::memory());
    let (mut lost, mut other) = (Session::new(), Session::new());
    let (late, receipt) = message(&mut lost, 0..1);
    drop(lost);
    rig.send(&mut other, 0..1).await;
    rig.admit(late).await.unwrap();
    within(receipt).await.unwrap();
    assert_eq!(rig.drain().await, [0]);
}

#[tokio::test]
async fn the_window_survives_a_kill_and_the_end_of_the_segment() {
    let dir = tempfile::tempdir().unwrap();
    let settings = BufferSettings {
        segment_bytes: 4 << 10,
        ..disk(dir.path())
    };
    let rig = Rig::open(settings.clone());
    let mut session = Session::new();
    for start in 0..400 {
        rig.send(&mut session, start..start + 1).await;
        let chunk = rig.take().await;
        rig.deliver(chunk);
    }
    let first = files::segment_path(dir.path(), 1);
    until("the first segment is gone", || !first.exists()).await;
    for _ in 0..2 {
        let killed = snapshot(dir.path());
        let rig = Rig::open(BufferSettings {
            segment_bytes: 4 << 10,
            ..disk(killed.path())
        });
        let mut again = Session::new();
        for start in (0..400).rev() {
            rig.send(&mut again, start..start + 1).await;
        }
        rig.send(&mut again, 7..8).await;
        assert_eq!(rig.duplicates(), 400);
        // What was not noted as done when the copy was made is delivered again.
        let left = rig.drain().await;
        assert_eq!(left.last(), Some(&7));
        assert_eq!(rig.account.imbalance(), 0);
    }
}

#[tokio::test]
async fn a_large_message_is_recognised_by_its_last_piece() {
    for (settings, _dir) in both() {
        let rig = Rig::open(settings);
        let send = async |session: &mut Session, at_once: bool| {
            let group = Group::next();
            let (mut last, receipt) = message(session, 20..30);
            let mut first = batch("tag", 0..20).0;
            first.due = last.due.clone();
            let piece = |last| Piece {
                group: Arc::clone(&group),
                last,
            };
            first.piece = Some(piece(false));
            last.piece = Some(piece(true));
            rig.admit(first).await.unwrap();
            if !at_once {
                until("the first piece is stored", || {
                    rig.buffer.0.shared.unpublished.load(Ordering::Acquire) == 0
                })
                .await;
            }
            rig.admit(last).await.unwrap();
            within(receipt).await.unwrap();
        };
        let mut lost = Session::new();
        send(&mut lost, true).await;
        drop(lost);
        let mut again = Session::new();
        send(&mut again, true).await;
        drop(again);
        send(&mut Session::new(), false).await;
        assert_eq!(rig.duplicates(), 60);
        assert_eq!(rig.drain().await, (0..30).collect::<Vec<_>>());
        assert_eq!(rig.account.imbalance(), 0);
    }
}

#[test]
fn a_fingerprint_can_be_told_from_another() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Fingerprint>();
    check::<Session>();
}

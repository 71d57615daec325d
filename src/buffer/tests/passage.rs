//! A buffer that promises nothing: the receipt is the destination's own acknowledgement.

use sdk::{
    event::{Group, Piece},
    obligation::Unmet,
};

use super::*;

fn settings() -> BufferSettings {
    BufferSettings {
        flush_interval: Duration::ZERO,
        ..BufferSettings::passage()
    }
}

#[tokio::test]
async fn a_receipt_comes_when_the_destination_took_everything() {
    let rig = Rig::open(settings());
    let (first, receipt) = batch("tag", 0..3);
    rig.admit(first).await.unwrap();
    let chunk = rig.take().await;
    assert!(!receipt.is_settled());
    // What comes back is tried again, and the sender still waits.
    drop(chunk);
    let chunk = rig.take().await;
    assert!(!receipt.is_settled());
    assert_eq!(rig.deliver(chunk), [0, 1, 2]);
    within(receipt).await.unwrap();
    assert_eq!(rig.account.imbalance(), 0);
}

#[tokio::test]
async fn what_is_not_delivered_before_the_end_is_not_acknowledged() {
    let rig = Rig::open(settings());
    let (left, receipt) = batch("tag", 0..3);
    rig.admit(left).await.unwrap();
    let chunk = rig.take().await;
    let account = rig.account.clone();
    rig.buffer.close();
    drop((chunk, rig));
    assert_eq!(within(receipt).await, Err(Unmet));
    assert_eq!((account.imbalance(), account.held_now()), (0, 0));
}

#[tokio::test]
async fn pieces_are_owed_until_all_of_them_are_delivered() {
    let rig = Rig::open(settings());
    let (whole, receipt) = batch("tag", 0..2);
    let group = Group::next();
    for last in [false, true] {
        let piece = Some(Piece {
            group: Arc::clone(&group),
            last,
        });
        let part = Batch {
            piece,
            ..whole.clone()
        };
        rig.admit(part).await.unwrap();
    }
    whole.due.meet();
    let chunk = rig.take().await;
    assert!(!receipt.is_settled());
    assert_eq!(rig.deliver(chunk), [0, 1, 0, 1]);
    within(receipt).await.unwrap();
}

#[tokio::test]
async fn a_message_that_is_cut_off_is_not_acknowledged() {
    let rig = Rig::open(settings());
    let (whole, receipt) = batch("tag", 0..2);
    let group = Group::next();
    let piece = Some(Piece { group, last: false });
    rig.admit(Batch { piece, ..whole }).await.unwrap();
    assert_eq!(within(receipt).await, Err(Unmet));
    let account = rig.account.clone();
    until("it is discarded", || account.held_now() == 0).await;
    assert_eq!(rig.account.imbalance(), 0);
}

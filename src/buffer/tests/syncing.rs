//! `durability = "interval"`: what is promised before it is synced, and when that is made up for.

use super::{
    faults::{IO, place},
    simulated::{Call, Fault, How, Simulated},
    *,
};

fn settings(interval: Duration) -> BufferSettings {
    BufferSettings {
        durability: Durability::Interval(interval),
        ..disk(place())
    }
}

fn syncs(store: &Simulated) -> usize {
    let journal = store.take_journal();
    let of_segment = |name: &str| {
        Path::new(name)
            .extension()
            .is_some_and(|kind| kind == "seg")
    };
    let syncs = journal
        .iter()
        .filter(|(call, name)| *call == Call::Sync && of_segment(name));
    syncs.count()
}

/// What a buffer delivers that is opened after the power failed now.
async fn left(store: &Simulated) -> Vec<u32> {
    let rig = Rig::open_on(store.without_power(None).files(), disk(place())).unwrap();
    rig.drain().await
}

#[tokio::test]
async fn a_promise_is_kept_an_interval_later_also_when_nothing_more_comes() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings(Duration::from_secs(2))).unwrap();
    syncs(&store);
    let began = Instant::now();
    for number in 0..10 {
        rig.put(number..number + 1).await;
    }
    // Unless the machine stood still for two seconds, nothing is synced yet.
    if began.elapsed() < Duration::from_secs(1) {
        assert_eq!(syncs(&store), 0);
        assert_eq!(left(&store).await, NOTHING);
    }
    until("it is synced", || syncs(&store) == 1).await;
    assert_eq!(left(&store).await, (0..10).collect::<Vec<_>>());
    assert_eq!(rig.counter("weir_buffer_syncs_total"), 1);
    assert_eq!(rig.drain().await.len(), 10);
}

#[tokio::test]
async fn a_segment_is_synced_before_the_next_one_is_begun_and_at_the_end() {
    let store = Simulated::new();
    let rig = Rig::open_on(
        store.files(),
        BufferSettings {
            segment_bytes: 300,
            ..settings(Duration::from_hours(1))
        },
    )
    .unwrap();
    for number in 0..10 {
        rig.put(number..number + 1).await;
    }
    let left_over = left(&store).await;
    assert!(
        left_over.len() >= 6 && left_over.len() < 10,
        "{left_over:?}"
    );
    assert_eq!(
        left_over[..],
        (0..10).collect::<Vec<_>>()[..left_over.len()]
    );
    drop(rig);
    assert_eq!(left(&store).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_an_interval_nothing_is_synced() {
    let store = Simulated::new();
    let rig = Rig::open_on(
        store.files(),
        BufferSettings {
            durability: Durability::Os,
            ..disk(place())
        },
    )
    .unwrap();
    syncs(&store);
    rig.put(0..1).await;
    drop(rig);
    assert_eq!(syncs(&store), 0);
}

#[tokio::test]
async fn a_sync_that_fails_costs_a_segment_and_one_that_always_does_the_promises() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), settings(Duration::from_millis(5))).unwrap();
    let failing = |times| Fault {
        call: Call::Sync,
        from: 1,
        times,
        how: How::Error(IO),
    };
    rig.put(0..1).await;
    until("it is synced", || {
        rig.counter("weir_buffer_syncs_total") == 1
    })
    .await;
    store.fail([failing(1)]);
    rig.put(1..2).await;
    let abandoned = || rig.counter("weir_buffer_abandoned_segments_total");
    until("the segment is abandoned", || abandoned() == 1).await;
    rig.put(2..3).await;
    until("it is synced", || {
        rig.counter("weir_buffer_syncs_total") == 3
    })
    .await;
    store.fail([failing(u64::MAX / 2)]);
    rig.put(3..4).await;
    until("the segment is abandoned", || abandoned() == 2).await;
    assert_eq!(rig.buffer.status().failed, None);
    let (batch, receipt) = batch("tag", 4..5);
    rig.admit(batch).await.unwrap();
    assert!(within(receipt).await.is_err(), "no segment can be made");
    assert!(rig.buffer.status().failed.is_some());
    store.mend();
    until("it works again", || rig.buffer.status().failed.is_none()).await;
    rig.put(5..6).await;
    let killed = Rig::open_on(store.killed().files(), disk(place())).unwrap();
    assert_eq!(killed.drain().await, [0, 1, 2, 3, 5]);
    assert_eq!(rig.drain().await, [0, 1, 2, 3, 5]);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

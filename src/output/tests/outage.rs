//! Destinations that are away for long.

use super::*;

/// Down until that moment.
fn until(moment: Instant) -> impl Fn(&[u32]) -> Outcome + Send + Sync + 'static {
    move |_| {
        if Instant::now() < moment {
            down()
        } else {
            Outcome::Delivered
        }
    }
}

#[tokio::test]
async fn after_a_week_everything_arrives_in_order_and_nothing_was_dropped() {
    let back = Instant::now() + 7 * DAY;
    let mut rig = Rig::new(Setup::default(), until(back));
    rig.put(0..500).await;
    rig.start();
    tokio::time::sleep_until(back).await;
    assert_eq!(rig.node.account.held_now(), 500);
    assert_eq!(rig.sum("weir_output_breaker_open"), 1);
    let took = rig.drained(Duration::from_secs(400)).await;
    assert!(took <= Duration::from_mins(6), "{took:?}");
    let tries = rig.tries();
    let arrived: Vec<u32> = tries
        .iter()
        .rev()
        .take(500)
        .rev()
        .flat_map(|one| one.numbers.clone())
        .collect();
    assert_eq!(arrived, (0..500).collect::<Vec<_>>());
    let pauses = tries.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(pauses.max().unwrap() <= Duration::from_secs(301));
    assert!(tries.len() > 2_000, "it was tried all the time");
    assert_eq!(rig.sum("weir_output_breaker_open"), 0);
    assert_eq!(rig.sum("weir_dropped_records_total"), 0);
    rig.end().await;
}

#[tokio::test]
async fn many_workers_try_one_chunk_at_a_time_while_nothing_gets_through() {
    let back = Instant::now() + HOUR;
    let setup = Setup {
        workers: 16,
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, until(back));
    rig.put(0..100).await;
    rig.start();
    tokio::time::sleep_until(back).await;
    // 1 + 2 + 4 s with all of them, then one at a time at 8 to 256 s, then every 300 s.
    let tries = rig.tries().len();
    assert!(tries < 3 * 16 + 20, "{tries}");
    rig.drained(Duration::from_secs(400)).await;
    rig.end().await;
}

#[tokio::test]
async fn ten_thousand_chunks_that_fail_drain_by_themselves_and_none_is_forgotten() {
    for kind in [FailureKind::Http5xx, FailureKind::Http4xx] {
        let back = Instant::now() + DAY;
        let answer = move |_: &[u32]| {
            if Instant::now() < back {
                fails(kind)
            } else {
                Outcome::Delivered
            }
        };
        let setup = Setup {
            workers: 4,
            ..Setup::default()
        };
        let mut rig = Rig::new(setup, answer);
        rig.put(0..10_000).await;
        rig.start();
        let mut longest = Duration::ZERO;
        while Instant::now() < back {
            tokio::time::sleep(Duration::from_mins(1)).await;
            longest = longest.max(rig.node.unattempted());
        }
        assert!(longest <= Duration::from_secs(301), "{longest:?}");
        let took = rig.drained(2 * HOUR).await;
        assert!(took < Duration::from_mins(15), "{kind}: {took:?}");
        assert_eq!(rig.node.unattempted(), Duration::ZERO);
        assert_eq!(rig.node.account.delivered_so_far(), 10_000);
        rig.end().await;
        tokio::time::resume();
    }
}

/// Records of a step, and how long a step is.
const STEP: u32 = 10;
const STEP_SECS: u64 = 300;

/// The sum of the segments in a folder, in bytes. One that is removed meanwhile has none.
fn segments_in(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let segments = entries.filter(|entry| entry.path().extension().is_some_and(|it| it == "seg"));
    let len = |entry: std::fs::DirEntry| entry.metadata().map_or(0, |file| file.len());
    segments.map(len).sum()
}

/// A disk buffer while its destination is away for a day, and records go on arriving: each is delivered once, the pauses stay
/// at the longest however many wait, and of the segments nothing is left but the newest.
#[tokio::test]
async fn a_day_away_while_records_arrive_loses_none_and_leaves_no_segments() {
    let dir = tempfile::tempdir().unwrap();
    let segment_bytes = 16 << 10;
    let setup = Setup {
        buffer: BufferSettings {
            segment_bytes,
            recent_bytes: 4 << 10,
            ..disk(dir.path())
        },
        workers: 4,
        ..Setup::default()
    };
    let steps = u32::try_from(DAY.as_secs() / STEP_SECS).unwrap();
    let count = steps * STEP;
    let back = Instant::now() + DAY;
    let mut rig = Rig::new(setup, until(back));
    rig.start();
    for step in 0..steps {
        let next = Instant::now() + Duration::from_secs(STEP_SECS);
        // The writer is a thread, which knows nothing of virtual time.
        tokio::time::resume();
        rig.put(step * STEP..(step + 1) * STEP).await;
        tokio::time::pause();
        tokio::time::sleep_until(next.min(back)).await;
    }
    tokio::time::sleep_until(back).await;
    assert_eq!(rig.node.account.held_now(), i64::from(count));
    assert!(rig.tries().iter().all(|one| !one.arrived));
    // Three tries by each worker until the pauses count for all, and then one at a time.
    let tries = rig.tries().len();
    assert!(tries < 3 * 4 + 10 + steps as usize, "{tries} tries");
    let peak = segments_in(dir.path());
    assert!(peak > 4 * segment_bytes, "{peak} bytes are no backlog");

    let took = rig.drained(2 * HOUR).await;
    assert!(took < HOUR, "{took:?}");
    let all = rig.tries();
    let pauses = all.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(pauses.max().unwrap() <= Duration::from_secs(301));
    let mut arrived: Vec<u32> = all
        .iter()
        .filter(|one| one.arrived)
        .flat_map(|one| one.numbers.clone())
        .collect();
    arrived.sort_unstable();
    assert_eq!(arrived, (0..count).collect::<Vec<_>>());
    assert_eq!(rig.sum("weir_dropped_records_total"), 0);
    assert_eq!(rig.node.account.delivered_so_far(), u64::from(count));
    // Segments are removed by the writer, in its own time.
    tokio::time::resume();
    let deadline = Instant::now() + 20 * SECOND;
    while segments_in(dir.path()) > 2 * segment_bytes {
        let left = segments_in(dir.path());
        let is_late = Instant::now() > deadline;
        assert!(!is_late, "{left} of {peak} bytes are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.end().await;
}

//! A chunk that fails again and again does not hold the others back.

use super::*;

const POISON: u32 = 3;

/// How long 400 good chunks take, with one bad one among them or without.
async fn pace(
    workers: usize,
    max_times: u32,
    answer: impl Fn(&[u32]) -> Outcome + Send + Sync + 'static,
) -> (Duration, Rig) {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup {
        policy: RetryPolicy {
            max_times: Some(max_times),
            ..policy()
        },
        workers,
        dead_letter: Some(dir.path().to_owned()),
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, answer);
    rig.put(0..400).await;
    rig.start();
    let start = Instant::now();
    while rig.node.account.delivered_so_far() < 399 {
        assert!(start.elapsed() < HOUR, "others are held back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = start.elapsed();
    rig.drained(HOUR).await;
    (took, rig)
}

#[tokio::test]
async fn it_reaches_the_dead_letter_after_its_own_budget_and_others_keep_their_pace() {
    let (alone, rig) = pace(1, 6, |_| Outcome::Delivered).await;
    rig.end().await;
    tokio::time::resume();
    let bad = |numbers: &[u32]| {
        if numbers.contains(&POISON) {
            fails(FailureKind::Http4xx)
        } else {
            Outcome::Delivered
        }
    };
    let (beside, rig) = pace(1, 6, bad).await;
    assert!(
        beside <= alone.mul_f64(1.05),
        "{beside:?} against {alone:?}"
    );
    assert_eq!((rig.dead(), rig.tries_of(POISON)), (1, 7));
    rig.end().await;
}

#[tokio::test]
async fn nor_does_one_that_looks_like_a_destination_in_trouble() {
    for answer in [fails(FailureKind::Http5xx), down()] {
        let bad = move |numbers: &[u32]| {
            if numbers.contains(&POISON) {
                answer.clone()
            } else {
                Outcome::Delivered
            }
        };
        // What is never answered for looks like an absent destination until others get through beside it.
        let (took, rig) = pace(2, 3, bad).await;
        assert!(took < Duration::from_secs(40), "{took:?}");
        assert_eq!(rig.dead(), 1);
        rig.end().await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_destination_that_refuses_some_for_now_gets_only_those_again() {
    let answers = AtomicU64::new(0);
    let busy = move |numbers: &[u32]| {
        if answers.fetch_add(1, Ordering::Relaxed) < 2 {
            let failure = Failure::new(FailureKind::Http429, "busy");
            Outcome::Except(vec![(
                u32::try_from(numbers.len()).unwrap() - 1,
                sdk::output::Verdict::Retry(None, failure),
            )])
        } else {
            Outcome::Delivered
        }
    };
    let setup = Setup {
        buffer: BufferSettings {
            chunk_limit_records: Some(3),
            ..memory()
        },
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, busy);
    rig.put(0..6).await;
    rig.start();
    rig.drained(HOUR).await;
    let mut tried: Vec<Vec<u32>> = rig.tries().into_iter().map(|one| one.numbers).collect();
    tried.sort();
    assert_eq!(tried, [vec![0, 1, 2], vec![2], vec![3, 4, 5], vec![5]]);
    rig.end().await;
}

#[tokio::test]
async fn a_chunk_on_disk_is_read_again_when_its_time_has_come() {
    let dir = tempfile::tempdir().unwrap();
    let answers = AtomicU64::new(0);
    let bad = move |numbers: &[u32]| {
        let is_late = numbers.contains(&POISON) && answers.fetch_add(1, Ordering::Relaxed) < 4;
        if is_late {
            fails(FailureKind::Rejected)
        } else {
            Outcome::Delivered
        }
    };
    let setup = Setup {
        buffer: disk(dir.path()),
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, bad);
    rig.put(0..50).await;
    rig.start();
    rig.drained(HOUR).await;
    assert_eq!(rig.tries_of(POISON), 5);
    let mut order = rig.order();
    assert_eq!(order.pop(), Some(POISON), "the others did not wait for it");
    rig.end().await;
}

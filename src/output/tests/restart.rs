//! What a chunk went through is known after a restart.

use super::*;

fn setup(dir: &Path, policy: RetryPolicy) -> Setup {
    Setup {
        buffer: disk(&dir.join("buffer")),
        policy,
        dead_letter: Some(dir.join("dead")),
        ..Setup::default()
    }
}

fn answer(numbers: &[u32]) -> Outcome {
    match numbers {
        [1] => fails(FailureKind::Rejected),
        _ => Outcome::Delivered,
    }
}

#[tokio::test]
async fn the_limit_of_tries_holds_over_restarts_and_takes_no_others_along() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetryPolicy {
        max_times: Some(5),
        ..policy()
    };
    let mut tried = 0;
    let mut rig = Rig::new(setup(dir.path(), policy.clone()), answer);
    rig.put(0..3).await;
    for start in 0..10 {
        rig.start();
        let ends = if start == 0 { 2 * SECOND } else { SECOND };
        tokio::time::sleep(ends).await;
        tried += rig.tries_of(1);
        if rig.dead() == 1 {
            break;
        }
        assert_eq!(rig.node.account.held_now(), 1);
        rig.end().await;
        tokio::time::resume();
        // As it is after a restart: what is left is cut into as few chunks as there can be.
        let mut next = setup(dir.path(), policy.clone());
        next.buffer.chunk_limit_records = None;
        rig = Rig::new(next, answer);
        rig.put(10 + start..11 + start).await;
    }
    assert_eq!((rig.dead(), tried), (1, 6));
    rig.drained(HOUR).await;
    rig.end().await;
}

#[tokio::test]
async fn the_limit_of_time_counts_the_time_in_which_it_was_tried_before() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetryPolicy {
        timeout: Some(HOUR),
        ..policy()
    };
    let mut spent = Duration::ZERO;
    let mut rig = Rig::new(setup(dir.path(), policy.clone()), answer);
    rig.put(1..2).await;
    for _ in 0..10 {
        rig.start();
        let start = Instant::now();
        while rig.dead() == 0 && start.elapsed() < Duration::from_mins(25) {
            tokio::time::sleep(SECOND).await;
        }
        spent += start.elapsed();
        if rig.dead() == 1 {
            break;
        }
        rig.end().await;
        tokio::time::resume();
        rig = Rig::new(setup(dir.path(), policy.clone()), answer);
    }
    // What passed since the last note before an end is not known.
    assert!(
        (HOUR..HOUR + Duration::from_mins(11)).contains(&spent),
        "{spent:?}"
    );
    rig.end().await;
}

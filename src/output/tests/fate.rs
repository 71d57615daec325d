//! Who reaches which limit.

use super::*;

fn setup(dir: &Path, timeout: Option<Duration>) -> Setup {
    Setup {
        policy: RetryPolicy {
            timeout,
            ..policy()
        },
        dead_letter: Some(dir.to_owned()),
        ..Setup::default()
    }
}

/// Ten destinations with a hundred chunks each, of which one is dead; what is in the dead letter of each after a day.
async fn ten(timeout: Option<Duration>) -> Vec<u64> {
    let dir = tempfile::tempdir().unwrap();
    let mut rigs = Vec::new();
    for number in 0..10 {
        let answer = move |_: &[u32]| match number {
            4 => down(),
            _ => Outcome::Delivered,
        };
        let rig = Rig::new(setup(&dir.path().join(number.to_string()), timeout), answer);
        rig.put(0..100).await;
        rigs.push(rig);
    }
    tokio::time::pause();
    rigs.iter_mut().for_each(Rig::run);
    tokio::time::sleep(DAY).await;
    let mut dead = Vec::new();
    for (number, rig) in rigs.into_iter().enumerate() {
        let account = &rig.node.account;
        assert_eq!(account.imbalance(), 0);
        let all =
            rig.dead() + account.delivered_so_far() + u64::try_from(account.held_now()).unwrap();
        assert_eq!(all, 100);
        if number != 4 {
            assert_eq!(account.delivered_so_far(), 100);
        }
        dead.push(rig.dead());
        rig.end().await;
    }
    tokio::time::resume();
    dead
}

#[tokio::test]
async fn only_the_chunks_of_the_dead_destination_reach_the_limit() {
    let dead = ten(Some(HOUR)).await;
    assert_eq!(dead, [0, 0, 0, 0, 100, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn without_a_limit_nothing_ever_reaches_it() {
    assert_eq!(ten(None).await, [0; 10]);
}

#[tokio::test]
async fn a_chunk_is_not_given_up_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new(setup(dir.path(), Some(HOUR)), |_| down());
    rig.put(0..20).await;
    rig.start();
    tokio::time::sleep(HOUR.checked_sub(SECOND).unwrap()).await;
    assert_eq!(rig.dead(), 0);
    // The first of them has failed for an hour, and the others have waited for as long.
    rig.drained(10 * SECOND).await;
    assert_eq!(rig.dead(), 20);
    rig.end().await;
}

#[tokio::test]
async fn a_full_dead_letter_keeps_records_in_the_buffer_and_holds_nobody_back() {
    let dir = tempfile::tempdir().unwrap();
    let policy = RetryPolicy {
        max_times: Some(0),
        ..policy()
    };
    let answer = |numbers: &[u32]| {
        if numbers[0] < 30 {
            fails(FailureKind::Rejected)
        } else {
            Outcome::Delivered
        }
    };
    let setup = Setup {
        policy,
        dead_letter: Some(dir.path().to_owned()),
        // Room for some of them.
        dead_letter_bytes: 1_500,
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, answer);
    rig.put(0..60).await;
    rig.start();
    tokio::time::sleep(HOUR).await;
    let (dead, held) = (rig.dead(), rig.node.account.held_now());
    assert_eq!(rig.node.account.delivered_so_far(), 30);
    assert_eq!(i64::try_from(dead).unwrap() + held, 30);
    assert!(dead > 0 && held > 10, "{dead} {held}");
    rig.end().await;
}

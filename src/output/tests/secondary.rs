//! The secondary is tried before anything is given up.

use super::*;

/// What the secondary was asked to take.
type Seen = Arc<Mutex<Vec<Try>>>;

fn second(
    answer: impl Fn(&[u32]) -> Outcome + Send + Sync + 'static,
) -> (Option<Arc<dyn Output>>, Seen) {
    let tries = Seen::default();
    let plugin = Scripted {
        answer,
        takes: Duration::from_millis(10),
        tries: Arc::clone(&tries),
    };
    (Some(Arc::new(plugin)), tries)
}

#[tokio::test]
async fn it_takes_over_from_the_threshold_on() {
    let dir = tempfile::tempdir().unwrap();
    let (secondary, seen) = second(|_| Outcome::Delivered);
    let setup = Setup {
        policy: RetryPolicy {
            timeout: Some(HOUR),
            ..policy()
        },
        dead_letter: Some(dir.path().to_owned()),
        secondary,
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, |_| down());
    rig.put(0..30).await;
    rig.start();
    let start = Instant::now();
    rig.drained(HOUR).await;
    let seen = seen.lock().unwrap().clone();
    let first = seen[0].at - start;
    assert_eq!(first.as_secs(), 48 * 60, "four fifths of an hour");
    assert_eq!(
        seen.iter()
            .flat_map(|one| one.numbers.clone())
            .collect::<Vec<_>>(),
        (0..30).collect::<Vec<_>>()
    );
    assert_eq!((rig.dead(), rig.node.account.delivered_so_far()), (0, 30));
    assert_eq!(rig.sum("weir_output_secondary_records_total"), 30);
    rig.end().await;
}

#[tokio::test]
async fn it_takes_what_the_destination_refuses_as_a_whole_and_then_the_dead_letter_does() {
    let dir = tempfile::tempdir().unwrap();
    let refusal = || Outcome::RejectChunk(Failure::new(FailureKind::Rejected, "never"));
    let (secondary, seen) = second(move |numbers| match numbers {
        [1] => refusal(),
        _ => Outcome::Delivered,
    });
    let setup = Setup {
        dead_letter: Some(dir.path().to_owned()),
        secondary,
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, move |_| refusal());
    rig.put(0..3).await;
    rig.start();
    rig.drained(HOUR).await;
    assert_eq!((rig.dead(), rig.node.account.delivered_so_far()), (1, 2));
    assert_eq!((seen.lock().unwrap().len(), rig.tries().len()), (3, 3));
    rig.end().await;
}

#[tokio::test]
async fn an_absent_secondary_does_not_keep_others_from_the_destination() {
    let dir = tempfile::tempdir().unwrap();
    let (secondary, _) = second(|_| down());
    let setup = Setup {
        policy: RetryPolicy {
            max_times: Some(1),
            timeout: Some(HOUR),
            ..policy()
        },
        dead_letter: Some(dir.path().to_owned()),
        secondary,
        ..Setup::default()
    };
    let answer = |numbers: &[u32]| match numbers[0] % 10 {
        0 => fails(FailureKind::Rejected),
        _ => Outcome::Delivered,
    };
    let mut rig = Rig::new(setup, answer);
    rig.put(0..100).await;
    rig.start();
    tokio::time::sleep(30 * SECOND).await;
    assert_eq!(rig.node.account.delivered_so_far(), 90);
    rig.drained(2 * HOUR).await;
    assert_eq!(rig.dead(), 10);
    rig.end().await;
}

/// What a destination says: nobody's fault, the chunk's, the destination's, a part of it, never.
fn by_chance(random: &mut fastrand::Rng, records: usize) -> Outcome {
    let failure = || Failure::new(FailureKind::Rejected, "no");
    match random.u8(0..10) {
        0 => Outcome::Delivered,
        1 | 2 => down(),
        3 | 4 => fails(FailureKind::Http5xx),
        5 | 6 => fails(FailureKind::Rejected),
        7 => Outcome::RejectChunk(failure()),
        _ => {
            let count = u32::try_from(records).unwrap();
            Outcome::Except(
                (0..count)
                    .map(|index| (index, sdk::output::Verdict::Retry(None, failure())))
                    .collect(),
            )
        }
    }
}

/// Chunks that were given up with this seed, each of which the secondary has seen.
async fn given_up(seed: u64) -> usize {
    let mut random = fastrand::Rng::with_seed(seed);
    let limit = random.bool();
    let policy = RetryPolicy {
        max_times: limit.then(|| random.u32(0..6)),
        timeout: (!limit || random.bool()).then(|| Duration::from_secs(random.u64(1..900))),
        randomize: true,
        ..policy()
    };
    let scripted = |random: fastrand::Rng| {
        let random = Mutex::new(random);
        move |numbers: &[u32]| by_chance(&mut random.lock().unwrap(), numbers.len())
    };
    let (secondary, asked) = second(scripted(fastrand::Rng::with_seed(seed ^ 1 << 40)));
    let setup = Setup {
        policy,
        workers: 16,
        secondary,
        ..Setup::default()
    };
    let mut rig = Rig::new(setup, scripted(random));
    rig.put(0..4).await;
    rig.start();
    rig.drained(3 * DAY).await;
    let (tried, asked) = (rig.tries(), asked.lock().unwrap().clone());
    let mut given_up = 0;
    for number in 0..4 {
        let took = |one: &&Try| one.numbers == [number];
        let arrived = |one: &Try| one.arrived;
        if !tried.iter().chain(&asked).filter(took).any(arrived) {
            given_up += 1;
            let was_seen = asked.iter().any(|one| took(&one));
            assert!(was_seen, "seed {seed}: chunk {number} was given up unseen");
        }
    }
    rig.end().await;
    tokio::time::resume();
    given_up
}

#[test]
fn with_ten_thousand_seeds_nothing_is_given_up_that_the_secondary_did_not_see() {
    const THREADS: u64 = 16;
    // Most of the time is waiting for the writers of the buffers.
    let run = |thread: u64| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let seeds = (0..10_000).filter(|seed| seed % THREADS == thread);
        seeds
            .map(|seed| runtime.block_on(given_up(seed)))
            .sum::<usize>()
    };
    let given_up: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert!(given_up > 1_000, "{given_up}");
}

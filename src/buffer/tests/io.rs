//! Every system call of a buffer failing in every way, and a kill and a power cut before every call that changes
//! something, over one small story. Nothing that was promised is lost, the books balance, what is reported is true.

use std::{collections::BTreeMap, sync::Mutex};

use rustix::io::Errno;

use super::{
    faults::place,
    simulated::{Call, Fault, How, Simulated},
    store::Mode,
    story::{Figures, Known, Story, given, runtime, share},
    *,
};

/// Calls of a kind that are tried, from the first on.
const NTH_MAX: u64 = 60;

fn settings() -> BufferSettings {
    BufferSettings {
        segment_bytes: 300,
        chunk_limit_records: Some(2),
        recent_bytes: 700,
        ..disk(place())
    }
}

/// A buffer with a past: segments of which parts are done, a damaged frame, and a large message.
async fn prepared() -> (Simulated, Known) {
    let volume = Simulated::new();
    let mut story = Story::new(volume.clone(), &settings(), Known::default(), "the past");
    let rig = story.open(&[]);
    for _ in 0..6 {
        story.send(&rig, 1).await;
    }
    story.send_large(&rig, 3, true).await;
    story.answers().await;
    story.deliver_some(&rig).await;
    drop(rig);
    let rig = story.open(&[]);
    story.send(&rig, 1).await;
    story.answers().await;
    drop(rig);
    let mut known = story.known();
    let damaged = known.owed().first().copied().unwrap();
    damage_frame_of(&volume, damaged);
    known.promised.remove(&damaged);
    (volume.without_power(None), known)
}

/// Flips a bit of the frame that holds this number.
fn damage_frame_of(store: &Simulated, number: u32) {
    let files = store.files();
    for first in files.segments(place()).unwrap() {
        let path = files::segment_path(place(), first);
        let frames = frames(&files, &path);
        if let Some((range, _)) = frames.iter().find(|(_, content)| content.contains(&number)) {
            let mut bytes = store.read(&path).unwrap();
            bytes[range.end - 10] ^= 1;
            return store.write(&path, bytes);
        }
    }
    panic!("{number} is nowhere");
}

/// Opens a buffer with a past, stores, delivers in another order, and opens it again, while these calls fail. Returns
/// what happened, and how often each call was made.
async fn tell(
    base: &(Simulated, Known),
    faults: &[Fault],
    case: &str,
    may_quarantine: bool,
) -> (Figures, BTreeMap<Call, u64>) {
    let mut story = Story::new(base.0.killed(), &settings(), base.1.clone(), case);
    story.may_quarantine = may_quarantine;
    story.is_exact = faults.is_empty();
    story.store.fail(faults.iter().copied());
    let rig = story.open(faults);
    for round in 0..2 {
        for _ in 0..3 {
            story.send(&rig, 1).await;
        }
        if round == 0 {
            story.send_large(&rig, 3, true).await;
        }
        story.deliver_some(&rig).await;
    }
    if is_lasting(faults) {
        story.tells_why(&rig).await;
    }
    let known = story.known();
    story.count(&rig);
    story.check(&story.store.killed(), &known, "killed").await;
    let cut = story.store.without_power(None);
    story.check(&cut, &known, "without power").await;
    drop(rig);
    // What waited has its answer now: no.
    story.answers().await;
    let rig = story.open(faults);
    story.send(&rig, 1).await;
    story.deliver_some(&rig).await;
    let counts = story.store.counts();
    story.store.mend();
    story.end(rig).await;
    (story.figures, counts)
}

/// A buffer that is full of segments of which little is needed.
fn crowded() -> BufferSettings {
    BufferSettings {
        segment_bytes: 600,
        total_limit_bytes: 4_800,
        chunk_limit_records: Some(1),
        ..settings()
    }
}

/// Its past: of six records one is left.
async fn prepared_crowd() -> (Simulated, Known) {
    let volume = Simulated::new();
    let mut story = Story::new(volume.clone(), &crowded(), Known::default(), "the past");
    let rig = story.open(&[]);
    let mut kept = Vec::new();
    for number in 0..36 {
        story.send(&rig, 1).await;
        let chunk = rig.take().await;
        story.look(&rig, &chunk);
        if number % 6 == 0 {
            kept.push(chunk);
        } else {
            story.finish(&rig, chunk);
        }
    }
    (volume.without_power(None), story.known())
}

/// Opens it, keeps what is left, and stores and delivers more than there is room for, while these calls fail: only what
/// is written anew makes room.
async fn tell_crowd(
    base: &(Simulated, Known),
    faults: &[Fault],
    case: &str,
    may_quarantine: bool,
) -> (Figures, BTreeMap<Call, u64>) {
    let mut story = Story::new(base.0.killed(), &crowded(), base.1.clone(), case);
    story.may_quarantine = may_quarantine;
    story.is_exact = faults.is_empty();
    story.store.fail(faults.iter().copied());
    let rig = story.open(faults);
    let mut kept = Vec::new();
    while let Some(chunk) = story.take_soon(&rig).await {
        kept.push(chunk);
    }
    for _ in 0..16 {
        story.send(&rig, 1).await;
        if let Some(chunk) = story.take_soon(&rig).await {
            story.finish(&rig, chunk);
        }
    }
    if is_lasting(faults) {
        story.tells_why(&rig).await;
    }
    let known = story.known();
    story.check(&story.store.killed(), &known, "killed").await;
    let cut = story.store.without_power(None);
    story.check(&cut, &known, "without power").await;
    drop(kept);
    let counts = story.store.counts();
    story.store.mend();
    story.end(rig).await;
    (story.figures, counts)
}

/// Whether something fails from then on.
fn is_lasting(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.times > 3)
}

/// One of the two stories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tale {
    Plain,
    Crowd,
}

/// A story, a fault, what it is for messages, and whether it may leave something unreadable for good.
type Case = (Tale, String, Fault, bool);

/// Each kind of call that the story makes, each error, each place, once and from there on.
fn cases(tale: Tale, counts: &BTreeMap<Call, u64>) -> Vec<Case> {
    let mut all = Vec::new();
    for (call, count) in counts {
        for how in ways(*call) {
            for from in 1..=NTH_MAX.min(*count) {
                // A signal that never ends is none.
                let is_signal = how == How::Error(Errno::INTR.raw_os_error());
                for times in [1, if is_signal { 3 } else { u64::MAX / 2 }] {
                    let case = format!("{tale:?}: {call:?} {from}, {times} times {how:?}");
                    let (call, reads) = (*call, reads(*call));
                    let fault = Fault {
                        call,
                        from,
                        times,
                        how,
                    };
                    all.push((tale, case, fault, reads && times > 3));
                }
            }
        }
    }
    all
}

fn ways(call: Call) -> Vec<How> {
    let errors = [
        Errno::IO,
        Errno::NOSPC,
        Errno::ROFS,
        Errno::MFILE,
        Errno::INTR,
        Errno::AGAIN,
    ];
    let mut ways = errors
        .map(|errno| How::Error(errno.raw_os_error()))
        .to_vec();
    if matches!(call, Call::Read | Call::Write) {
        ways.push(How::Short);
    }
    if call == Call::Write {
        let errors = [Errno::IO, Errno::NOSPC].map(Errno::raw_os_error);
        let partly = |errno| [1, 90].map(|taken| How::After(taken, errno));
        ways.extend(errors.into_iter().flat_map(partly));
    }
    ways
}

/// Whether it is needed for reading what is there.
fn reads(call: Call) -> bool {
    matches!(
        call,
        Call::Read | Call::Len | Call::Open(Mode::Read) | Call::Stat
    )
}

#[test]
fn every_call_may_fail() {
    let start = Instant::now();
    let runtime = runtime();
    let (plain, crowd) = runtime.block_on(async { (prepared().await, prepared_crowd().await) });
    let (whole, counts) = runtime.block_on(tell(&plain, &[], "nothing fails", false));
    let disturbed = (whole.repeated, whole.refused, whole.abandoned, whole.full);
    assert_eq!(disturbed, (0, 0, 0, 0));
    let mut cases = cases_of_both(&counts, &runtime.block_on(undisturbed(&crowd)));
    let of = cases.len();
    choose(&mut cases);
    let only = std::env::var("WEIR_IO_CASE").is_ok();
    let told = share(cases.iter(), async |(tale, case, fault, may_quarantine)| {
        let told = match tale {
            Tale::Plain => tell(&plain, &[*fault], case, *may_quarantine).await,
            Tale::Crowd => tell_crowd(&crowd, &[*fault], case, *may_quarantine).await,
        };
        told.0
    });
    let sum = |figure: fn(&Figures) -> u64| told.iter().map(figure).sum::<u64>();
    let (unopened, failed) = (sum(|told| told.unopened), sum(|told| told.failed));
    let (full, abandoned) = (sum(|told| told.full), sum(|told| told.abandoned));
    let happened = [unopened, failed, full, abandoned];
    assert!(
        only || happened.iter().all(|times| *times > 0),
        "{happened:?}"
    );
    println!(
        "result io: cases={} of={of} lost=0 unopened={unopened} failed={failed} full={full} abandoned={abandoned} refused={} \
         repeated={} quarantined={} seed={} took_s={}",
        told.len(),
        sum(|told| told.refused),
        sum(|told| told.repeated),
        sum(|told| told.quarantined),
        given("WEIR_SEED", 1),
        start.elapsed().as_secs()
    );
}

/// The calls that are made when nothing fails in a crowd. There is room only because segments are written anew.
async fn undisturbed(crowd: &(Simulated, Known)) -> BTreeMap<Call, u64> {
    let (told, counts) = tell_crowd(crowd, &[], "nothing fails in a crowd", false).await;
    assert_eq!((told.refused, told.abandoned), (0, 0));
    counts
}

fn cases_of_both(plain: &BTreeMap<Call, u64>, crowd: &BTreeMap<Call, u64>) -> Vec<Case> {
    [cases(Tale::Plain, plain), cases(Tale::Crowd, crowd)].concat()
}

/// Those that a campaign asks for, or a part of them.
fn choose(cases: &mut Vec<Case>) {
    let step = usize::try_from(given("WEIR_IO_STEP", 19)).unwrap();
    let first = usize::try_from(given("WEIR_SEED", 1)).unwrap() % step;
    let only = std::env::var("WEIR_IO_CASE").unwrap_or_default();
    let chosen = cases.drain(..).skip(first).step_by(step);
    *cases = chosen
        .filter(|(_, case, ..)| case.starts_with(&only))
        .collect();
}

#[test]
fn a_kill_or_a_power_cut_may_come_before_any_call() {
    let start = Instant::now();
    let base = runtime().block_on(prepared());
    let (seed, cuts) = (given("WEIR_SEED", 1), given("WEIR_IO_POWER", 1));
    let told = share(1..400_u64, async |at| {
        interrupted(&base, at, seed, cuts).await
    });
    let moments = told.iter().filter(|reached| **reached).count();
    assert!((50..399).contains(&moments), "{moments}");
    println!(
        "result io, kills and power cuts: moments={moments} cuts={} lost=0 seed={seed} took_s={}",
        moments as u64 * (cuts + 1),
        start.elapsed().as_secs()
    );
}

/// Goes on with what a kill, and power cuts, leave before the call of this number. `false` when there are not as many.
async fn interrupted(base: &(Simulated, Known), at: u64, seed: u64, cuts: u64) -> bool {
    let case = format!("before call {at}, seed {seed}");
    let mut story = Story::new(base.0.killed(), &settings(), base.1.clone(), case);
    let (known, then) = (Arc::clone(&story.known), Arc::new(Mutex::new(None)));
    let visit = {
        let then = Arc::clone(&then);
        move |left| *then.lock().unwrap() = Some((left, known.lock().unwrap().clone()))
    };
    story.store.visit(at, visit);
    for _ in 0..2 {
        let rig = story.open(&[]);
        for _ in 0..2 {
            story.send(&rig, 1).await;
        }
        story.send_large(&rig, 3, true).await;
        story.deliver_some(&rig).await;
    }
    let then: Option<(Simulated, Known)> = then.lock().unwrap().take();
    let Some((left, known)) = then else {
        return false;
    };
    let mut chance = fastrand::Rng::with_seed(seed.wrapping_mul(1_000) + at);
    let cut = left.without_power(None);
    story.check(&cut, &known, "without power").await;
    for _ in 0..cuts {
        let cut = left.without_power(Some(&mut chance));
        story.check(&cut, &known, "without power, by chance").await;
    }
    story.check(&left, &known, "killed").await;
    true
}

/// A file of whose length nothing is known is not taken for one that holds nothing.
#[tokio::test]
async fn a_segment_of_unknown_length_is_not_removed() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), disk(place())).unwrap();
    rig.put(0..3).await;
    let store = store.killed();
    store.fail([Fault {
        call: Call::Stat,
        from: 2,
        times: u64::MAX / 2,
        how: How::Error(Errno::IO.raw_os_error()),
    }]);
    drop(Rig::open_on(store.files(), disk(place())).unwrap());
    store.mend();
    let rig = Rig::open_on(store.files(), disk(place())).unwrap();
    assert_eq!(rig.drain().await, [0, 1, 2]);
}

/// What could not be read when it was looked through is booked as lost, so it must not come when it can be read again.
#[tokio::test]
async fn what_was_booked_as_lost_is_not_delivered_by_the_same_process() {
    let store = Simulated::new();
    let rig = Rig::open_on(store.files(), disk(place())).unwrap();
    for numbers in [0..1, 1..800, 800..801, 801..802] {
        rig.put(numbers).await;
    }
    let store = store.killed();
    let path = files::segment_path(place(), 1);
    let len = store.read(&path).unwrap().len() as u64;
    store.spoil(&path, 4096..len);
    let rig = Rig::open_on(store.files(), disk(place())).unwrap();
    assert_eq!(rig.buffer.status().records, 1);
    store.heal();
    assert_eq!(rig.drain().await, [0]);
    assert_eq!((rig.account.imbalance(), rig.account.held_now()), (0, 0));
}

/// What can be read again a moment after it counted as unreadable is delivered by the next process, or its whole file is
/// kept: a copy of its bytes alone would be of no use to anybody.
#[test]
fn reading_may_fail_for_any_while() {
    let cases = (1..4_u64).flat_map(|from| (1..20_u64).map(move |times| (from, times)));
    let told = share(cases, async |(from, times)| {
        let case = format!("{times} reads fail from {from} on");
        let mut story = Story::new(Simulated::new(), &settings(), Known::default(), case);
        (story.may_quarantine, story.is_exact) = (true, false);
        let rig = story.open(&[]);
        for _ in 0..3 {
            story.send(&rig, 1).await;
        }
        story.send_large(&rig, 3, true).await;
        story.answers().await;
        drop(rig);
        let rig = story.open(&[]);
        let how = How::Error(Errno::IO.raw_os_error());
        let call = Call::Read;
        story.store.fail([Fault {
            call,
            from,
            times,
            how,
        }]);
        story.end(rig).await;
        story.figures.quarantined
    });
    assert!(told.iter().any(|lost| *lost > 0), "{told:?}");
}

/// A segment that cannot be read is passed over up to what is in memory, and no further.
#[tokio::test]
async fn what_is_in_memory_comes_after_what_could_not_be_read() {
    let store = Simulated::new();
    // Two frames stay in memory.
    let settings = BufferSettings {
        recent_bytes: 700,
        ..disk(place())
    };
    let rig = Rig::open_on(store.files(), settings).unwrap();
    for number in 0..4 {
        rig.put(number..number + 1).await;
    }
    store.fail([Fault {
        call: Call::Read,
        from: 1,
        times: 5,
        how: How::Error(Errno::IO.raw_os_error()),
    }]);
    let soon = tokio::time::timeout(Duration::from_millis(1), rig.buffer.next_chunk());
    assert!(soon.await.is_err(), "reading takes a few tries");
    until("it was read", || {
        store.counts().get(&Call::Read) == Some(&5)
    })
    .await;
    until("it was given up", || !rig.buffer.0.shared.index().loading).await;
    for number in 4..7 {
        rig.put(number..number + 1).await;
    }
    assert_eq!(rig.drain().await, [2, 3, 4, 5, 6]);
    drop(rig);
    let rig = Rig::open_on(store.files(), disk(place())).unwrap();
    assert_eq!(rig.drain().await, [0, 1], "they can be read now");
}

//! Brings the files of a stream in line with what is on disk, after a rotation, a cut or a restart.

use std::{
    io,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use crate::{
    Counters, Retention,
    disk::{Disk, Found},
    done::Done,
    generation::Generation,
    stream::Stream,
};

/// How much the clock of a file system may be behind the one of the system.
const CLOCK_SLACK: Duration = Duration::from_secs(2);

/// What is needed besides the stream.
pub(crate) struct Surroundings<'a> {
    pub(crate) now: Instant,
    pub(crate) done: &'a Done,
    pub(crate) counters: &'a Counters,
    pub(crate) numbers: &'a mut u64,
    pub(crate) sight: Sight,
}

/// What is known of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It has files, or had some before.
    Known,
    /// It is seen for the first time.
    First {
        /// Begin its live file at the head.
        from_head: bool,
        /// Read what rotation has moved away, too.
        rotated: bool,
    },
}

/// Where the text of a generation is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    Live,
    Rotated(usize),
    Nowhere,
}

/// Brings the files of a stream in line. What cannot be found any more is counted as lost.
///
/// # Errors
/// When files move while they are looked at: it is to be called again.
pub(crate) fn reconcile<S>(stream: &mut Stream<S>, cx: &mut Surroundings<'_>) -> io::Result<()> {
    let began = SystemTime::now();
    if let Ok(real) = stream.path.canonicalize() {
        stream.real = real;
    }
    let disk = Disk::look(&stream.path, &stream.real)?;
    let mut taken = Vec::new();
    let mut is_live_taken = false;
    // Those that are read up to their end, and the next one, are kept while they are open; nobody keeps more.
    let head = stream
        .generations
        .iter()
        .position(|generation| generation.unread() > 0)
        .unwrap_or(stream.generations.len());
    for (index, generation) in stream.generations.iter_mut().enumerate() {
        if generation.is_gone {
            continue;
        }
        // It may have grown since it was read, and is then easier to know again.
        let _is_sound = is_sound(generation);
        let place = whereabouts(generation, &disk, &taken);
        match place {
            Whereabouts::Live => is_live_taken = true,
            Whereabouts::Rotated(at) => taken.push((at, generation.number)),
            Whereabouts::Nowhere => {}
        }
        settle(generation, place, &disk, index <= head, cx)?;
    }
    // A live file of which nothing was read may have been copied and cut before.
    let live = stream
        .live()
        .filter(|_| is_live_taken)
        .map(|live| live.read);
    if live.is_none_or(|read| read == 0) {
        add_newer(stream, &disk, &taken, cx)?;
    }
    if let Some(live) = disk.live.as_ref().filter(|_| !is_live_taken) {
        add_live(stream, live, cx)?;
    }
    stream.kept = guess(&disk).or(stream.kept);
    stream.seen = began;
    stream.reconciled = cx.now;
    stream.needs_reconcile = false;
    Ok(())
}

fn whereabouts(generation: &Generation, disk: &Disk, taken: &[(usize, u64)]) -> Whereabouts {
    let is_itself = |found: &Found| {
        found.id == generation.id
            && found.is_gzip == generation.is_gzip
            && (found.is_gzip || found.size >= generation.read)
            && found.head().is_ok_and(|head| generation.print.fits(&head))
    };
    let is_copy = |found: &Found| {
        (found.is_gzip || found.size >= generation.read) && found.is_proven(generation.print)
    };
    if disk.live.as_ref().is_some_and(is_itself) {
        return Whereabouts::Live;
    }
    let free = || {
        disk.rotated
            .iter()
            .enumerate()
            .filter(|(at, _)| !is_taken(taken, *at))
    };
    free()
        .find(|(_, found)| is_itself(found))
        .or_else(|| free().find(|(_, found)| is_copy(found)))
        .map_or(Whereabouts::Nowhere, |(at, _)| Whereabouts::Rotated(at))
}

fn is_taken(taken: &[(usize, u64)], at: usize) -> bool {
    taken.iter().any(|(other, _)| *other == at)
}

/// Takes note of where a generation is now; `may_keep` says whether it is kept open without a name.
fn settle(
    generation: &mut Generation,
    place: Whereabouts,
    disk: &Disk,
    may_keep: bool,
    cx: &Surroundings<'_>,
) -> io::Result<()> {
    let was_live = generation.rotated.is_none();
    let is_cut = was_live
        && place != Whereabouts::Live
        && disk
            .live
            .as_ref()
            .is_some_and(|live| live.id == generation.id);
    match place {
        Whereabouts::Live => {
            generation.rotated = None;
            generation.measure();
            let live = disk.live.as_ref().filter(|_| !generation.is_open());
            return live.map_or(Ok(()), |live| attach(generation, live));
        }
        Whereabouts::Rotated(at) => {
            let found = disk.rotated.get(at).ok_or(io::ErrorKind::NotFound)?;
            let is_kept = generation.is_open()
                && !is_cut
                && (found.id == generation.id || (may_keep && is_sound(generation)));
            if is_kept {
                generation.path.clone_from(&found.path);
            } else {
                attach(generation, found)?;
            }
        }
        Whereabouts::Nowhere => {
            let is_kept = generation.is_open() && !is_cut && may_keep && is_sound(generation);
            generation.measure_unless(is_cut);
            if !is_kept {
                give_up(generation, cx.counters);
            }
        }
    }
    generation.measure_unless(is_cut);
    if was_live {
        generation.rotated = Some(cx.now);
        if is_cut {
            cx.counters.truncated.inc();
        } else {
            cx.counters.rotated.inc();
        }
    }
    Ok(())
}

fn is_sound(generation: &mut Generation) -> bool {
    generation.verify().unwrap_or(false)
}

/// Opens what was looked at, and nothing that has come to its place meanwhile.
fn attach(generation: &mut Generation, found: &Found) -> io::Result<()> {
    generation.attach(found)?;
    if generation.id == found.id {
        return Ok(());
    }
    generation.close();
    generation.id = found.id;
    Err(io::ErrorKind::Interrupted.into())
}

pub(crate) fn give_up(generation: &mut Generation, counters: &Counters) {
    let lost = generation.give_up();
    if lost > 0 {
        counters.lost_bytes.inc_by(lost);
        counters.lost_files.inc();
        tracing::error!(
            path = %generation.path.display(), lost_bytes = lost,
            "a file was gone before it was read to its end"
        );
    }
}

/// Adds files that were live and rotated away since the stream was looked at last.
fn add_newer<S>(
    stream: &mut Stream<S>,
    disk: &Disk,
    taken: &[(usize, u64)],
    cx: &mut Surroundings<'_>,
) -> io::Result<()> {
    let after = taken.iter().map(|(at, _)| at + 1).min();
    for (at, found) in disk.rotated.iter().enumerate() {
        let is_newer = match (after, cx.sight) {
            _ if is_taken(taken, at) => false,
            (Some(after), _) => at >= after,
            (None, Sight::First { rotated, .. }) => rotated,
            (None, Sight::Known) => found.modified + CLOCK_SLACK >= stream.seen,
        };
        // An inode may be used again, but not while somebody has the file open.
        let is_there = |generation: &Generation| generation.is_open() && generation.id == found.id;
        if !is_newer
            || stream.generations.iter().any(is_there)
            || disk.live.as_ref().is_some_and(|live| live.id == found.id)
        {
            continue;
        }
        let head = match found.head() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                tracing::warn!(path = %found.path.display(), %error, "a rotated file cannot be read");
                continue;
            }
            head => head?,
        };
        let from = cx.done.read_of(&head).unwrap_or(0);
        if (from > 0 && (found.is_gzip || found.size <= from)) || is_ours(stream, &head) {
            continue;
        }
        let mut generation = open(found, from, cx)?;
        // Others than the writer need not be waited for.
        generation.rotated = Some(cx.now);
        let is_next = |known: &Generation| {
            let place = taken.iter().find(|(_, number)| *number == known.number);
            known.rotated.is_none() || place.is_some_and(|(place, _)| *place > at)
        };
        let next = stream.generations.iter().position(is_next);
        let next = next.unwrap_or(stream.generations.len());
        stream.generations.insert(next, generation);
        cx.counters.reconciled.inc();
    }
    Ok(())
}

/// Whether a file that begins with `head` is a copy of one that is followed.
fn is_ours<S>(stream: &Stream<S>, head: &[u8]) -> bool {
    let mut all = stream.generations.iter();
    all.any(|generation| generation.print.proves(head))
}

fn add_live<S>(stream: &mut Stream<S>, live: &Found, cx: &mut Surroundings<'_>) -> io::Result<()> {
    let head = live.head()?;
    let from = match (cx.done.offset_of(live.id, &head), cx.sight) {
        (Some(offset), _) if offset <= live.size => offset,
        (
            _,
            Sight::First {
                from_head: false, ..
            },
        ) => live.size,
        _ => 0,
    };
    let generation = open(live, from, cx)?;
    stream.generations.push_back(generation);
    Ok(())
}

fn open(found: &Found, from: u64, cx: &mut Surroundings<'_>) -> io::Result<Generation> {
    let generation = Generation::open(*cx.numbers, found, from)?;
    if generation.id != found.id {
        return Err(io::ErrorKind::Interrupted.into());
    }
    *cx.numbers += 1;
    cx.counters.opened.inc();
    Ok(generation)
}

/// What rotation seems to keep.
fn guess(disk: &Disk) -> Option<Retention> {
    let newest = disk.rotated.iter().rfind(|found| !found.is_gzip)?;
    Some(Retention {
        file_bytes: newest.size,
        files: disk.rotated.len() as u64 + 1,
    })
}

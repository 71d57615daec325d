//! A file system in memory: it knows what a power cut would leave of it, and fails when it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, ErrorKind, IoSlice},
    sync::{Mutex, MutexGuard},
};

use super::*;
use crate::buffer::store::{self, Handle, Mode, Stat, Store};

/// The kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Call {
    Open(Mode),
    MakeDir,
    SyncDir,
    Rename,
    Unlink,
    List,
    Stat,
    Free,
    Read,
    Write,
    Allocate,
    Sync,
    Cut,
    Len,
}

/// What a call does instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Fails with this error number.
    Error(i32),
    /// Writes so many bytes and then fails with this error number.
    After(usize, i32),
    /// Writes or reads half of what was asked for.
    Short,
}

/// Which calls do so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    pub(super) call: Call,
    /// The number of the first of them, counted from 1 since the fault was set.
    pub(super) from: u64,
    /// How many of them.
    pub(super) times: u64,
    pub(super) how: How,
}

/// Cheap to clone: clones are the same file system.
#[derive(Debug, Clone)]
pub(super) struct Simulated(Arc<Mutex<Volume>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Dir,
    File(usize),
}

#[derive(Debug, Clone, Default)]
struct Volume {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, Entry>,
    /// The names as a power cut leaves them.
    durable: BTreeMap<PathBuf, Entry>,
    locked: BTreeSet<usize>,
    /// Bytes of files for which there is room.
    capacity: Option<u64>,
    /// Parts of files that cannot be read.
    bad: Vec<(String, std::ops::Range<u64>)>,
    faults: Vec<Fault>,
    counts: BTreeMap<Call, u64>,
    /// Calls that changed something, and the name of what they changed.
    journal: Vec<(Call, String)>,
    /// Reading behind the header of this file waits.
    held: Option<String>,
    /// This file cannot be opened.
    denied: Option<String>,
    /// Pauses of a minute and more are not shortened.
    is_unaudited: bool,
    /// Open files, and the most there have been.
    open: (usize, usize),
    /// Calls until somebody looks at it.
    visit_in: Option<u64>,
    visitor: Visitor,
}

/// Called with the file system before a call that changes something.
#[derive(Clone, Default)]
struct Visitor(Option<Arc<dyn Fn(Simulated) + Send + Sync>>);

impl std::fmt::Debug for Visitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Visitor")
    }
}

#[derive(Debug, Clone, Default)]
struct Content {
    bytes: Vec<u8>,
    /// Bytes that it has without a content.
    allocated: u64,
    /// How much of it survives a power cut.
    synced: usize,
    /// What a failed sync left behind: the pages count as clean, and no later sync writes them.
    doomed: Vec<std::ops::Range<usize>>,
}

#[derive(Debug)]
struct Open {
    store: Simulated,
    content: usize,
    name: String,
    locks: bool,
}

impl Simulated {
    pub(super) fn new() -> Self {
        let root = BTreeMap::from([(PathBuf::from("/"), Entry::Dir)]);
        Self::of(Volume {
            names: root.clone(),
            durable: root,
            ..Volume::default()
        })
    }

    fn of(volume: Volume) -> Self {
        Self(Arc::new(Mutex::new(volume)))
    }

    pub(super) fn files(&self) -> Files {
        Files::of(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Volume> {
        self.0.lock().unwrap()
    }

    /// Counts calls from now on, and lets these fail.
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut volume = self.lock();
        volume.counts.clear();
        volume.faults = faults.into_iter().collect();
    }

    /// Nothing fails any more.
    pub(super) fn mend(&self) {
        self.lock().faults.clear();
    }

    /// Lets whoever reads behind the header of this file wait, or nobody any more.
    pub(super) fn hold(&self, name: Option<String>) {
        self.lock().held = name;
    }

    /// Lets nobody open this file, or everybody again.
    pub(super) fn deny(&self, name: Option<String>) {
        self.lock().denied = name;
    }

    /// Calls of each kind since faults were set.
    pub(super) fn counts(&self) -> BTreeMap<Call, u64> {
        self.lock().counts.clone()
    }

    /// Lets files take so many bytes in all; without a number, as many as they like.
    pub(super) fn limit(&self, capacity: Option<u64>) {
        self.lock().capacity = capacity;
    }

    /// Lets a part of a file be unreadable for ever.
    pub(super) fn spoil(&self, path: &Path, range: std::ops::Range<u64>) {
        self.lock().bad.push((name(path), range));
    }

    /// Everything can be read again.
    pub(super) fn heal(&self) {
        self.lock().bad.clear();
    }

    /// Calls that changed something since the last look.
    pub(super) fn take_journal(&self) -> Vec<(Call, String)> {
        std::mem::take(&mut self.lock().journal)
    }

    /// The most files that have been open at once.
    pub(super) fn most_open(&self) -> usize {
        self.lock().open.1
    }

    /// What `kill -9` leaves: everything as it is at this moment.
    pub(super) fn killed(&self) -> Self {
        let volume = self.lock();
        Self::of(Volume {
            locked: BTreeSet::new(),
            faults: Vec::new(),
            counts: BTreeMap::new(),
            journal: Vec::new(),
            held: None,
            denied: None,
            open: (0, 0),
            visit_in: None,
            visitor: Visitor::default(),
            ..volume.clone()
        })
    }

    /// Shows what `kill -9` would leave before the call of this number, counted from 1, that changes something.
    pub(super) fn visit(&self, at: u64, visitor: impl Fn(Self) + Send + Sync + 'static) {
        let mut volume = self.lock();
        volume.visit_in = Some(at);
        volume.visitor = Visitor(Some(Arc::new(visitor)));
    }

    /// Has somebody look at it, if it is time to.
    fn before_change(&self) {
        let mut volume = self.lock();
        let Some(left) = volume.visit_in.as_mut() else {
            return;
        };
        *left -= 1;
        if *left > 0 {
            return;
        }
        volume.visit_in = None;
        let visitor = std::mem::take(&mut volume.visitor);
        drop(volume);
        if let Some(visit) = visitor.0 {
            visit(self.killed());
        }
    }

    /// What a power cut leaves: what was synced, and of the rest what chance decides. Nothing of it without chance.
    pub(super) fn without_power(&self, mut chance: Option<&mut fastrand::Rng>) -> Self {
        let volume = self.lock();
        let (now, durable) = (&volume.names, &volume.durable);
        let paths: BTreeSet<&PathBuf> = now.keys().chain(durable.keys()).collect();
        let mut after = Volume {
            capacity: volume.capacity,
            ..Volume::default()
        };
        for path in paths {
            let is_kept = path
                .parent()
                .is_none_or(|parent| after.names.contains_key(parent));
            let is_new = chance.as_deref_mut().is_some_and(fastrand::Rng::bool);
            let names = if is_new { now } else { durable };
            let Some(entry) = names.get(path).filter(|_| is_kept) else {
                continue;
            };
            let entry = match entry {
                Entry::Dir => Entry::Dir,
                Entry::File(content) => {
                    let bytes = volume.contents[*content].after_power_cut(chance.as_deref_mut());
                    after.contents.push(Content {
                        synced: bytes.len(),
                        bytes,
                        doomed: Vec::new(),
                        allocated: 0,
                    });
                    Entry::File(after.contents.len() - 1)
                }
            };
            after.names.insert(path.clone(), entry);
        }
        after.durable = after.names.clone();
        Self::of(after)
    }

    /// The bytes of a file.
    pub(super) fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let volume = self.lock();
        match volume.names.get(path)? {
            Entry::File(content) => Some(volume.contents[*content].bytes.clone()),
            Entry::Dir => None,
        }
    }

    /// Gives a file these bytes, behind the back of whoever has it open.
    pub(super) fn write(&self, path: &Path, bytes: Vec<u8>) {
        let mut volume = self.lock();
        let Some(Entry::File(content)) = volume.names.get(path).copied() else {
            panic!("no file {}", path.display());
        };
        volume.contents[content] = Content {
            synced: bytes.len(),
            bytes,
            doomed: Vec::new(),
            allocated: 0,
        };
    }

    /// Bytes of all segments that are not in quarantine.
    pub(super) fn segment_bytes(&self) -> u64 {
        let is_segment = |path: &PathBuf| {
            path.parent() == Some(faults::place())
                && path.extension().is_some_and(|kind| kind == "seg")
        };
        let all = self.all().into_iter();
        all.filter(|(path, _)| is_segment(path))
            .map(|(_, len)| len)
            .sum()
    }

    /// Pauses of a minute and more last as long as they say.
    pub(super) fn leave_unaudited(&self) {
        self.lock().is_unaudited = true;
    }

    /// Every file with its length.
    pub(super) fn all(&self) -> BTreeMap<PathBuf, u64> {
        let volume = self.lock();
        let files = volume.names.iter().filter_map(|(path, entry)| match entry {
            Entry::File(content) => Some((path.clone(), volume.contents[*content].len())),
            Entry::Dir => None,
        });
        files.collect()
    }
}

impl Content {
    fn len(&self) -> u64 {
        self.allocated.max(self.bytes.len() as u64)
    }

    fn after_power_cut(&self, chance: Option<&mut fastrand::Rng>) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for doomed in &self.doomed {
            bytes[doomed.clone()].fill(0);
        }
        let Some(chance) = chance else {
            bytes.truncate(self.synced);
            return bytes;
        };
        bytes.truncate(chance.usize(self.synced..=bytes.len()));
        // Blocks reach the disk in any order.
        for block in bytes[self.synced..].chunks_mut(64) {
            if chance.u8(..4) == 0 {
                block.fill(0);
            }
        }
        bytes
    }
}

impl Volume {
    /// Counts a call. What it does instead, if it fails.
    fn count(&mut self, call: Call) -> Result<Option<How>, io::Error> {
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let is_due = |fault: &&Fault| {
            fault.call == call && (fault.from..fault.from + fault.times).contains(count)
        };
        match self.faults.iter().find(is_due).map(|fault| fault.how) {
            Some(How::Error(errno)) if call != Call::Sync => {
                Err(io::Error::from_raw_os_error(errno))
            }
            how => Ok(how),
        }
    }

    /// Counts a call that changes something.
    fn change(&mut self, call: Call, path: &Path) -> io::Result<()> {
        self.count(call)?;
        self.journal.push((call, name(path)));
        Ok(())
    }

    fn has_parent(&self, path: &Path) -> io::Result<()> {
        match path.parent().and_then(|parent| self.names.get(parent)) {
            Some(Entry::Dir) => Ok(()),
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    fn used(&self) -> u64 {
        let len = |entry: &Entry| match entry {
            Entry::File(content) => self.contents[*content].len(),
            Entry::Dir => 0,
        };
        self.names.values().map(len).sum()
    }

    fn new_file(&mut self, path: &Path) -> usize {
        self.contents.push(Content::default());
        let content = self.contents.len() - 1;
        self.names.insert(path.to_owned(), Entry::File(content));
        content
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

impl Store for Simulated {
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn Handle>> {
        if mode != Mode::Read {
            self.before_change();
        }
        let mut volume = self.lock();
        volume.count(Call::Open(mode))?;
        if volume.denied.as_deref() == Some(&*name(path)) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        volume.has_parent(path)?;
        let content = match (volume.names.get(path).copied(), mode) {
            (Some(Entry::Dir), _) => return Err(ErrorKind::IsADirectory.into()),
            (Some(Entry::File(_)), Mode::CreateNew) => return Err(ErrorKind::AlreadyExists.into()),
            (Some(Entry::File(content)), _) => content,
            (None, Mode::Read) => return Err(ErrorKind::NotFound.into()),
            (None, _) => {
                volume.journal.push((Call::Open(mode), name(path)));
                volume.new_file(path)
            }
        };
        let locks = mode == Mode::Lock;
        if locks && !volume.locked.insert(content) {
            return Err(ErrorKind::WouldBlock.into());
        }
        volume.open.0 += 1;
        volume.open.1 = volume.open.1.max(volume.open.0);
        Ok(Box::new(Open {
            store: self.clone(),
            content,
            name: name(path),
            locks,
        }))
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.before_change();
        let mut volume = self.lock();
        volume.change(Call::MakeDir, path)?;
        volume.has_parent(path)?;
        if volume.names.contains_key(path) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        volume.names.insert(path.to_owned(), Entry::Dir);
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.before_change();
        let mut volume = self.lock();
        volume.change(Call::SyncDir, path)?;
        let is_in = |name: &Path| name.parent() == Some(path);
        let volume = &mut *volume;
        volume.durable.retain(|name, _| !is_in(name));
        let names = volume.names.iter().filter(|(name, _)| is_in(name));
        volume
            .durable
            .extend(names.map(|(name, entry)| (name.clone(), *entry)));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before_change();
        let mut volume = self.lock();
        volume.change(Call::Rename, to)?;
        volume.has_parent(to)?;
        let entry = volume.names.remove(from).ok_or(ErrorKind::NotFound)?;
        volume.names.insert(to.to_owned(), entry);
        Ok(())
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.before_change();
        let mut volume = self.lock();
        volume.count(Call::Unlink)?;
        volume.names.remove(path).ok_or(ErrorKind::NotFound)?;
        volume.journal.push((Call::Unlink, name(path)));
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut volume = self.lock();
        volume.count(Call::List)?;
        if volume.names.get(path) != Some(&Entry::Dir) {
            return Err(ErrorKind::NotFound.into());
        }
        let inside = volume
            .names
            .keys()
            .filter(|name| name.parent() == Some(path));
        Ok(inside.map(|path| name(path)).collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let mut volume = self.lock();
        volume.count(Call::Stat)?;
        let entry = volume.names.get(path).ok_or(ErrorKind::NotFound)?;
        let len = match entry {
            Entry::Dir => 0,
            Entry::File(content) => volume.contents[*content].len(),
        };
        Ok(Stat {
            is_dir: *entry == Entry::Dir,
            len,
            begun_secs: Some(0),
        })
    }

    fn lasts(&self, pause: Duration) -> Duration {
        if pause >= Duration::from_mins(1) && self.lock().is_unaudited {
            return pause;
        }
        pause / 100
    }

    fn volume(&self, _: &Path) -> io::Result<store::Volume> {
        let mut volume = self.lock();
        volume.count(Call::Free)?;
        let total = volume.capacity.unwrap_or(1 << 40);
        Ok(store::Volume {
            free: total.saturating_sub(volume.used()),
            total,
        })
    }
}

impl Handle for Open {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        while offset >= 64 && self.store.lock().held.as_deref() == Some(&*self.name) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut volume = self.store.lock();
        let how = volume.count(Call::Read)?;
        let end = offset + into.len() as u64;
        let is_bad = |bad: &(String, std::ops::Range<u64>)| {
            bad.0 == self.name && bad.1.start < end && offset < bad.1.end
        };
        if volume.bad.iter().any(is_bad) {
            return Err(io::Error::from_raw_os_error(faults::IO));
        }
        let bytes = &volume.contents[self.content].bytes;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let mut len = into.len().min(bytes.len() - from);
        if how == Some(How::Short) {
            len = len.div_ceil(2);
        }
        into[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.store.before_change();
        let mut volume = self.store.lock();
        let how = volume.count(Call::Write)?;
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        if let Some(capacity) = volume.capacity {
            let room = usize::try_from(capacity.saturating_sub(volume.used())).unwrap();
            if room == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            bytes.truncate(room);
        }
        match how {
            Some(How::Short) => bytes.truncate(bytes.len().div_ceil(2)),
            Some(How::After(most, _)) => bytes.truncate(most),
            _ => {}
        }
        let content = &mut volume.contents[self.content];
        content.bytes.extend_from_slice(&bytes);
        volume.journal.push((Call::Write, self.name.clone()));
        match how {
            Some(How::After(_, errno)) => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(bytes.len()),
        }
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.store.before_change();
        let mut volume = self.store.lock();
        volume.count(Call::Allocate)?;
        let room = volume
            .capacity
            .unwrap_or(1 << 40)
            .saturating_sub(volume.used());
        if len > room {
            return Err(ErrorKind::StorageFull.into());
        }
        volume.contents[self.content].allocated = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.store.before_change();
        let mut volume = self.store.lock();
        let how = volume.count(Call::Sync)?;
        let content = &mut volume.contents[self.content];
        if let Some(How::Error(errno) | How::After(_, errno)) = how {
            content.doomed.push(content.synced..content.bytes.len());
            return Err(io::Error::from_raw_os_error(errno));
        }
        content.synced = content.bytes.len();
        volume.journal.push((Call::Sync, self.name.clone()));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.store.before_change();
        let mut volume = self.store.lock();
        volume.change(Call::Cut, Path::new(&self.name))?;
        let len = usize::try_from(len).unwrap();
        let content = &mut volume.contents[self.content];
        content.bytes.truncate(len);
        content.allocated = content.allocated.min(len as u64);
        content.synced = content.synced.min(len);
        for doomed in &mut content.doomed {
            *doomed = doomed.start.min(len)..doomed.end.min(len);
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut volume = self.store.lock();
        volume.count(Call::Len)?;
        Ok(volume.contents[self.content].bytes.len() as u64)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut volume = self.store.lock();
        volume.open.0 -= 1;
        if self.locks {
            volume.locked.remove(&self.content);
        }
    }
}

#[test]
fn a_power_cut_leaves_what_was_synced() {
    let store = Simulated::new();
    let path = Path::new("/a");
    let file = store.open(path, Mode::CreateNew).unwrap();
    let put = |bytes: &[u8]| file.write_vectored(&[IoSlice::new(bytes)]).unwrap();
    assert_eq!(put(b"one"), 3);
    file.sync_data().unwrap();
    assert_eq!(store.without_power(None).read(path), None, "its name");
    store.sync_dir(Path::new("/")).unwrap();
    put(b"two");
    let left = |store: &Simulated| store.without_power(None).read(path).unwrap();
    assert_eq!(left(&store), b"one");
    store.fail([Fault {
        call: Call::Sync,
        from: 1,
        times: 1,
        how: How::Error(5),
    }]);
    file.sync_data().unwrap_err();
    put(b"six");
    file.sync_data().unwrap();
    assert_eq!(
        left(&store),
        b"one\0\0\0six",
        "the second sync proves nothing"
    );
    assert_eq!(store.killed().read(path).unwrap(), b"onetwosix");
}

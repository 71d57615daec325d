//! `chunk_keys` and `ordering`: what goes together, when, and in which order.

use std::collections::BTreeMap;

use sdk::{event::FieldPath, testing};
use serde_json::json;

use super::*;

/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

fn by_tag() -> Arc<ChunkKeys> {
    Arc::new(ChunkKeys {
        tag: true,
        ..ChunkKeys::default()
    })
}

fn by_service() -> Arc<ChunkKeys> {
    Arc::new(ChunkKeys {
        fields: vec![FieldPath::key("service")],
        ..ChunkKeys::default()
    })
}

fn by_time(slot_secs: u32, wait: Option<Duration>) -> Arc<ChunkKeys> {
    Arc::new(ChunkKeys {
        time: Some(TimeKey {
            slot_secs,
            wait,
            zone: jiff::tz::TimeZone::UTC,
        }),
        ..ChunkKeys::default()
    })
}

/// In memory, on disk, and on disk without memory for what was stored.
fn all_kinds(dir: &Path, keys: &Arc<ChunkKeys>) -> [BufferSettings; 3] {
    let with_keys = |settings| BufferSettings {
        chunk_keys: Arc::clone(keys),
        flush_interval: LONG,
        ..settings
    };
    [
        with_keys(BufferSettings::memory()),
        with_keys(disk(&dir.join("a"))),
        with_keys(BufferSettings {
            recent_bytes: 0,
            segment_bytes: 400,
            ..disk(&dir.join("b"))
        }),
    ]
}

/// Records `{"n": NUMBER, "service": NAME}` of a second.
fn of_services(secs: i64, records: &[(u32, &str)]) -> (Batch, Receipt) {
    let (due, receipt) = Obligation::new();
    let mut events = Vec::new();
    for (number, service) in records {
        let mut record = Vec::new();
        write::json(&mut record, &json!({ "n": number, "service": service }));
        write_event(&mut events, Time::from_secs(secs), &record);
    }
    let count = u32::try_from(records.len()).unwrap();
    let batch = Batch::new(Tag::new("tag"), events.into(), count, due);
    (batch, receipt)
}

/// What has one key, by its key.
type ByKey<'a> = &'a dyn Fn(&Frame) -> String;

fn tag_of(frame: &Frame) -> String {
    frame.tag.as_str().to_owned()
}

fn services_of(frame: &Frame) -> String {
    let services = testing::records(&frame.events).into_iter();
    let mut services: Vec<String> = services
        .map(|record| record["service"].as_str().unwrap().to_owned())
        .collect();
    services.dedup();
    services.join("+")
}

fn bytes_gathered(rig: &Rig) -> usize {
    let index = rig.buffer.0.shared.index();
    index.gathering.iter().map(Parcel::events_len).sum()
}

impl Rig {
    async fn put_as(&self, tag: &str, numbers: std::ops::Range<u32>) {
        let (batch, receipt) = batch(tag, numbers);
        self.admit(batch).await.unwrap();
        within(receipt).await.unwrap();
    }

    async fn send_services(&self, secs: i64, records: &[(u32, &str)]) {
        let (batch, receipt) = of_services(secs, records);
        self.admit(batch).await.unwrap();
        within(receipt).await.unwrap();
    }

    /// Delivers everything, and says what each chunk had: every chunk has one key.
    async fn drain_by(&self, key: ByKey<'_>) -> Vec<(String, Vec<u32>)> {
        self.buffer.close();
        let mut all = Vec::new();
        while let Some(chunk) = within(self.buffer.next_chunk()).await {
            let mut keys: Vec<String> = chunk.frames().iter().map(key).collect();
            keys.dedup();
            assert_eq!(keys.len(), 1, "{keys:?} are in one chunk");
            all.push((keys.remove(0), self.deliver(chunk)));
        }
        all
    }

    /// Whether no chunk is due now.
    async fn has_nothing_due(&self) -> bool {
        let next = self.buffer.next_chunk();
        let soon = Duration::from_millis(100);
        tokio::time::timeout(soon, next).await.is_err()
    }

    fn check_empty(&self) {
        let books = (self.account.imbalance(), self.account.held_now());
        assert_eq!(books, (0, 0));
        assert!(self.buffer.is_empty());
    }
}

#[tokio::test]
async fn a_chunk_has_records_of_one_tag() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(settings);
        for round in 0..20 {
            for (at, tag) in (0..).zip(["a", "b", "c"]) {
                let number = round * 3 + at;
                rig.put_as(tag, number..number + 1).await;
            }
        }
        assert!(rig.has_nothing_due().await, "they wait for others");
        assert_eq!(rig.buffer.status().stage.chunks, 3);
        let every_third = |first| (0..20_u32).map(move |round| round * 3 + first);
        let expected = [(0, "a"), (1, "b"), (2, "c")]
            .map(|(first, tag)| (tag.to_owned(), every_third(first).collect::<Vec<u32>>()));
        assert_eq!(rig.drain_by(&tag_of).await, expected);
        rig.check_empty();
    }
}

#[tokio::test]
async fn a_batch_is_parted_by_a_field_and_answered_for_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_service()) {
        let rig = Rig::open(settings);
        let mixed = [(0, "web"), (1, "db"), (2, "web"), (3, "db"), (4, "mail")];
        rig.send_services(0, &mixed).await;
        rig.send_services(0, &[(5, "db"), (6, "db")]).await;
        let expected = [
            ("web", vec![0, 2]),
            ("db", vec![1, 3, 5, 6]),
            ("mail", vec![4]),
        ]
        .map(|(service, numbers)| (service.to_owned(), numbers));
        assert_eq!(rig.drain_by(&services_of).await, expected);
        rig.check_empty();
    }
}

#[tokio::test]
async fn a_full_chunk_is_due_at_once_and_others_wait() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(BufferSettings {
            chunk_limit_records: Some(3),
            ..settings
        });
        rig.put_as("slow", 0..1).await;
        rig.put_as("busy", 1..3).await;
        assert!(rig.has_nothing_due().await);
        rig.put_as("busy", 3..5).await;
        // It has no room for two more, so it is complete; the next one begins with them.
        assert_eq!(rig.deliver(rig.take().await), [1, 2]);
        rig.put_as("busy", 5..6).await;
        assert_eq!(rig.deliver(rig.take().await), [3, 4, 5]);
        assert!(rig.has_nothing_due().await);
        rig.buffer.flush();
        assert_eq!(rig.deliver(rig.take().await), [0]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn what_waited_for_its_interval_is_due_for_each_key() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let interval = Duration::from_millis(300);
        let rig = Rig::open(BufferSettings {
            flush_interval: interval,
            ..settings
        });
        let begun = Instant::now();
        rig.put_as("a", 0..1).await;
        rig.put_as("b", 1..2).await;
        let chunk = rig.take().await;
        assert!(begun.elapsed() >= interval);
        assert_eq!(rig.deliver(chunk), [0]);
        assert_eq!(rig.deliver(rig.take().await), [1]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn a_slot_of_time_is_due_when_it_is_over_and_late_ones_had_their_wait() {
    let dir = tempfile::tempdir().unwrap();
    let wait = Duration::from_millis(400);
    for settings in all_kinds(dir.path(), &by_time(1, Some(wait))) {
        let rig = Rig::open(settings);
        let now = Time::now().secs;
        rig.send_services(now, &[(0, "a")]).await;
        rig.send_services(now + 1, &[(1, "a")]).await;
        rig.send_services(now, &[(2, "a")]).await;
        let past_end = |slot: i64| {
            let ends_ms = u64::try_from(slot + 1).unwrap() * 1_000 + 400;
            now_ms() >= ends_ms
        };
        let chunk = rig.take().await;
        assert!(past_end(now), "too early");
        assert_eq!(rig.deliver(chunk), [0, 2]);
        let chunk = rig.take().await;
        assert!(past_end(now + 1), "too early");
        assert_eq!(rig.deliver(chunk), [1]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn a_time_that_is_far_off_holds_nothing_up() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_time(1, Some(Duration::from_millis(50)))) {
        let rig = Rig::open(settings);
        let now = Time::now().secs;
        for (number, secs) in (0..).zip([now + 86_400 * 4_000, 0, now - 86_400, 4_294_967_295]) {
            rig.send_services(secs, &[(number, "a")]).await;
        }
        let mut all = Vec::new();
        for _ in 0..4 {
            all.extend(rig.deliver(rig.take().await));
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn chunks_that_were_growing_are_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let [_, settings, _] = all_kinds(dir.path(), &by_tag());
    let rig = Rig::open(settings.clone());
    for (number, tag) in (0..).zip(["a", "b", "a", "b", "a"]) {
        rig.put_as(tag, number..number + 1).await;
    }
    assert!(rig.has_nothing_due().await);
    drop(rig);
    let rig = Rig::open(settings);
    rig.put_as("b", 5..6).await;
    let expected = [("a", vec![0, 2, 4]), ("b", vec![1, 3, 5])];
    let expected = expected.map(|(tag, numbers)| (tag.to_owned(), numbers));
    assert_eq!(rig.drain_by(&tag_of).await, expected);
    rig.check_empty();
}

#[tokio::test]
async fn what_waits_beyond_the_memory_for_it_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let rig = Rig::open(BufferSettings {
        recent_bytes: 2_000,
        segment_bytes: 900,
        chunk_keys: by_tag(),
        flush_interval: LONG,
        ..disk(dir.path())
    });
    let tags = ["a", "b", "c", "d", "e"];
    let mut expected: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for number in 0..300_u32 {
        let tag = tags[number as usize * 7 % 5];
        rig.put_as(tag, number..number + 1).await;
        expected.entry(tag.to_owned()).or_default().push(number);
    }
    assert!(rig.has_nothing_due().await);
    let in_memory = bytes_gathered(&rig);
    assert!(in_memory <= 2_000, "{in_memory}");
    let chunks: BTreeMap<String, Vec<u32>> = rig.drain_by(&tag_of).await.into_iter().collect();
    assert_eq!(chunks, expected);
    rig.check_empty();
}

#[tokio::test]
async fn whoever_waits_for_room_gets_it_from_what_is_not_due() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(BufferSettings {
            total_limit_bytes: 4_000,
            segment_bytes: 500,
            ..settings
        });
        let work = async {
            let mut all = Vec::new();
            while let Some(chunk) = rig.buffer.next_chunk().await {
                all.extend(rig.deliver(chunk));
            }
            all
        };
        let send = async {
            for number in 0..200 {
                rig.put_as(["a", "b"][number as usize % 2], number..number + 1)
                    .await;
            }
            rig.buffer.close();
        };
        let (mut all, ()) = within(async { tokio::join!(work, send) }).await;
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        rig.check_empty();
    }
}

#[tokio::test]
async fn with_an_order_by_key_the_next_chunk_of_a_key_waits_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(BufferSettings {
            flush_interval: Duration::ZERO,
            chunk_limit_records: Some(1),
            ordering: ChunkOrder::PerChunkKey,
            ..settings
        });
        for (number, tag) in (0..).zip(["a", "a", "b", "a", "b"]) {
            rig.put_as(tag, number..number + 1).await;
        }
        let first = rig.take().await;
        let other = rig.take().await;
        assert_eq!(
            (numbers(first.frames()), numbers(other.frames())),
            (vec![0], vec![2])
        );
        assert!(rig.has_nothing_due().await, "both keys are under way");
        rig.deliver(other);
        let other = rig.take().await;
        assert_eq!(numbers(other.frames()), [4]);
        // A chunk that failed and waits holds up its key too.
        first.set_aside(Instant::now() + Duration::from_millis(200));
        rig.deliver(other);
        let mut order = Vec::new();
        for _ in 0..3 {
            order.extend(rig.deliver(rig.take().await));
        }
        assert_eq!(order, [0, 1, 3]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn in_a_strict_order_one_chunk_is_under_way() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &Arc::default()) {
        let rig = Rig::open(BufferSettings {
            flush_interval: Duration::ZERO,
            chunk_limit_records: Some(1),
            ordering: ChunkOrder::Strict,
            ..settings
        });
        for (number, tag) in (0..).zip(["a", "b", "c"]) {
            rig.put_as(tag, number..number + 1).await;
        }
        let first = rig.take().await;
        assert!(rig.has_nothing_due().await);
        first.set_aside(Instant::now() + Duration::from_millis(200));
        assert!(rig.has_nothing_due().await, "it holds up the others");
        let mut order = Vec::new();
        for _ in 0..3 {
            order.extend(rig.deliver(rig.take().await));
        }
        assert_eq!(order, [0, 1, 2]);
        rig.check_empty();
    }
}

#[tokio::test]
async fn of_what_waits_by_keys_the_oldest_goes_when_there_is_no_room() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(BufferSettings {
            total_limit_bytes: 40 * 150 + 256,
            segment_bytes: 600,
            overflow: Overflow::DropOldestChunk,
            ..settings
        });
        for number in 0..200 {
            let tag = ["a", "b"][number as usize % 2];
            within(rig.put_as(tag, number..number + 1)).await;
            if number % 20 == 0 {
                // A worker looks, so that they are gathered.
                let look = tokio::time::timeout(Duration::from_millis(5), rig.buffer.next_chunk());
                if let Ok(Some(chunk)) = look.await {
                    drop(chunk);
                }
            }
        }
        let delivered = rig.drain_by(&tag_of).await;
        let delivered: usize = delivered.iter().map(|(_, numbers)| numbers.len()).sum();
        let dropped = rig.dropped(DropReason::Overflow);
        assert!(dropped > 0);
        assert_eq!(delivered as u64 + dropped, 200);
        rig.check_empty();
    }
}

#[tokio::test]
async fn other_keys_take_over_while_records_wait() {
    let dir = tempfile::tempdir().unwrap();
    for settings in all_kinds(dir.path(), &by_tag()) {
        let rig = Rig::open(settings.clone());
        let mut number = 0;
        let changes = [by_tag(), by_service(), Arc::default(), by_time(60, None)];
        for keys in changes.iter().chain(&changes) {
            rig.buffer.change(&BufferSettings {
                chunk_keys: Arc::clone(keys),
                ..settings.clone()
            });
            for tag in ["a", "b", "a"] {
                rig.put_as(tag, number..number + 1).await;
                number += 1;
            }
            if number % 2 == 0 {
                // What was gathered by other keys is complete, so a worker may get it.
                let look = tokio::time::timeout(Duration::from_millis(5), rig.buffer.next_chunk());
                drop(look.await);
            }
        }
        let mut all = rig.drain().await;
        all.sort_unstable();
        assert_eq!(all, (0..number).collect::<Vec<_>>());
        rig.check_empty();
    }
}

//! What broke in other routers, tried from outside; the numbers are those of the table in `docs/RESULTS.md`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    delivery::{ROUTER, SERVICE, TO_FILES, numbers, receiver},
    harness::{
        Sender, Weir, bulk, eventually, forward, free_port, holds,
        weir::{BINARY, Home, command},
    },
};

/// A match `away` to a receiver at this port.
fn away(port: u16, buffer: &str) -> String {
    format!(
        r#"
[[match]]
id = "away"
tag = "**"
type = "forward"
[[match.server]]
host = "127.0.0.1"
port = {port}
[match.buffer]
retry_wait = "100ms"
retry_max_interval = "200ms"
flush_interval = "0s"
{buffer}
"#
    )
}

/// Sends records and waits until they are stored.
fn store(weir: &Weir, numbers: std::ops::Range<u64>) {
    let mut sender = Sender::connect(weir.listens("in"));
    for n in numbers {
        let chunk = n.to_string();
        sender.send(&forward::packed(
            "a",
            &forward::numbered(n, 1),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
    }
}

/// Every file below a folder with what is in it.
fn everything(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(everything(&path));
        } else {
            all.insert(path.clone(), fs::read(path).expect("a file"));
        }
    }
    all
}

/// Sends one record after the other until one is not acknowledged in time; how many were.
fn fill(weir: &Weir, padding: usize) -> u64 {
    let mut sender = Sender::connect(weir.listens("in"));
    let patience = Some(Duration::from_secs(1));
    sender.0.set_read_timeout(patience).expect("a timeout");
    for n in 0.. {
        let record = json!({ "n": n, "padding": "x".repeat(padding) });
        let entry = forward::entry(1_764_000_000, &record);
        sender.send(&forward::packed("a", &entry, Some("some chunk")));
        let mut answer = [0; 16];
        if std::io::Read::read_exact(&mut sender.0, &mut answer).is_err() {
            return n;
        }
    }
    unreachable!()
}

#[test]
fn l08_a_router_that_blocks_is_idle_and_ends_in_time() {
    let port = free_port();
    let limits = "total_limit_size = \"2MiB\"\nchunk_limit_size = \"1MiB\"\n";
    let home = Home::new(&format!("{SERVICE}{}", away(port, limits)));
    let running = home.start();
    let stored = fill(&running, 100_000);
    assert!(stored > 3, "{stored}");
    let (since, before) = (Instant::now(), running.cpu());
    holds("some time passes", 10, &true, || {
        since.elapsed() > Duration::from_secs(3)
    });
    let share = running.cpu().saturating_sub(before).as_secs_f64() / since.elapsed().as_secs_f64();
    // It asks for the receiver a few times a second; spinning would be a whole processor.
    assert!(share < 0.10, "{share} of a processor while it blocks");
    let since = Instant::now();
    assert!(running.stop().success());
    assert!(
        since.elapsed() < Duration::from_secs(15),
        "{:?}",
        since.elapsed()
    );
    // What was acknowledged is there, and goes on when the receiver comes.
    let receiver = receiver(port, "");
    let (running, receiving) = (home.start(), receiver.start());
    running.settles(30);
    receiving.settles(30);
    let arrived = numbers(&receiver.records("out"));
    assert!(
        (0..stored).all(|n| arrived.binary_search(&n).is_ok()),
        "{} of {stored}",
        arrived.len()
    );
    assert!(running.stop().success() && receiving.stop().success());
}

#[test]
fn l09_only_what_is_refused_reaches_its_limit() {
    let server = bulk::start();
    let matches = format!(
        r#"
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://{server}"]
[match.buffer]
flush_interval = "0s"
chunk_limit_records = 10
flush_thread_count = 4
retry_wait = "20ms"
retry_max_interval = "50ms"
retry_max_times = 2
"#
    );
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let running = home.start();
    let unwelcome = |n: &u64| n.is_multiple_of(37);
    let mut sender = Sender::connect(running.listens("in"));
    for first in (0..1_000_u64).step_by(10) {
        let entry = |n| {
            let word = if unwelcome(&n) {
                bulk::UNWELCOME
            } else {
                "fits"
            };
            forward::entry(1_764_000_000, &json!({ "n": n, "message": word }))
        };
        let entries: Vec<u8> = (first..first + 10).flat_map(entry).collect();
        let chunk = first.to_string();
        sender.send(&forward::packed("a", &entries, Some(&chunk)));
        sender.expect_ack(&chunk);
    }
    running.settles(60);
    let dead = command(home.path(), &["dead", "cat", "data/dead/es"], &[]).lines();
    let dead: Vec<_> = dead.iter().map(|line| line["record"].clone()).collect();
    assert_eq!(
        numbers(&dead),
        (0..1_000).filter(unwelcome).collect::<Vec<_>>()
    );
    let sent = running.metrics().sum("weir_sent_records_total", &[]);
    assert_eq!(
        sent,
        f64::from(1_000 - u32::try_from(dead.len()).expect("few"))
    );
    assert!(running.stop().success());
}

#[test]
fn l20_a_configuration_that_is_wrong_touches_no_buffer() {
    let home = Home::new(&format!("{SERVICE}{}", away(free_port(), "")));
    let running = home.start();
    store(&running, 0..20);
    running.kill();
    let before = everything(&home.path().join("data"));
    assert!(!before.is_empty());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let good = fs::read_to_string(home.config()).expect("a file");
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).expect("configurations").flatten() {
        if entry
            .path()
            .extension()
            .is_some_and(|ending| ending == "toml")
        {
            let broken = fs::read_to_string(entry.path()).expect("text");
            // Alone, and as an edit of the one that runs.
            texts.push(format!("{good}\n{broken}"));
            texts.push(broken);
        }
    }
    let mut count = 0;
    for text in texts {
        fs::write(home.config(), &text).expect("a file");
        if command(home.path(), &["check", "-c", "weir.toml"], &[]).code == 0 {
            // What was broken alone may be whole together.
            continue;
        }
        count += 1;
        let output = Command::new(BINARY)
            .args(["run", "-c", "weir.toml"])
            .current_dir(home.path())
            .output()
            .expect("weir runs");
        assert_eq!(output.status.code(), Some(78), "{text}");
        assert_eq!(everything(&home.path().join("data")), before, "{text}");
    }
    assert!(count >= 50, "{count} configurations");
}

#[test]
fn l22_a_damaged_buffer_starts_ready_says_so_and_takes_new_records() {
    let port = free_port();
    let home = Home::new(&format!("{SERVICE}{}", away(port, "")));
    let running = home.start();
    store(&running, 0..20);
    running.kill();
    let buffer = home.path().join("data/buffer/away");
    let mut count = 0;
    for entry in fs::read_dir(&buffer).expect("a folder").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "seg") {
            let mut bytes = fs::read(&path).expect("a file");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x55;
            fs::write(&path, bytes).expect("a file");
            count += 1;
        }
    }
    assert!(count > 0);
    // A file of another program, one without content, and a segment of nothing but bytes of chance.
    fs::write(buffer.join("notes.txt"), "not ours").expect("a file");
    fs::write(buffer.join("00000000000f0000.seg"), b"").expect("a file");
    fs::write(buffer.join("00000000000e0000.seg"), [0x5a; 5_000]).expect("a file");
    let receiver = receiver(port, "");
    let receiving = receiver.start();
    let running = home.start();
    store(&running, 20..40);
    running.settles(30);
    receiving.settles(30);
    let metrics = running.metrics();
    assert!(metrics.sum("weir_buffer_corrupt_ranges_total", &[]) > 0.0);
    let lost = metrics.sum("weir_dropped_records_total", &["reason=\"corrupt\""]);
    assert_eq!(lost, 1.0);
    let arrived = numbers(&receiver.records("out"));
    assert_eq!(arrived.len(), 39);
    assert!(
        (20..40).all(|n| arrived.binary_search(&n).is_ok()),
        "{arrived:?}"
    );
    let quarantined = fs::read_dir(buffer.join("quarantine"))
        .expect("a quarantine")
        .count();
    assert!(quarantined >= 2, "{quarantined}");
    assert!(running.stop().success() && receiving.stop().success());
}

#[test]
fn l27_many_signals_end_it_as_one_does() {
    let home = Home::new(&format!("{SERVICE}{}", away(free_port(), "")));
    let running = home.start();
    store(&running, 0..20);
    let since = Instant::now();
    for signal in ["HUP", "TERM", "HUP", "TERM", "TERM", "HUP", "TERM"] {
        // It may have ended meanwhile, which is no error.
        drop(
            Command::new("kill")
                .args([format!("-{signal}"), running.pid().to_string()])
                .output(),
        );
    }
    assert!(running.wait_end(40).success());
    assert!(
        since.elapsed() < Duration::from_secs(25),
        "{:?}",
        since.elapsed()
    );
}

#[test]
fn l30_the_buffer_of_an_output_that_is_not_configured_waits_for_it() {
    let port = free_port();
    let home = Home::new(&format!("{SERVICE}{}", away(port, "")));
    let running = home.start();
    store(&running, 0..20);
    assert!(running.stop().success());
    let buffer = home.path().join("data/buffer/away");
    let before = everything(&buffer);
    let with = fs::read_to_string(home.config()).expect("a file");
    fs::write(home.config(), format!("{SERVICE}{TO_FILES}")).expect("a file");
    let running = home.start();
    store(&running, 20..40);
    running.settles(20);
    assert!(running.stop().success());
    assert_eq!(everything(&buffer), before);
    let receiver = receiver(port, "");
    let receiving = receiver.start();
    fs::write(home.config(), with).expect("a file");
    let running = home.start();
    running.settles(30);
    receiving.settles(30);
    assert_eq!(
        numbers(&receiver.records("out")),
        (0..20).collect::<Vec<_>>()
    );
    assert_eq!(numbers(&home.records("out")), (20..40).collect::<Vec<_>>());
    assert!(running.stop().success() && receiving.stop().success());
}

#[test]
fn l31_a_hundred_outputs_are_each_one_of_their_own() {
    let mut matches = String::from("[[match]]\ntag = \"**\"\ntype = \"copy\"\n");
    for store in 0..100 {
        write!(
            matches,
            "[[match.store]]\nid = \"out-{store}\"\ntype = \"file\"\npath = \"out/{store}.log\"\n\
             [match.store.buffer]\nflush_interval = \"0s\"\ntotal_limit_size = \"1MiB\"\nchunk_limit_size = \"512KiB\"\n"
        )
        .expect("text");
    }
    let home = Home::new(&format!("{SERVICE}{matches}"));
    let running = home.start();
    store(&running, 0..3);
    running.settles(60);
    for store in 0..100 {
        let records = home.records(&format!("out/{store}.log"));
        assert_eq!(numbers(&records), [0, 1, 2], "store {store}");
    }
    assert!(running.stop().success());
}

#[test]
fn l48_what_fails_while_it_ends_is_there_after_the_next_start() {
    let port = free_port();
    let home = Home::new(&format!(
        "{SERVICE}{}",
        away(port, "chunk_limit_records = 7\nflush_at_shutdown = true\n")
    ));
    let running = home.start();
    store(&running, 0..50);
    eventually("it has tried and failed", 20, || {
        (running.metrics().sum("weir_output_retries_total", &[]) > 3.0).then_some(())
    });
    // Every attempt fails, to the end of its time.
    running.signal("TERM");
    running.wait_end(60);
    let receiver = receiver(port, "");
    let receiving = receiver.start();
    let running = home.start();
    running.settles(30);
    receiving.settles(30);
    assert_eq!(
        numbers(&receiver.records("out")),
        (0..50).collect::<Vec<_>>()
    );
    assert!(running.stop().success() && receiving.stop().success());
}

/// Two stores, of which one is full and refuses: nothing is in the other that was not acknowledged.
#[test]
fn l52_a_store_that_refuses_leaves_nothing_in_the_others() {
    let port = free_port();
    let matches = format!(
        r#"
[[source]]
id = "in"
type = "forward"
listen = "127.0.0.1:0"
[[match]]
tag = "**"
type = "copy"
[[match.store]]
id = "files"
type = "file"
path = "out/all.log"
[match.store.buffer]
flush_interval = "0s"
[[match.store]]
id = "away"
type = "forward"
[[match.store.server]]
host = "127.0.0.1"
port = {port}
[match.store.buffer]
total_limit_size = "2MiB"
chunk_limit_size = "1MiB"
overflow_action = "throw_exception"
retry_wait = "100ms"
retry_max_interval = "200ms"
"#
    );
    let home = Home::new(&format!("{ROUTER}{matches}"));
    let running = home.start();
    let stored = fill(&running, 100_000);
    assert!(stored > 3, "{stored}");
    // More that is refused, a few times.
    for _ in 0..5 {
        let mut sender = Sender::connect(running.listens("in"));
        let record = json!({ "n": 1_000_000, "padding": "x".repeat(900_000) });
        let entry = forward::entry(1_764_000_000, &record);
        sender.send(&forward::packed("a", &entry, Some("refused")));
        assert!(sender.is_closed());
    }
    let all: Vec<u64> = (0..stored).collect();
    holds("the files have what was acknowledged", 20, &all, || {
        numbers(&home.records("out"))
    });
    let receiver = receiver(port, "");
    let receiving = receiver.start();
    running.settles(30);
    receiving.settles(30);
    assert_eq!(numbers(&home.records("out")), all);
    assert_eq!(numbers(&receiver.records("out")), all);
    assert!(running.stop().success() && receiving.stop().success());
}

//! Many reloads under load, half of them refused: no connection ends, no connect is refused, nothing is lost.
//!
//! `cargo xtask campaign reload` runs this with more of them: `WEIR_RELOADS` is their number, and `WEIR_SEED` is where the
//! random choices begin.

use std::{collections::HashMap, env, str::FromStr};

use super::{
    kit::{Load, SERVICE, TO_FILES, put, reload},
    sources::Knocking,
};
use crate::harness::weir::{Home, unbalanced};

fn asked<T: FromStr>(variable: &str, default: T) -> T {
    let value = env::var(variable).ok();
    value.map_or(default, |value| {
        value
            .parse()
            .ok()
            .expect("a whole number in the environment")
    })
}

/// Parts that are there or not, and have a number that changes.
const PARTS: [&str; 4] = [
    r#"
[[source]]
id = "beside"
type = "forward"
listen = "127.0.0.1:0"
tag = "tNUMBER"
"#,
    r#"
[[filter]]
id = "mark"
type = "record_transformer"
tag = "**"
[filter.record]
mark = "NUMBER"
"#,
    r#"
[[filter]]
id = "join"
type = "concat"
tag = "no.**"
key = "log"
multiline_start_regexp = "^\\d"
flush_interval = "NUMBERs"
"#,
    SOMETIMES,
];

/// An output that comes and goes with what it has.
const SOMETIMES: &str = r#"
[[match]]
id = "sometimes"
tag = "load.**"
type = "file"
path = "out/sometimes.log"
"#;

/// What the buffer of the output that stays may be told.
const OPTIONS: [&str; 5] = [
    "flush_thread_count = 3",
    "chunk_limit_size = \"256KiB\"",
    "total_limit_size = \"64MiB\"",
    "durability = \"os\"",
    "",
];

/// A configuration that can run. The source `in` and the output `files` are in each.
fn sound(random: &mut fastrand::Rng) -> String {
    let mut text = SERVICE.to_owned();
    for part in PARTS {
        if random.bool() {
            text += &part.replace("NUMBER", &random.u8(1..100).to_string());
        }
    }
    let path = ["out/all.log", "out/more.log"][random.usize(..2)];
    let option = OPTIONS[random.usize(..OPTIONS.len())];
    text + &TO_FILES.replace("out/all.log", path) + option + "\n"
}

/// The same with a mistake, or with something that cannot be.
fn broken(sound: &str, occupied: u16, random: &mut fastrand::Rng) -> String {
    match random.u8(..5) {
        0 => sound.replacen(']', "", 1 + random.usize(..3)),
        1 => sound.replace("type = \"file\"", "type = \"fiel\""),
        2 => {
            let listen = format!("listen = \"127.0.0.1:{occupied}\"");
            format!("{sound}\n[[source]]\nid = \"clash\"\ntype = \"forward\"\n{listen}\n")
        }
        3 => sound.replace("data_dir = \"data\"", "data_dir = \"elsewhere\""),
        _ => format!("{sound}\nsurprise = 1\n"),
    }
}

#[test]
fn nothing_is_lost_in_many_reloads() {
    let (count, seed) = (asked("WEIR_RELOADS", 10_u32), asked("WEIR_SEED", 1));
    let mut random = fastrand::Rng::with_seed(seed);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let occupied = taken.local_addr().expect("bound").port();
    let home = Home::new(&sound(&mut random));
    let weir = home.start();
    let knocking = Knocking::begin(weir.listens("in"));
    let load = Load::start(&weir, 4);
    for number in 0..count {
        let good = sound(&mut random);
        let (text, expected) = match number % 2 {
            0 => (good, 200),
            _ => (broken(&good, occupied, &mut random), 422),
        };
        put(&home, &text);
        let (status, answer) = reload(&weir);
        assert_eq!(status, expected, "reload {number}: {answer}\n{text}");
        load.go_on(1 + random.u64(..8));
    }
    let acked = load.finish();
    let connects = knocking.end();
    // What is left in the buffer of the output that comes and goes is delivered when it is there.
    put(&home, &format!("{SERVICE}{SOMETIMES}{TO_FILES}"));
    assert_eq!(reload(&weir).0, 200);
    weir.settles(60);
    assert_eq!(unbalanced(&weir.metrics()), Vec::<String>::new());
    assert!(weir.stop().success());
    let mut arrived: HashMap<u64, u32> = HashMap::new();
    for record in home.records("out") {
        let number = record["n"].as_u64().expect("a number");
        *arrived.entry(number).or_default() += 1;
    }
    let lost = acked.iter().filter(|n| !arrived.contains_key(n)).count();
    let twice = arrived.values().filter(|count| **count > 1).count();
    println!(
        "result reload: reloads={count} refused={} acknowledged={} lost={lost} twice={twice} connects={connects} seed={seed}",
        count / 2,
        acked.len()
    );
    assert_eq!(lost, 0, "acknowledged records are missing");
    assert_eq!(arrived.len(), acked.len(), "there is what nobody sent");
}

//! Real fluent loggers through to a file, exact: a matrix of who sends and how. Each cell is a test, or says why the
//! logger cannot; `tests/clients/README.md` shows the same matrix.

mod containers;

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{
        Weir,
        clients::{self, Asked, KEY, PASSWORD, USER},
        holds,
        weir::Home,
    },
};

const RECORDS: u64 = 1_000;

/// A column of the matrix. In the columns besides `plain`, loggers ask for acknowledgements where they can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In the clear, without acknowledgements.
    Plain,
    Tls,
    SharedKey,
    Ack,
    Compressed,
}

/// A row: the tests that its cells ran for. A row without one of the five columns does not compile.
macro_rules! matrix {
    ($($logger:ident $name:literal {
        plain: $plain:tt,
        tls: $tls:tt,
        shared_key: $shared_key:tt,
        ack: $ack:tt,
        compressed: $compressed:tt,
    })*) => {
        $(mod $logger {
            use super::{Way, $logger as sends};
            cell!(plain Plain $plain);
            cell!(tls Tls $tls);
            cell!(shared_key SharedKey $shared_key);
            cell!(ack Ack $ack);
            cell!(compressed Compressed $compressed);
        })*

        /// Every logger with, for each way, the reason why it cannot.
        const MATRIX: &[(&str, [Option<&str>; 5])] = &[
            $(($name, [why!($plain), why!($tls), why!($shared_key), why!($ack), why!($compressed)]),)*
        ];
    };
}

macro_rules! cell {
    ($test:ident $way:ident runs) => {
        #[test]
        fn $test() {
            sends(Way::$way);
        }
    };
    ($test:ident $way:ident $why:literal) => {};
}

macro_rules! why {
    (runs) => {
        None
    };
    ($why:literal) => {
        Some($why)
    };
}

matrix! {
    python "Python `fluent-logger`" {
        plain: runs,
        tls: "it knows TCP and Unix sockets only",
        shared_key: "it has no handshake",
        ack: "it sends no option, and throws away what it reads",
        compressed: "it knows Message mode only",
    }
    npm_fluent_logger "npm `fluent-logger`" {
        plain: runs,
        tls: runs,
        shared_key: runs,
        ack: runs,
        compressed: runs,
    }
    npm_fluent_org_logger "npm `@fluent-org/logger`" {
        plain: runs,
        tls: runs,
        shared_key: runs,
        ack: runs,
        compressed: runs,
    }
    go "Go `fluent-logger-golang`" {
        plain: runs,
        tls: runs,
        shared_key: "it has no handshake",
        ack: runs,
        compressed: "it knows Message mode only",
    }
    fluency "Java Fluency" {
        plain: runs,
        tls: runs,
        shared_key: "it has no handshake",
        ack: runs,
        compressed: "it packs entries, but never compresses them",
    }
    docker "Docker engine" {
        plain: runs,
        tls: "its driver in Docker 20.10, the version of Debian 12, knows TCP and Unix sockets only",
        shared_key: "its logger is the one for Go, which has no handshake",
        ack: runs,
        compressed: "its logger is the one for Go, which knows Message mode only",
    }
}

fn python(way: Way) {
    each("python", way, &["message"], "none", false);
}

fn npm_fluent_logger(way: Way) {
    each(
        "fluent-logger",
        way,
        &["message", "packed"],
        "compressed",
        true,
    );
}

fn npm_fluent_org_logger(way: Way) {
    let modes = ["message", "forward", "packed"];
    each("@fluent-org/logger", way, &modes, "compressed", true);
}

fn go(way: Way) {
    each("go", way, &["message", "json"], "none", true);
}

fn fluency(way: Way) {
    each("fluency", way, &["packed"], "none", true);
}

fn docker(way: Way) {
    containers::arrives(way);
}

/// Sends in one way: in the first of the event modes, or in all of them where acknowledgements are the matter.
fn each(name: &str, way: Way, modes: &[&str], compressed: &str, can_ask: bool) {
    let modes = match way {
        Way::Ack => modes,
        Way::Compressed => &[compressed],
        Way::Plain | Way::Tls | Way::SharedKey => &modes[..1],
    };
    for mode in modes {
        println!("{name}, {way:?}, {mode}");
        let asked = Asked {
            mode: Some(mode),
            acks: can_ask && way != Way::Plain,
            tls: way == Way::Tls,
            key: way == Way::SharedKey,
        };
        arrives(name, way, asked);
    }
}

/// A router into a file, whose source wants from its senders what this way has.
fn home(way: Way, source: &str) -> Home {
    let certificates = clients::certificates();
    let certificates = certificates.display();
    let tables = match way {
        Way::Tls => format!(
            r#"
[source.tls]
cert_path = "{certificates}/server.pem"
private_key_path = "{certificates}/server.key"
"#
        ),
        Way::SharedKey => format!(
            r#"
[source.security]
self_hostname = "receiver"
shared_key = "{KEY}"
user_auth = true
[[source.security.user]]
username = "{USER}"
password = "{PASSWORD}"
"#
        ),
        Way::Plain | Way::Ack | Way::Compressed => String::new(),
    };
    Home::new(&format!("{SERVICE}{source}{tables}{TO_FILES}"))
}

/// Runs one logger; every record must be in the file once, and acknowledged when the logger asks.
fn arrives(name: &str, way: Way, asked: Asked<'_>) {
    let home = home(way, "");
    let weir = home.start();
    let client = clients::logger(name, weir.listens("in").port(), "t", RECORDS, asked);
    let known = client.finish(60);
    let expected: BTreeSet<u64> = (0..RECORDS).collect();
    if asked.acks {
        assert_eq!(BTreeSet::from_iter(known), expected);
    } else {
        assert_eq!(known.len(), 0);
    }
    acknowledges(&weir, asked.acks);
    holds("every record is in the file", 30, &expected, || {
        home.records("out")
            .iter()
            .filter_map(|record| record["id"].as_u64())
            .collect()
    });
    let records = home.records("out");
    assert_eq!(records.len() as u64, RECORDS, "a record is there twice");
    for record in records {
        let id = record["id"].as_u64().expect("a number");
        assert_eq!(record["n"], id);
        assert_eq!(record["message"], format!("record {id}"));
        assert_eq!(record["tag"], "t");
    }
    weir.settles(10);
    assert!(weir.stop().success());
}

/// Whether the router itself has seen that it was asked for acknowledgements.
fn acknowledges(weir: &Weir, asked: bool) {
    let acks = weir.metrics().sum("weir_forward_acks_total", &[]);
    assert_eq!(acks > 0.0, asked, "{acks} acknowledgements were written");
}

/// The matrix as the README shows it.
fn table() -> String {
    let mut table = String::from(
        "| Logger | plain | TLS | shared key | ack | compressed |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for (name, cells) in MATRIX {
        let cells = cells.map(|why| why.map_or("yes".to_owned(), |why| format!("cannot: {why}")));
        writeln!(table, "| {name} | {} |", cells.join(" | ")).expect("a string");
    }
    table
}

#[test]
fn the_readme_shows_the_matrix() {
    let readme = include_str!("clients/README.md");
    assert!(
        readme.contains(&table()),
        "tests/clients/README.md must have this table:\n{}",
        table()
    );
}

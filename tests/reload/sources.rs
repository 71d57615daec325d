//! Sources: those that stay keep their sockets and connections, those that change hand their sockets on.

use std::{
    fs,
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::json;

use super::kit::{Load, SERVICE, TO_FILES, put, reload, taken};
use crate::{
    delivery::{ROUTER, numbers},
    harness::{Sender, eventually, forward, free_port, holds, weir::Home},
};

/// The service with a source at this address, and more in its table.
fn at(address: &str, more: &str) -> String {
    let service = SERVICE.replace(
        "type = \"forward\"\nlisten = \"127.0.0.1:0\"",
        &format!("type = \"forward\"\nlisten = \"{address}\"\n{more}"),
    );
    format!("{service}{TO_FILES}")
}

/// Connects again and again until it is dropped. A connect that is refused fails the test.
pub(super) struct Knocking {
    ends: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl Knocking {
    pub(super) fn begin(address: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let knock = move || {
            let mut count = 0;
            while !told.load(Ordering::Relaxed) {
                let connected = TcpStream::connect_timeout(&address, Duration::from_secs(10));
                connected.expect("no connect is refused");
                count += 1;
                thread::sleep(Duration::from_micros(500));
            }
            count
        };
        Self {
            ends,
            thread: Some(thread::spawn(knock)),
        }
    }

    pub(super) fn end(mut self) -> u64 {
        self.ends.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs");
        thread.join().expect("no connect was refused")
    }
}

#[test]
fn a_source_that_changes_hands_its_socket_on() {
    let home = Home::new(&at("127.0.0.1:0", "tag = \"one\""));
    let weir = home.start();
    let address = weir.listens("in");
    let knocking = Knocking::begin(address);
    let mut sender = Sender::connect(address);
    sender.send(&forward::packed("a", &forward::numbered(0, 10), Some("c1")));
    sender.expect_ack("c1");
    for round in 0..5 {
        put(
            &home,
            &at("127.0.0.1:0", &format!("tag = \"round{round}\"")),
        );
        assert_eq!(taken(&weir)["changed"], json!(["in"]));
        // Its connections end as in a drain: with nothing owed and an orderly close.
        assert!(sender.is_closed());
        sender = Sender::connect(address);
        let chunk = format!("r{round}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(10 + round, 1),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
    }
    assert!(knocking.end() > 20);
    weir.settles(20);
    assert_eq!(numbers(&home.records("out")), (0..15).collect::<Vec<_>>());
    assert!(weir.stop().success());
}

#[test]
fn a_message_that_is_arriving_when_its_source_changes_is_answered() {
    let home = Home::new(&at("127.0.0.1:0", ""));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let message = forward::packed("a", &forward::numbered(0, 1000), Some("c"));
    let (begin, rest) = message.split_at(message.len() / 2);
    sender.send(begin);
    holds("it is being read", 20, &1.0, || {
        weir.metrics().sum("weir_forward_connections", &[])
    });
    put(&home, &at("127.0.0.1:0", "tag = \"other\""));
    thread::scope(|scope| {
        scope.spawn(|| taken(&weir));
        // The reload waits for the message; the rest comes while it does.
        eventually("the source is asked to end", 20, || {
            let log = weir.log();
            let is_there = log.iter().any(|line| line["reload"] == 1);
            is_there.then_some(())
        });
        sender.send(rest);
        sender.expect_ack("c");
    });
    assert!(weir.stop().success());
    assert_eq!(home.records("out").len(), 1000);
}

#[test]
fn sources_come_and_go_and_move() {
    let (first, second) = (free_port(), free_port());
    let place = |port: u16| format!("127.0.0.1:{port}");
    let home = Home::new(&at(&place(first), ""));
    let weir = home.start();
    let load = Load::start(&weir, 2);
    let more = format!(
        "{}\n[[source]]\nid = \"two\"\ntype = \"forward\"\nlisten = \"{}\"\n",
        at(&place(first), ""),
        place(second)
    );
    put(&home, &more);
    assert_eq!(taken(&weir)["added"], json!(["two"]));
    let address: SocketAddr = place(second).parse().expect("an address");
    let mut sender = Sender::connect(address);
    sender.send(&forward::packed("a", &forward::numbered(0, 10), Some("c")));
    sender.expect_ack("c");
    put(&home, &at(&place(first), ""));
    assert_eq!(taken(&weir)["removed"], json!(["two"]));
    assert!(sender.is_closed());
    assert!(
        TcpStream::connect(address).is_err(),
        "nobody listens there now"
    );
    load.go_on(10);
    let acked = load.finish();
    // From one address to all of them and back: the new one can be bound when the old one has let go.
    for address in [format!("0.0.0.0:{first}"), place(first), place(second)] {
        put(&home, &at(&address, ""));
        assert_eq!(taken(&weir)["changed"], json!(["in"]), "{address}");
        let address: SocketAddr = address
            .replace("0.0.0.0", "127.0.0.1")
            .parse()
            .expect("an address");
        let mut sender = eventually("it listens", 10, || {
            TcpStream::connect(address)
                .ok()
                .map(|_| Sender::connect(address))
        });
        sender.send(&forward::packed("a", &forward::numbered(100, 1), Some("d")));
        sender.expect_ack("d");
    }
    assert!(TcpStream::connect(place(first)).is_err());
    weir.settles(20);
    assert_eq!(home.records("out").len(), acked.len() + 13);
    assert!(weir.stop().success());
}

#[test]
fn datagrams_wait_while_their_source_changes() {
    let port = free_port();
    let config = |limit: &str| {
        let source = format!(
            "[[source]]\nid = \"in\"\ntype = \"udp\"\ntag = \"a\"\nlisten = \"127.0.0.1:{port}\"\nmessage_length_limit = \"{limit}\"\nparse = {{ type = \"json\" }}\n"
        );
        let router = ROUTER.replace(
            "[service.admin]",
            "[service.admin]\ntoken = \"open sesame\"",
        );
        format!("{router}{source}{TO_FILES}")
    };
    let home = Home::new(&config("1KiB"));
    let weir = home.start();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut sent = 0_u64;
    for round in 0..4 {
        put(&home, &config(&format!("{}KiB", 2 + round)));
        thread::scope(|scope| {
            let reload = scope.spawn(|| taken(&weir));
            while !reload.is_finished() {
                let message = json!({ "n": sent }).to_string();
                socket
                    .send_to(message.as_bytes(), ("127.0.0.1", port))
                    .expect("it is sent");
                sent += 1;
                thread::sleep(Duration::from_micros(200));
            }
        });
    }
    holds("every datagram arrived", 20, &sent, || {
        home.records("out").len() as u64
    });
    assert_eq!(numbers(&home.records("out")), (0..sent).collect::<Vec<_>>());
    assert!(weir.stop().success());
}

#[test]
fn a_source_that_fails_after_a_reload_brings_the_configuration_before_back() {
    let home = Home::new(&at("127.0.0.1:0", ""));
    let weir = home.start();
    // What it needs for its state is not there, which nobody can know before it runs.
    fs::create_dir_all(home.path().join("data/state")).expect("a folder");
    fs::write(home.path().join("data/state/in"), "no folder").expect("a file");
    put(&home, &at("127.0.0.1:0", "join_partial_messages = true"));
    assert_eq!(taken(&weir)["changed"], json!(["in"]));
    eventually("the configuration before runs again", 20, || {
        let samples = weir.metrics();
        let failed = samples.sum("weir_config_last_reload_successful", &[]) == 0.0;
        let runs = samples.sum("weir_component_up", &["component_id=\"in\""]) == 1.0;
        (failed && runs && weir.probe("/readyz").0 == 200).then_some(())
    });
    let log = weir.log_text();
    assert!(log.contains("returning to the one before"), "{log}");
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 10), Some("c")));
    sender.expect_ack("c");
    // What comes next is compared with what runs.
    put(&home, &at("127.0.0.1:0", "tag = \"other\""));
    let (status, answer) = reload(&weir);
    assert_eq!((status, &answer["changed"]), (200, &json!(["in"])));
    assert!(weir.stop().success());
}

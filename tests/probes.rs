//! Probes, failures that resume or stop, and the end of the process.

use std::net::TcpListener;

use crate::{
    delivery::{SERVICE, TO_FILES, listening},
    harness::{Sender, eventually, forward, holds, http, proxy::Door, servers::Server, weir::Home},
};

#[test]
fn ready_turns_503_when_the_buffer_is_full_and_back() {
    let server = Server::elasticsearch();
    let index = server.fresh_index("probes");
    let mut door = Door::new(server.address());
    let port = door.port();
    let config = format!(
        r#"{SERVICE}
[[match]]
id = "es"
tag = "**"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{port}"]
index = "{index}"
[match.buffer]
chunk_limit_size = "64KiB"
total_limit_size = "512KiB"
retry_wait = "100ms"
retry_max_interval = "200ms"
"#
    );
    let home = Home::new(&config);
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender
        .0
        .set_write_timeout(Some(std::time::Duration::from_millis(500)))
        .expect("a timeout");
    let message = forward::packed("a", &forward::numbered(0, 500), None);
    let full = |weir: &crate::harness::Weir| weir.probe("/readyz").0 == 503;
    eventually("full", 30, || {
        use std::io::Write as _;
        // Once the buffer is full the router stops reading, and this write runs into its timeout.
        drop(sender.0.write_all(&message));
        full(&weir).then_some(())
    });
    let (_, body) = weir.probe("/readyz");
    assert!(body.contains("backpressure es"), "{body}");
    // The destination is down and the buffer is full: the process lives all the same.
    assert_eq!(weir.probe("/livez").0, 200);
    assert_eq!(weir.metrics().sum("weir_buffer_full", &[]), 1.0);
    drop(sender);

    door.open();
    // A load balancer must not send back and forth: it takes half a minute.
    holds("ready again", 60, &200, || weir.probe("/readyz").0);
    weir.settles(30);
    assert!(server.count(&index) > 0);
}

#[test]
fn a_component_that_stops_ends_the_process_with_its_code() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = format!(
        r#"
[service]
data_dir = "data"
failure = "stop"
drain_delay = "0s"
[service.admin]
listen = "127.0.0.1:0"
[[source]]
id = "in"
type = "forward"
listen = "{}"
{TO_FILES}"#,
        taken.local_addr().expect("bound")
    );
    let weir = Home::new(&config);
    let ended = weir.spawn(&[]).wait_end(20);
    assert_eq!(ended.code(), Some(75));
}

#[test]
fn a_component_that_resumes_is_restarted_and_counted() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let home = Home::new(&format!("{}{TO_FILES}", listening(address)));
    let weir = home.spawn(&[]);
    eventually("it was restarted", 20, || {
        let restarts = weir
            .metrics()
            .sum("weir_component_restarts_total", &["component_id=\"in\""]);
        (restarts >= 2.0).then_some(())
    });
    assert_eq!(http::get(&format!("http://{}/livez", weir.admin())).0, 200);
    assert_eq!(weir.probe("/readyz").0, 503);
    assert_eq!(weir.probe("/startupz").0, 503);
    drop(taken);
    weir.wait_ready();
    assert_eq!(weir.probe("/startupz").0, 200);
    let mut sender = Sender::connect(address);
    sender.send(&forward::packed("a", &forward::numbered(0, 1), Some("c")));
    sender.expect_ack("c");
}

#[test]
fn a_drain_delivers_what_was_acknowledged() {
    let slow = TO_FILES.replace("0s", "1h");
    let home = Home::new(&format!("{SERVICE}{slow}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed(
        "a",
        &forward::numbered(0, 1000),
        Some("c"),
    ));
    sender.expect_ack("c");
    assert_eq!(home.records("out").len(), 0);
    assert!(weir.stop().success());
    assert_eq!(home.records("out").len(), 1000);
    assert!(sender.is_closed());
}

#[test]
fn both_formats_of_metrics() {
    let home = Home::new(&format!("{SERVICE}{TO_FILES}"));
    let weir = home.start();
    let (status, text) = weir.probe("/metrics");
    assert_eq!(status, 200);
    for name in [
        "weir_build_info",
        "weir_ledger_imbalance_records",
        "weir_received_records_total",
        "weir_component_up",
    ] {
        assert!(text.contains(name), "{name} is missing in\n{text}");
    }
}

/// A router whose buffer cannot begin its next segment, because somebody took its directory away: what `/readyz` says.
fn ready_while_the_buffer_fails(env: &[(&str, &str)]) -> (u16, String) {
    let small = "[match.buffer]\ntotal_limit_size = \"1MiB\"\nchunk_limit_size = \"64KiB\"\n";
    let output = format!(
        "\n[[match]]\nid = \"void\"\ntag = \"**\"\ntype = \"null\"\n{small}type = \"file\"\n"
    );
    let home = Home::new(&format!("{SERVICE}{output}"));
    let weir = home.spawn(env);
    weir.wait_ready();
    let buffer = home.path().join("data/buffer/void");
    std::fs::rename(&buffer, home.path().join("away")).expect("it is there");
    let mut sender = Sender::connect(weir.listens("in"));
    let message = forward::packed("a", &forward::numbered(0, 500), Some("c"));
    eventually("the buffer has failed", 30, || {
        use std::io::Write as _;
        // A buffer that failed does not answer, and the connection ends.
        if sender.0.write_all(&message).is_err() {
            sender = Sender::connect(weir.listens("in"));
        }
        let failed = weir.log_text().contains("No such file or directory");
        failed.then_some(())
    });
    let answer = weir.probe("/readyz");
    assert_eq!(
        (weir.probe("/livez").0, weir.probe("/startupz").0),
        (200, 200)
    );
    std::fs::rename(home.path().join("away"), &buffer).expect("it is there");
    holds("it is ready when the disk is well", 60, &200, || {
        weir.probe("/readyz").0
    });
    answer
}

#[test]
fn a_buffer_that_failed_makes_it_not_ready_until_it_works_again() {
    let (status, body) = ready_while_the_buffer_fails(&[]);
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("buffer failed void"), "{body}");
    let defect = [("WEIR_DEFECT", "ready_while_failed")];
    let (status, body) = ready_while_the_buffer_fails(&defect);
    assert_eq!(status, 200, "the defect is not seen: {body}");
}

#[test]
fn an_output_that_is_down_is_told_and_hurts_nobody() {
    let nobody = crate::harness::free_port();
    let relay = format!(
        "\n[[match]]\nid = \"relay\"\ntag = \"**\"\ntype = \"forward\"\n[[match.server]]\nhost = \"127.0.0.1\"\nport = {nobody}\n[match.buffer]\nflush_interval = \"0s\"\nretry_wait = \"100ms\"\n"
    );
    let home = Home::new(&format!("{SERVICE}{relay}"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    sender.send(&forward::packed("a", &forward::numbered(0, 10), Some("c")));
    sender.expect_ack("c");
    eventually("it is told", 20, || {
        let (status, body) = weir.probe("/readyz");
        assert_eq!(status, 200, "{body}");
        body.contains("output down relay").then_some(())
    });
    assert_eq!(
        (weir.probe("/livez").0, weir.probe("/startupz").0),
        (200, 200)
    );
}

/// The data path is blocked as far as it can be: a full buffer, and as many senders as there is room for that want to be
/// heard. Whether the process lives is answered all the same, and at once.
#[test]
fn liveness_is_answered_at_once_while_the_data_path_is_blocked() {
    let full = "\n[[match]]\nid = \"void\"\ntag = \"**\"\ntype = \"null\"\nnever_flush = true\n[match.buffer]\ntotal_limit_size = \"256KiB\"\nchunk_limit_size = \"64KiB\"\n";
    let home = Home::new(&format!("{SERVICE}{full}"));
    let weir = home.start();
    let message = forward::packed("a", &forward::numbered(0, 500), Some("c"));
    let mut senders: Vec<_> = (0..50)
        .map(|_| Sender::connect(weir.listens("in")))
        .collect();
    for sender in &mut senders {
        let timeout = Some(std::time::Duration::from_millis(20));
        sender.0.set_write_timeout(timeout).expect("a timeout");
    }
    eventually("nobody gets on", 30, || {
        use std::io::Write as _;
        for sender in &mut senders {
            drop(sender.0.write_all(&message));
        }
        let samples = weir.metrics();
        (samples.sum("weir_source_paused", &[]) == 1.0).then_some(())
    });
    let mut took: Vec<_> = (0..50)
        .map(|_| {
            let asked = std::time::Instant::now();
            assert_eq!(weir.probe("/livez").0, 200);
            asked.elapsed()
        })
        .collect();
    took.sort_unstable();
    // Of a loaded machine that runs other tests, the better half counts.
    let half = took[took.len() / 2];
    assert!(half < std::time::Duration::from_millis(100), "{half:?}");
}

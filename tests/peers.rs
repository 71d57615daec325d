//! `out_forward` against a server that is not ours: the one of the npm package `@fluent-org/logger`. What it wrote is
//! compared with what was sent, also when it is killed again and again.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use crate::{
    harness::{
        clients::{self, KEY, PASSWORD, USER},
        eventually, free_port, holds,
        weir::Home,
    },
    relay::{Extra, Load, arrive_exactly, numbers, quiet, relay, send_thousand},
};

const KILLS: usize = 5;
/// Records that arrive between two kills, at least.
const BETWEEN: usize = 500;

/// A running server. Killed when dropped.
struct Peer(Child);

impl Peer {
    /// Starts it and waits until it listens; it writes into `out/all.log` below `home`.
    fn start(home: &Path, port: u16, more: &[&str]) -> Self {
        let out = home.join("out");
        std::fs::create_dir_all(&out).expect("a folder");
        let certificates = clients::certificates();
        let mut command = clients::node("server.js");
        command
            .args(["--port", &port.to_string(), "--out"])
            .arg(out.join("all.log"))
            .arg("--cert")
            .arg(certificates.join("server.pem"))
            .arg("--key")
            .arg(certificates.join("server.key"))
            .args(more);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut line = String::new();
        let pipe = child.stdout.take().expect("a pipe");
        let peer = Self(child);
        BufReader::new(pipe).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), format!("listening on 127.0.0.1:{port}"));
        peer
    }

    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn with_matches(matches: &str) -> Extra {
    Extra {
        matches: matches.to_owned(),
        ..Extra::default()
    }
}

/// The tables for TLS and for the shared key, as far as they are asked for.
fn secured(tls: bool, key: bool) -> Extra {
    let mut extra = Extra::default();
    if tls {
        let authority = clients::certificates().join("authority.pem");
        extra.matches = format!("[match.tls]\nca_cert_path = \"{}\"\n", authority.display());
    }
    if key {
        let security =
            format!("[match.security]\nself_hostname = \"relay\"\nshared_key = \"{KEY}\"\n");
        extra.matches.push_str(&security);
        extra.server = format!("username = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    }
    extra
}

const SHARED_KEY: [&str; 6] = ["--shared-key", KEY, "--user", USER, "--password", PASSWORD];

/// A thousand records to a server started with `options`, each once and as it was sent.
fn exact(options: &[&str], extra: &Extra) {
    let port = free_port();
    // Its configuration is never used: the folder is what matters.
    let back = Home::new("");
    let front = relay(port, extra);
    let _peer = Peer::start(back.path(), port, options);
    let weir = front.start();
    let expected = send_thousand(weir.listens("in"));
    arrive_exactly(&back, &expected);
    // The server writes a record before it acknowledges it.
    weir.settles(30);
    let acks = weir.metrics().sum("weir_forward_acks_total", &["node="]);
    let asked = !extra.matches.contains("require_ack_response = false");
    assert_eq!(acks > 0.0, asked, "{acks} acknowledgements came");
    quiet(weir);
    arrive_exactly(&back, &expected);
}

#[test]
fn npm_fluent_org_server_with_acks() {
    exact(&[], &Extra::default());
}

#[test]
fn npm_fluent_org_server_plain() {
    exact(&[], &with_matches("require_ack_response = false\n"));
}

#[test]
fn npm_fluent_org_server_compressed() {
    exact(&[], &with_matches("compress = \"gzip\"\n"));
}

#[test]
fn npm_fluent_org_server_with_a_shared_key() {
    exact(&SHARED_KEY, &secured(false, true));
}

#[test]
fn npm_fluent_org_server_over_tls() {
    exact(&["--tls"], &secured(true, false));
}

#[test]
fn npm_fluent_org_server_over_tls_with_a_shared_key() {
    let options = [["--tls"].as_slice(), &SHARED_KEY].concat();
    exact(&options, &secured(true, true));
}

#[test]
fn nothing_is_lost_when_an_npm_fluent_org_server_is_killed() {
    let port = free_port();
    let back = Home::new("");
    let front = relay(port, &Extra::default());
    let mut peer = Peer::start(back.path(), port, &[]);
    let weir = front.start();
    let load = Load::start(weir.listens("in"));
    for _ in 0..KILLS {
        let goal = back.records("out").len() + BETWEEN;
        eventually("records arrive", 60, || {
            (back.records("out").len() >= goal).then_some(())
        });
        peer.kill();
        peer = Peer::start(back.path(), port, &[]);
    }
    let acked = load.finish();
    assert!(acked.len() >= KILLS * BETWEEN);
    holds("nothing that was acknowledged is missing", 60, &0, || {
        let seen = numbers(&back);
        acked.iter().filter(|n| !seen.contains_key(n)).count()
    });
    quiet(weir);
    assert_eq!(
        numbers(&back).len(),
        acked.len(),
        "there is what nobody sent"
    );
    drop(peer);
}

//! A way out of a network without one: bytes go through a Unix socket, which no network keeps apart.

use anyhow::{Context as _, Result};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    thread,
};

/// Outside: what comes through the socket goes to `server`.
pub(super) fn from_socket(socket: &Path, server: &str) -> Result<()> {
    let listener = UnixListener::bind(socket).context("listen on the socket of the relay")?;
    let server = server.to_owned();
    thread::spawn(move || {
        for inner in listener.incoming().flatten() {
            let Ok(outer) = TcpStream::connect(&server) else {
                continue;
            };
            thread::spawn(move || both(&inner, &outer));
        }
    });
    Ok(())
}

/// Inside: what comes to a port goes through the socket.
pub(super) fn to_socket(address: &str, port: u16, socket: &Path) -> Result<()> {
    let listener = TcpListener::bind((address, port)).context("listen for the relay")?;
    let socket = socket.to_owned();
    thread::spawn(move || {
        for outer in listener.incoming().flatten() {
            let Ok(inner) = UnixStream::connect(&socket) else {
                continue;
            };
            thread::spawn(move || both(&inner, &outer));
        }
    });
    Ok(())
}

/// Both ways, each until its end.
fn both(inner: &UnixStream, outer: &TcpStream) {
    thread::scope(|scope| {
        scope.spawn(|| {
            pass(outer, inner);
            // The other side may be gone already.
            drop(inner.shutdown(Shutdown::Write));
        });
        pass(inner, outer);
        drop(outer.shutdown(Shutdown::Write));
    });
}

fn pass<From, To>(mut from: &From, mut to: &To)
where
    for<'a> &'a From: Read,
    for<'a> &'a To: Write,
{
    // A connection that breaks ends; whoever used it sees that.
    drop(io::copy(&mut from, &mut to));
}

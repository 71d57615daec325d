//! Servers that have a thread for each connection.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Listens at a free port until the test ends, and serves each connection on a thread of its own, until `serve` returns.
pub(crate) fn listen<T>(serve: impl Fn(&TcpStream) -> T + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || drop(serve(&stream)));
        }
    });
    address
}

//! A door in front of a real server: while it is shut, connections are refused and running ones are cut; while it is
//! frozen, nothing moves.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::eventually;

/// A door at a fixed port.
pub(crate) struct Door {
    port: u16,
    target: SocketAddr,
    frozen: Arc<AtomicBool>,
    open: Option<Open>,
}

struct Open {
    shut: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    listener: thread::JoinHandle<()>,
}

impl Door {
    /// A door that is shut.
    pub(crate) fn new(target: SocketAddr) -> Self {
        Self {
            port: super::free_port(),
            target,
            frozen: Arc::default(),
            open: None,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections stay, and new ones are taken, but nothing moves: what a stopped process looks like. Or it moves again.
    pub(crate) fn freeze(&self, is_frozen: bool) {
        self.frozen.store(is_frozen, Ordering::Relaxed);
    }

    /// Lets connections through from now on.
    pub(crate) fn open(&mut self) {
        let listener = eventually("the port is free", 20, || {
            TcpListener::bind(("127.0.0.1", self.port)).ok()
        });
        let shut = Arc::new(AtomicBool::new(false));
        let streams = Arc::new(Mutex::new(Vec::new()));
        let (ends, kept, target) = (Arc::clone(&shut), Arc::clone(&streams), self.target);
        let frozen = Arc::clone(&self.frozen);
        let listener = thread::spawn(move || {
            for inside in listener.incoming().flatten() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(outside) = TcpStream::connect(target) else {
                    continue;
                };
                for (from, to) in [(&inside, &outside), (&outside, &inside)] {
                    let clone = |stream: &TcpStream| stream.try_clone().expect("a handle");
                    kept.lock().expect("streams").push(clone(from));
                    let (from, to) = (clone(from), clone(to));
                    let signs = [Arc::clone(&frozen), Arc::clone(&ends)];
                    thread::spawn(move || pump(from, to, &signs));
                }
            }
        });
        self.open = Some(Open {
            shut,
            streams,
            listener,
        });
    }

    /// Refuses connections and cuts those that run.
    pub(crate) fn shut(&mut self) {
        let Some(open) = self.open.take() else { return };
        open.shut.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees the sign.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        open.listener.join().expect("the listener ends");
        for stream in open.streams.lock().expect("streams").drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.shut();
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, [frozen, ends]: &[Arc<AtomicBool>; 2]) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut bytes) {
        while frozen.load(Ordering::Relaxed) && !ends.load(Ordering::Relaxed) {
            thread::sleep(super::wait::LOOK_EVERY);
        }
        if to.write_all(&bytes[..len]).is_err() {
            break;
        }
    }
    // Either side may be closed already.
    drop(to.shutdown(Shutdown::Write));
}

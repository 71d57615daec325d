//! A receiver of the forward protocol that does as it is told, and remembers every message that it read.

use std::{
    io::{BufReader, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rmpv::Value;

use super::{eventually, forward::encode};

/// What it does with connections and messages, from the next one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Acknowledges each message so long after it was read.
    Acks(Duration),
    /// Acknowledges another message than the one that was read.
    Lies,
    /// Reads and says nothing.
    Silent,
    /// Takes connections and reads nothing.
    Deaf,
    /// Closes each connection at once, and one that was open at its next message.
    Closes,
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) chunk: String,
    /// The field `n` of its records.
    pub(crate) numbers: Vec<u64>,
}

/// The running receiver. Ends when dropped.
pub(crate) struct Scripted {
    port: u16,
    shared: Arc<Shared>,
    listener: Option<thread::JoinHandle<()>>,
}

struct Shared {
    ends: AtomicBool,
    manner: Mutex<Manner>,
    messages: Mutex<Vec<Message>>,
    streams: Mutex<Vec<TcpStream>>,
    /// Connections that are being read.
    serving: AtomicUsize,
}

impl Scripted {
    /// Listens at a free port.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let shared = Arc::new(Shared {
            ends: AtomicBool::new(false),
            manner: Mutex::new(manner),
            messages: Mutex::default(),
            streams: Mutex::default(),
            serving: AtomicUsize::new(0),
        });
        let own = Arc::clone(&shared);
        let listener = thread::spawn(move || own.listen(&listener));
        Self {
            port,
            shared,
            listener: Some(listener),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.shared.manner.lock().expect("the manner") = manner;
    }

    /// What it read since this was last asked, in this order.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.shared.messages.lock().expect("the messages"))
    }

    /// Waits until everything is read that came over connections whose other end is gone.
    pub(crate) fn reads_to_the_end(&self) {
        eventually("every connection is read to its end", 20, || {
            (self.shared.serving.load(Ordering::Acquire) == 0).then_some(())
        });
    }

    /// What it read so far, in this order.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.shared.messages.lock().expect("the messages").clone()
    }
}

impl Shared {
    fn manner(&self) -> Manner {
        *self.manner.lock().expect("the manner")
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            if self.ends.load(Ordering::Relaxed) {
                return;
            }
            let manner = self.manner();
            if manner == Manner::Closes {
                continue;
            }
            let kept = stream.try_clone().expect("a handle");
            self.streams.lock().expect("the streams").push(kept);
            if manner != Manner::Deaf {
                let own = Arc::clone(self);
                self.serving.fetch_add(1, Ordering::Release);
                thread::spawn(move || {
                    own.serve(stream);
                    own.serving.fetch_sub(1, Ordering::Release);
                });
            }
        }
    }

    /// Reads messages until the connection ends.
    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
        while let Ok(message) = rmpv::decode::read_value(&mut reader) {
            let message = read(&message);
            let chunk = message.chunk.clone();
            let manner = self.manner();
            if manner == Manner::Closes {
                return;
            }
            self.messages.lock().expect("the messages").push(message);
            let acked = match manner {
                Manner::Acks(delay) => {
                    thread::sleep(delay);
                    chunk
                }
                Manner::Lies => "another".to_owned(),
                Manner::Silent | Manner::Deaf | Manner::Closes => continue,
            };
            let ack = Value::Map(vec![("ack".into(), acked.into())]);
            if stream.write_all(&encode(&ack)).is_err() {
                return;
            }
        }
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        // Wakes the listener, so that it sees the sign.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(listener) = self.listener.take() {
            listener.join().expect("the listener ends");
        }
        for stream in self.shared.streams.lock().expect("the streams").drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Takes a `PackedForward` message apart, which is all that `out_forward` sends.
fn read(message: &Value) -> Message {
    let parts = message.as_array().expect("an array");
    let mut entries = parts[1].as_slice().expect("packed entries");
    let mut numbers = Vec::new();
    while !entries.is_empty() {
        let entry = rmpv::decode::read_value(&mut entries).expect("an entry");
        numbers.push(field(&entry[1], "n").as_u64().expect("a number"));
    }
    let chunk = field(&parts[2], "chunk").as_str().expect("a chunk id");
    Message {
        chunk: chunk.to_owned(),
        numbers,
    }
}

fn field<'a>(map: &'a Value, name: &str) -> &'a Value {
    let pairs = map.as_map().expect("a map");
    let pair = pairs.iter().find(|(key, _)| key.as_str() == Some(name));
    &pair.expect("the field").1
}

//! What the kernel says of a connection on the loopback, in its table of TCP sockets.

use std::fs;

use tokio::net::TcpStream;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    /// Bytes that were written and not yet acknowledged by the other kernel.
    pub(super) unsent: u64,
    /// Bytes that came and were not read yet.
    pub(super) unread: u64,
    /// The kind of timer that runs: `"02"` is that of keepalive packets.
    pub(super) timer: String,
    /// When it ends, in hundredths of a second.
    pub(super) ends_in: u64,
}

/// The end at the port `own` of the connection to the port `other`; `None` when there is none.
pub(super) fn end(own: u16, other: u16) -> Option<End> {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of the kernel");
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |at: usize| u16::from_str_radix(fields[at].split_once(':')?.1, 16).ok();
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        if port(1)? != own || port(2)? != other {
            return None;
        }
        let (unsent, unread) = fields[4].split_once(':')?;
        let (timer, ends_in) = fields[5].split_once(':')?;
        Some(End {
            unsent: number(unsent)?,
            unread: number(unread)?,
            timer: timer.to_owned(),
            ends_in: number(ends_in)?,
        })
    })
}

/// Whether the other side has read every byte that was written to `stream`.
pub(super) fn has_read_all(stream: &TcpStream) -> bool {
    let own = stream.local_addr().unwrap().port();
    let other = stream.peer_addr().unwrap().port();
    let (Some(here), Some(there)) = (end(own, other), end(other, own)) else {
        return false;
    };
    here.unsent == 0 && there.unread == 0
}

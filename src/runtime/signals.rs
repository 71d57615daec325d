//! Signals, with the meaning that Fluentd gives them.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// SIGTERM or SIGINT: finish.
    Drain,
    /// SIGQUIT: end at once, with everything on disk that belongs there.
    Quit,
    /// SIGUSR1: deliver what waits, now.
    Flush,
    /// SIGHUP, or SIGUSR2 as in Fluentd: read the configuration again.
    Reload,
}

/// The signals that are received.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    user1: Signal,
    user2: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal. Safe to cancel.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.terminate.recv() => Event::Drain,
            _ = self.interrupt.recv() => Event::Drain,
            _ = self.quit.recv() => Event::Quit,
            _ = self.user1.recv() => Event::Flush,
            _ = self.user2.recv() => Event::Reload,
            _ = self.hangup.recv() => Event::Reload,
        }
    }
}

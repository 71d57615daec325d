//! The signal that asks a component to finish.

use tokio::sync::watch;

/// Held by the engine; asks everything that holds the matching [`Stop`] to finish.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Asks to finish. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stopper {
    /// A signal that has not been given, and its receiving side.
    pub fn new() -> (Self, Stop) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Stop(receiver))
    }

    /// Gives the signal.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Another receiving side.
    pub fn subscribe(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// Whether the signal was given, or whoever could give it is gone.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Resolves when the signal is given. Safe to cancel and to call again.
    pub async fn stopped(&self) {
        let mut receiver = self.0.clone();
        // An error means that the engine is gone, which is a stop too.
        drop(receiver.wait_for(|stopped| *stopped).await);
    }
}

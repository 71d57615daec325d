//! What the admin port may ask for: to read the configuration again. One at a time.

use std::sync::{
    Arc, PoisonError, RwLock,
    atomic::{AtomicU64, Ordering},
};

use sdk::config::Secret;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::reload::{Refusal, Summary};

/// What came of reading the configuration again.
pub type Outcome = Result<Summary, Refusal>;

/// Asks the data path for what changes it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Control(Arc<State>);

#[derive(Debug)]
struct State {
    token: RwLock<Option<Secret>>,
    requests: mpsc::Sender<Request>,
    /// The number of the reload that is under way; 0: none is.
    under_way: AtomicU64,
    last: AtomicU64,
}

/// The receiving side.
pub type Requests = mpsc::Receiver<Request>;

/// Somebody waits for a reload.
#[derive(Debug)]
pub struct Request {
    pub(super) turn: Turn,
    pub(super) answer: oneshot::Sender<Outcome>,
}

/// The right to reload. While there is one, nobody else gets one.
#[derive(Debug)]
pub(super) struct Turn {
    state: Arc<State>,
    /// Counted from 1.
    pub(super) number: u64,
}

/// Why a reload was not even begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotNow {
    /// This one is under way.
    UnderWay(u64),
    /// The process is ending.
    Ending,
}

/// Whether a request may change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Granted,
    /// It shows no token, or another one.
    Unproven,
    /// There is no token that it could show.
    Impossible,
}

impl Control {
    /// The asking and the receiving side.
    pub fn new(token: Option<Secret>) -> (Self, Requests) {
        let (requests, receiver) = mpsc::channel(1);
        let state = State {
            token: RwLock::new(token),
            requests,
            under_way: AtomicU64::new(0),
            last: AtomicU64::new(0),
        };
        (Self(Arc::new(state)), receiver)
    }

    /// Whether a request with this token may change something.
    pub fn permits(&self, token: Option<&str>) -> Permission {
        let wanted = self.0.token.read().unwrap_or_else(PoisonError::into_inner);
        match (wanted.as_ref(), token) {
            (None, _) => Permission::Impossible,
            (Some(wanted), Some(token)) if is_equal(wanted.expose(), token) => Permission::Granted,
            _ => Permission::Unproven,
        }
    }

    /// From now on this token is wanted.
    pub(super) fn set_token(&self, token: Option<Secret>) {
        *self.0.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Reads the configuration again, and waits for what came of it. Returns also the number of the reload.
    ///
    /// # Errors
    /// [`NotNow`].
    pub async fn reload(&self) -> Result<(u64, Outcome), NotNow> {
        let turn = self.turn().map_err(NotNow::UnderWay)?;
        let number = turn.number;
        let (answer, answered) = oneshot::channel();
        let request = Request { turn, answer };
        if self.0.requests.send(request).await.is_err() {
            return Err(NotNow::Ending);
        }
        match answered.await {
            Ok(outcome) => Ok((number, outcome)),
            Err(_) => Err(NotNow::Ending),
        }
    }

    /// The right to reload.
    ///
    /// # Errors
    /// The number of the one that is under way.
    pub(super) fn turn(&self) -> Result<Turn, u64> {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let taken =
            self.0
                .under_way
                .compare_exchange(0, number, Ordering::AcqRel, Ordering::Acquire);
        taken.map(|_| Turn {
            state: Arc::clone(&self.0),
            number,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.state.under_way.store(0, Ordering::Release);
    }
}

/// Compares without telling by its time where the first difference is.
fn is_equal(one: &str, other: &str) -> bool {
    let differences = one
        .bytes()
        .zip(other.bytes())
        .map(|(one, other)| one ^ other);
    one.len() == other.len() && differences.fold(0, |all, difference| all | difference) == 0
}

/// An outcome for machines.
pub fn describe(number: u64, outcome: &Outcome) -> Value {
    let mut value = match outcome {
        Ok(summary) => summary.for_machines(),
        Err(refusal) => refusal.for_machines(),
    };
    if let Some(object) = value.as_object_mut() {
        object.insert("reload".to_owned(), json!(number));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let (open, _requests) = Control::new(None);
        assert_eq!(open.permits(Some("x")), Permission::Impossible);
        let (control, _requests) = Control::new(Some(Secret::new("secret")));
        for wrong in [None, Some(""), Some("secreT"), Some("secret1"), Some("s")] {
            assert_eq!(control.permits(wrong), Permission::Unproven);
        }
        assert_eq!(control.permits(Some("secret")), Permission::Granted);
        control.set_token(Some(Secret::new("other")));
        assert_eq!(control.permits(Some("secret")), Permission::Unproven);
    }

    #[tokio::test]
    async fn a_second_reload_is_told_the_number_of_the_first() {
        let (control, mut requests) = Control::new(None);
        let first = tokio::spawn({
            let control = control.clone();
            async move { control.reload().await }
        });
        let request = requests.recv().await.unwrap();
        assert_eq!(control.reload().await.unwrap_err(), NotNow::UnderWay(1));
        request.answer.send(Ok(Summary::default())).unwrap();
        drop(request.turn);
        assert!(matches!(first.await.unwrap(), Ok((1, Ok(_)))));
        drop(requests);
        assert_eq!(control.reload().await.unwrap_err(), NotNow::Ending);
        assert_eq!(control.reload().await.unwrap_err(), NotNow::Ending);
    }
}

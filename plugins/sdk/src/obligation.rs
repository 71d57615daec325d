//! What must happen before a sender may be answered, and the receipt it waits for.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

/// A share of the duty to store or account for a message.
///
/// Cloning makes another share. Every share must be [met](Self::meet); the receipt resolves when all
/// are. A share that is dropped unmet breaks the receipt: the sender gets no acknowledgement.
#[derive(Debug)]
pub struct Obligation {
    state: Arc<State>,
    met: bool,
}

/// Resolves when every share of an obligation is met.
#[derive(Debug)]
pub struct Receipt {
    state: Arc<State>,
}

/// A share was dropped unmet: nothing may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the records were not stored")]
pub struct Unmet;

#[derive(Debug, Default)]
struct State(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    open: usize,
    broken: bool,
    waker: Option<Waker>,
    /// Shares of other obligations that end with this one.
    parents: Vec<Obligation>,
}

impl Obligation {
    /// A new obligation of one share, and its receipt.
    pub fn new() -> (Self, Receipt) {
        let state = Arc::new(State(Mutex::new(Inner {
            open: 1,
            ..Inner::default()
        })));
        (
            Self {
                state: Arc::clone(&state),
                met: false,
            },
            Receipt { state },
        )
    }

    /// An obligation that nobody waits for.
    pub fn nobody() -> Self {
        Self::new().0
    }

    /// One obligation for several: when it is met so are all of them, and when it breaks they break.
    pub fn joined(parents: Vec<Self>) -> Self {
        let one = Self::nobody();
        one.state.with(|inner| inner.parents = parents);
        one
    }

    /// Whether both are shares of one obligation.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.state, &other.state)
    }

    /// This share is done: its records are stored, or counted out for a reason.
    pub fn meet(mut self) {
        self.met = true;
    }
}

impl Clone for Obligation {
    fn clone(&self) -> Self {
        self.state.with(|inner| inner.open += 1);
        Self {
            state: Arc::clone(&self.state),
            met: false,
        }
    }
}

impl Drop for Obligation {
    fn drop(&mut self) {
        let (waker, parents, met) = self.state.with(|inner| {
            inner.open -= 1;
            inner.broken |= !self.met;
            if inner.open == 0 || inner.broken {
                let parents = std::mem::take(&mut inner.parents);
                (inner.waker.take(), parents, !inner.broken)
            } else {
                (None, Vec::new(), false)
            }
        });
        if let Some(waker) = waker {
            waker.wake();
        }
        if met {
            parents.into_iter().for_each(Self::meet);
        }
    }
}

impl State {
    fn with<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Receipt {
    /// Whether the answer is known.
    pub fn is_settled(&self) -> bool {
        self.state.with(|inner| inner.broken || inner.open == 0)
    }
}

impl Future for Receipt {
    type Output = Result<(), Unmet>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.state.with(|inner| {
            if inner.broken {
                Poll::Ready(Err(Unmet))
            } else if inner.open == 0 {
                Poll::Ready(Ok(()))
            } else {
                inner.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn resolves_when_every_share_is_met() {
        let (first, receipt) = Obligation::new();
        let second = first.clone();
        first.meet();
        assert!(!receipt.is_settled());
        second.meet();
        assert_eq!(receipt.await, Ok(()));
    }

    #[tokio::test]
    async fn a_share_dropped_unmet_breaks_it_at_once() {
        let (first, receipt) = Obligation::new();
        let second = first.clone();
        drop(second);
        assert_eq!(receipt.await, Err(Unmet));
        first.meet();
    }
}

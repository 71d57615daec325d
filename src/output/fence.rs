//! A fence around a future: a panic inside becomes a value outside.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use sdk::Fut;

/// Resolves to the value, or to the text of the panic. After a panic the future is not polled again.
pub(super) struct Fence<'a, T>(pub(super) Fut<'a, T>);

impl<T> Future for Fence<'_, T> {
    type Output = Result<T, String>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The plugin's state may be half changed after a panic. Plugins are `&self` and keep their own
        // locks; a poisoned lock shows as the next failure of the same chunk.
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(text(&*panic))),
        }
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    text.or(owned)
        .unwrap_or("panic without a message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_a_panic_into_a_value() {
        let outcome: Result<(), String> = Fence(Box::pin(async { panic!("no") })).await;
        assert_eq!(outcome, Err("no".to_owned()));
        assert_eq!(Fence(Box::pin(async { 7 })).await, Ok(7));
    }
}

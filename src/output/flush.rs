//! A flush worker: takes the oldest due chunk, delivers it, takes the next.

use sdk::stop::Stop;

use super::{OutputNode, deliver::deliver};

/// Runs until the buffer is closed and empty, or `give_up` is given.
pub(super) async fn run(node: &OutputNode, give_up: &Stop) {
    loop {
        let chunk = tokio::select! {
            chunk = node.buffer.next_chunk() => chunk,
            () = give_up.stopped() => return,
        };
        match chunk {
            Some(chunk) => deliver(node, chunk, give_up).await,
            None => return,
        }
    }
}

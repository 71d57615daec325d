//! Admission: room is reserved in every buffer before anything is stored in any of them.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sdk::{event::Batch, input::EmitError, obligation::Obligation};

use super::{
    Leniency,
    plan::{Delivery, Plan},
};
use crate::{
    buffer::{Refusal, Reservation},
    output::OutputNode,
    telemetry::ledger::{Account, DropReason},
};

/// What a store said to a batch.
enum Answer {
    Reserved(Reservation),
    /// The store is forgiven: its records are dropped.
    Forgiven,
}

/// Reserves, then stores, then books. On an error nothing was stored and nothing is booked.
///
/// # Errors
/// [`EmitError`] of the first output that refuses and is not forgiven.
pub(super) async fn admit(account: &Account, records: u64, plan: Plan) -> Result<(), EmitError> {
    let Plan {
        deliveries,
        drops,
        created,
        done,
    } = plan;
    let mut answers = Vec::with_capacity(deliveries.len());
    for delivery in &deliveries {
        answers.push(reserve(delivery).await?);
    }
    account.received(records);
    account.created(created);
    for (reason, records, bytes) in drops {
        account.dropped(reason, records, bytes);
    }
    for (delivery, answer) in deliveries.into_iter().zip(answers) {
        let Delivery {
            node,
            mut batch,
            leniency,
        } = delivery;
        match answer {
            Answer::Reserved(reservation) => {
                if batch.piece.is_some() && leniency != Leniency::default() {
                    // This store may be forgiven a later piece; then the message is never whole here, and must
                    // not stay unanswered because of it.
                    std::mem::replace(&mut batch.due, Obligation::nobody()).meet();
                }
                store(account, &node, reservation, batch);
            }
            Answer::Forgiven => {
                let records = u64::from(batch.count);
                account.dropped(DropReason::Ignored, records, batch.events.len() as u64);
                batch.due.meet();
            }
        }
    }
    for batch in done {
        batch.due.meet();
    }
    Ok(())
}

fn store(account: &Account, node: &OutputNode, reservation: Reservation, batch: Batch) {
    let records = u64::from(batch.count);
    account.delivered(records);
    node.account.received(records);
    node.buffer.append(reservation, batch);
}

async fn reserve(delivery: &Delivery) -> Result<Answer, EmitError> {
    let Delivery {
        node,
        batch,
        leniency,
    } = delivery;
    let bytes = batch.events.len();
    let answer = if leniency.ignore_full {
        match poll_once(node.buffer.reserve(bytes)) {
            Some(answer) => answer,
            None => return Ok(Answer::Forgiven),
        }
    } else {
        node.buffer.reserve(bytes).await
    };
    match answer {
        Ok(reservation) => Ok(Answer::Reserved(reservation)),
        Err(Refusal::Full | Refusal::TooLarge { .. }) if leniency.ignore_full => {
            Ok(Answer::Forgiven)
        }
        Err(_) if leniency.ignore_error => Ok(Answer::Forgiven),
        Err(refusal) => Err(refused(&node.id, &refusal)),
    }
}

fn refused(output: &Arc<str>, refusal: &Refusal) -> EmitError {
    let output = Arc::clone(output);
    match refusal {
        Refusal::Full | Refusal::TooLarge { .. } => EmitError::Refused {
            output,
            reason: refusal.to_string(),
        },
        _ => EmitError::Closed { output },
    }
}

/// The value of a future that is ready at once.
fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

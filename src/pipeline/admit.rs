//! Admission: room is reserved in every buffer before anything is stored in any of them.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use sdk::{event::Batch, input::EmitError, obligation::Obligation};

use super::{
    Leniency, Seat,
    plan::{Delivery, Plan, Taker},
    queue::{Closed, Room},
};
use crate::{
    buffer::{Refusal, Reservation},
    output::OutputNode,
    telemetry::ledger::{Account, DropReason},
};

/// What a store said to a batch.
pub(super) enum Answer {
    Reserved(Reservation),
    /// There is room before a stage.
    Room(Room),
    /// The store is forgiven: its records are dropped.
    Forgiven,
}

/// Where the records of a plan come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry {
    /// From a source: so many are new.
    Source(u64),
    /// From a stage: so many were held.
    Held(u64),
}

/// Reserves room for every delivery of a plan, in the order in which they are to be [booked](book). Dropping the future
/// gives back what was reserved.
///
/// # Errors
/// [`EmitError`] of the first output that refuses and is not forgiven.
pub(super) async fn reserve_all(plan: &Plan) -> Result<Vec<Answer>, EmitError> {
    if let Some(refusal) = &plan.refusal {
        return Err(refusal.clone());
    }
    let mut answers = Vec::with_capacity(plan.deliveries.len());
    for delivery in &plan.deliveries {
        answers.push(reserve(delivery).await?);
    }
    Ok(answers)
}

/// Stores what has room, and books it.
pub(super) fn book(account: &Account, entry: Entry, plan: Plan, answers: Vec<Answer>) {
    let Plan {
        deliveries,
        drops,
        created,
        done,
        refusal: _,
    } = plan;
    match entry {
        Entry::Source(records) => account.received(records),
        Entry::Held(records) => account.release(records),
    }
    account.created(created);
    for (reason, records, bytes) in drops {
        account.dropped(reason, records, bytes);
    }
    for (delivery, answer) in deliveries.into_iter().zip(answers) {
        let Delivery {
            taker,
            batch,
            leniency,
        } = delivery;
        match (answer, taker) {
            (Answer::Reserved(reservation), Taker::Output(node)) => {
                store(account, &node, reservation, batch, leniency);
            }
            (Answer::Room(room), Taker::Stage(Seat { stage, .. })) => {
                let (records, bytes) = (u64::from(batch.count), batch.events.len() as u64);
                account.hold(records);
                if !stage.queue.append(room, batch) {
                    account.release(records);
                    account.dropped(DropReason::StageFailed, records, bytes);
                }
            }
            _ => {
                let records = u64::from(batch.count);
                account.dropped(DropReason::Ignored, records, batch.events.len() as u64);
                batch.due.meet();
            }
        }
    }
    for batch in done {
        batch.due.meet();
    }
}

fn store(
    account: &Account,
    node: &OutputNode,
    reservation: Reservation,
    mut batch: Batch,
    leniency: Leniency,
) {
    let may_stay_open = batch.piece.is_some() || node.buffer.is_passage();
    if may_stay_open && leniency != Leniency::default() {
        // This store may be forgiven a later piece; then the message is never whole here. Or its destination may be
        // down. The sender must not stay unanswered because of it.
        std::mem::replace(&mut batch.due, Obligation::nobody()).meet();
    }
    let records = u64::from(batch.count);
    account.delivered(records);
    node.account.received(records);
    node.metrics.accepted(batch.events.len() as u64);
    node.buffer.append(reservation, batch);
}

async fn reserve(delivery: &Delivery) -> Result<Answer, EmitError> {
    let (bytes, leniency) = (delivery.batch.events.len(), delivery.leniency);
    let node = match &delivery.taker {
        Taker::Output(node) => node,
        Taker::Stage(Seat { stage, .. }) => {
            return match or_forgiven(leniency, stage.queue.reserve(bytes)).await {
                Some(Ok(room)) => Ok(Answer::Room(room)),
                Some(Err(Closed)) if !leniency.ignore_error => Err(EmitError::Closed {
                    output: Arc::clone(&stage.id),
                }),
                _ => Ok(Answer::Forgiven),
            };
        }
    };
    let Some(answer) = or_forgiven(leniency, node.buffer.reserve(bytes)).await else {
        return Ok(Answer::Forgiven);
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

/// What a reservation says; `None` when it would have to wait and is forgiven that.
async fn or_forgiven<T>(leniency: Leniency, reservation: impl Future<Output = T>) -> Option<T> {
    if leniency.ignore_full {
        poll_once(reservation)
    } else {
        Some(reservation.await)
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

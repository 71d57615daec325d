//! All servers, and whose turn it is.
//!
//! Turns are smooth weighted round robin: each chunk goes to the server that is furthest behind its share, so that shares
//! are exact over any stretch of chunks. Standby servers take part while the weight of servers that are left out is not
//! made up for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::node::Node;

/// All servers.
#[derive(Debug)]
pub(crate) struct Nodes(Mutex<Vec<Slot>>);

#[derive(Debug)]
struct Slot {
    node: Arc<Node>,
    /// How far it is behind its share, in chunks times weight.
    behind: i64,
}

/// What decides whether a server is in question: its weight, whether it is a standby, whether it takes part.
#[derive(Debug, Clone, Copy)]
struct Standing {
    weight: u32,
    standby: bool,
    is_available: bool,
}

impl Nodes {
    pub(crate) fn new(nodes: Vec<Arc<Node>>) -> Self {
        let servers = Self(Mutex::default());
        servers.replace(nodes);
        servers
    }

    /// Every server, as configured or discovered.
    pub(crate) fn all(&self) -> Vec<Arc<Node>> {
        self.lock()
            .iter()
            .map(|slot| Arc::clone(&slot.node))
            .collect()
    }

    /// From now on these are the servers. Those that were before keep their place in the order of turns.
    pub(crate) fn replace(&self, nodes: Vec<Arc<Node>>) {
        let mut slots = self.lock();
        let old = std::mem::take(&mut *slots);
        let behind = |node: &Arc<Node>| {
            let known = old.iter().find(|slot| Arc::ptr_eq(&slot.node, node));
            // Many routers that start at once must not all begin with the same server.
            known.map_or_else(
                || fastrand::i64(0..=i64::from(node.spec.weight)),
                |slot| slot.behind,
            )
        };
        *slots = nodes
            .into_iter()
            .map(|node| Slot {
                behind: behind(&node),
                node,
            })
            .collect();
    }

    /// The server whose turn it is, without those in `tried`. When no other takes part, the one that is left out and
    /// failed longest ago: asking costs little, and it may be back.
    pub(crate) fn next(&self, tried: &[Arc<Node>]) -> Option<Arc<Node>> {
        let now = Instant::now();
        let mut slots = self.lock();
        let standings: Vec<Standing> = slots
            .iter()
            .map(|Slot { node, .. }| Standing {
                weight: node.spec.weight,
                standby: node.spec.standby,
                is_available: node.is_available(now),
            })
            .collect();
        let is_new = |node: &Arc<Node>| !tried.iter().any(|tried| Arc::ptr_eq(tried, node));
        let in_question = taking_part(&standings);
        let mut candidates: Vec<&mut Slot> = slots
            .iter_mut()
            .zip(in_question)
            .filter(|(slot, takes_part)| *takes_part && is_new(&slot.node))
            .map(|(slot, _)| slot)
            .collect();
        if let Some(node) = take_turn(&mut candidates) {
            return Some(node);
        }
        let others = slots
            .iter()
            .filter(|slot| slot.node.spec.weight > 0 && is_new(&slot.node));
        let longest_ago = others.min_by_key(|slot| (slot.node.spec.standby, slot.node.failed_at()));
        longest_ago.map(|slot| Arc::clone(&slot.node))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which servers take part in taking turns.
fn taking_part(standings: &[Standing]) -> Vec<bool> {
    let mut lost: u64 = standings
        .iter()
        .filter(|server| !server.standby && !server.is_available)
        .map(|server| u64::from(server.weight))
        .sum();
    standings
        .iter()
        .map(|server| {
            let is_called = !server.standby || lost > 0;
            let takes_part = server.weight > 0 && server.is_available && is_called;
            if takes_part && server.standby {
                lost = lost.saturating_sub(u64::from(server.weight));
            }
            takes_part
        })
        .collect()
}

fn take_turn(candidates: &mut [&mut Slot]) -> Option<Arc<Node>> {
    let mut total = 0;
    for slot in candidates.iter_mut() {
        let weight = i64::from(slot.node.spec.weight);
        slot.behind = slot.behind.saturating_add(weight);
        total += weight;
    }
    // Of equals the first, so that the order of the configuration counts.
    let chosen = candidates.iter_mut().rev().max_by_key(|slot| slot.behind)?;
    chosen.behind = chosen.behind.saturating_sub(total);
    Some(Arc::clone(&chosen.node))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(weight, standby, takes part)` of each, and who is in question.
    #[track_caller]
    fn check(servers: &[(u32, bool, bool)], expected: &[bool]) {
        let standings: Vec<_> = servers
            .iter()
            .map(|(weight, standby, is_available)| Standing {
                weight: *weight,
                standby: *standby,
                is_available: *is_available,
            })
            .collect();
        assert_eq!(taking_part(&standings), expected);
    }

    #[test]
    fn standbys_make_up_for_lost_weight_and_no_more() {
        check(&[(60, false, true), (60, true, true)], &[true, false]);
        check(&[(60, false, false), (60, true, true)], &[false, true]);
        check(
            &[
                (60, false, false),
                (40, true, true),
                (40, true, true),
                (40, true, true),
            ],
            &[false, true, true, false],
        );
        check(
            &[(60, false, false), (60, true, false), (60, true, true)],
            &[false, false, true],
        );
    }

    #[test]
    fn weight_zero_takes_nothing() {
        check(&[(0, false, true), (1, false, true)], &[false, true]);
    }
}

//! What was acknowledged against what arrived, by the numbers of the records.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::load::Acked;
use crate::harness::scripted::Message;

/// Chunks that a kill may repeat, each of one message: one for each flush worker. The next is not sent before the note
/// that this one was delivered is written.
const IN_FLIGHT: usize = 1;

/// Numbers are handed out once, and each is looked up by its place.
#[derive(Default)]
pub(crate) struct Oracle {
    next: Arc<AtomicU64>,
    acked: HashSet<u64>,
    acknowledged: u64,
    /// How often each number came.
    came: Vec<u8>,
    /// What was in flight at a kill.
    explained: HashSet<u64>,
    twice: u64,
    unexplained: Vec<u64>,
}

impl Oracle {
    /// For another destination of the same senders.
    pub(crate) fn sharing(other: &Self) -> Self {
        Self {
            next: Arc::clone(&other.next),
            ..Self::default()
        }
    }

    /// Where senders take their numbers.
    pub(crate) fn next(&self) -> &Arc<AtomicU64> {
        &self.next
    }

    /// Messages that were acknowledged.
    pub(crate) fn sent(&mut self, acked: &[Acked]) {
        for message in acked {
            self.acknowledged += message.count;
            // What came before its acknowledgement was read is not waited for.
            let numbers = message.first..message.first + message.count;
            let waited: Vec<u64> = numbers.filter(|number| !self.has_come(*number)).collect();
            self.acked.extend(waited);
        }
    }

    /// The router was killed when these had come.
    pub(crate) fn killed(&mut self, messages: Vec<Message>) {
        let last = messages.iter().rev().take(IN_FLIGHT);
        let last: Vec<u64> = last.flat_map(|message| message.numbers.clone()).collect();
        self.arrived(messages);
        self.explained = last.into_iter().collect();
    }

    /// Messages that came.
    pub(crate) fn arrived(&mut self, messages: Vec<Message>) {
        let sent = usize::try_from(self.next.load(Ordering::Relaxed)).expect("a place");
        self.came.resize(sent, 0);
        for number in messages.into_iter().flat_map(|message| message.numbers) {
            let place = usize::try_from(number).expect("a place");
            let came = self.came.get_mut(place).expect("somebody sent it");
            *came = came.saturating_add(1);
            if *came > 1 {
                self.twice += 1;
                if !self.explained.contains(&number) {
                    self.unexplained.push(number);
                }
            }
            self.acked.remove(&number);
        }
    }

    /// What was acknowledged and did not come, in order.
    pub(crate) fn missing(&self) -> Vec<u64> {
        let mut missing: Vec<u64> = self.acked.iter().copied().collect();
        missing.sort_unstable();
        missing
    }

    fn has_come(&self, number: u64) -> bool {
        let place = usize::try_from(number).expect("a place");
        self.came.get(place).is_some_and(|came| *came > 0)
    }

    /// What is missing was counted and is not looked for any more.
    pub(crate) fn forgive_missing(&mut self) {
        self.acked.clear();
    }

    /// Records that came more than once, for each time.
    pub(crate) fn twice(&self) -> u64 {
        self.twice
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records that came twice without having been in flight at the last kill.
    pub(crate) fn unexplained(&self) -> usize {
        self.unexplained.len()
    }
}

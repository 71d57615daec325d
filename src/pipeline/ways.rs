//! By which ways batches can reach a label, and the order of labels: both are known before anything runs.

use std::collections::VecDeque;

use super::{Leniency, Way};
use crate::config::{Config, ERROR, StorePolicy, StoreSpec, TargetSpec};

/// Every way by which batches come into a label.
pub(super) type Ways = Vec<Way>;

/// For each label the ways into it.
pub(super) fn ways(config: &Config) -> Vec<Ways> {
    let mut found = vec![Ways::new(); config.labels.len()];
    let mut open: Vec<(usize, Way)> = config
        .sources
        .iter()
        .filter_map(|source| Some((index_of(config, &source.label)?, Way::default())))
        .collect();
    while let Some((index, way)) = open.pop() {
        let (Some(label), Some(ways)) = (config.labels.get(index), found.get_mut(index)) else {
            continue;
        };
        if ways.contains(&way) {
            continue;
        }
        ways.push(way);
        for rule in &label.matches {
            follow(config, &rule.target, way, &mut open);
        }
        if !label.filters.is_empty() && !way.by_error {
            let error = index_of(config, ERROR);
            open.extend(error.map(|error| (error, Way::FAILED)));
        }
    }
    found
}

fn follow(config: &Config, target: &TargetSpec, way: Way, open: &mut Vec<(usize, Way)>) {
    match target {
        TargetSpec::Output(_) => {}
        TargetSpec::Relabel(label) => {
            open.extend(index_of(config, label).map(|index| (index, way)));
        }
        TargetSpec::Copy(stores) => {
            for store in stores {
                follow(config, &store.target, way.through(leniency(store)), open);
            }
        }
    }
}

/// What a store may be forgiven.
pub(super) fn leniency(store: &StoreSpec) -> Leniency {
    Leniency {
        ignore_error: store.on_error == StorePolicy::Ignore,
        ignore_full: store.on_full == StorePolicy::Ignore,
    }
}

fn index_of(config: &Config, name: &str) -> Option<usize> {
    config.labels.iter().position(|label| &*label.name == name)
}

/// The rank of each label: one that sends into another comes before it. The checker refuses circles.
pub(super) fn ranks(config: &Config) -> Vec<usize> {
    let into: Vec<Vec<usize>> = config
        .labels
        .iter()
        .map(|label| {
            let mut open = Vec::new();
            for rule in &label.matches {
                follow(config, &rule.target, Way::default(), &mut open);
            }
            open.into_iter().map(|(index, _)| index).collect()
        })
        .collect();
    let mut waits_for = vec![0_usize; into.len()];
    let mut count = |targets: &Vec<usize>, by: isize| -> Vec<usize> {
        let mut free = Vec::new();
        for target in targets {
            if let Some(waits) = waits_for.get_mut(*target) {
                *waits = waits.saturating_add_signed(by);
                free.extend((*waits == 0).then_some(*target));
            }
        }
        free
    };
    for targets in &into {
        count(targets, 1);
    }
    let mut ready: VecDeque<usize> = {
        let is_sent_to = |index: &usize| into.iter().any(|targets| targets.contains(index));
        (0..into.len()).filter(|index| !is_sent_to(index)).collect()
    };
    let mut ranks = vec![0; into.len()];
    let mut next = 0;
    while let Some(index) = ready.pop_front() {
        if let (Some(rank), Some(targets)) = (ranks.get_mut(index), into.get(index)) {
            *rank = next;
            next += 1;
            ready.extend(count(targets, -1));
        }
    }
    ranks
}

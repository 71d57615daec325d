//! Names for the fields of one map, so that none is given twice.

use std::collections::{HashMap, HashSet};

/// The names that are taken, and how often each was asked for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: HashSet<Vec<u8>>,
    /// The number that the next field of this name tries first. It only grows, so that many equal names cost little.
    next: HashMap<Vec<u8>, u64>,
}

impl Names {
    /// A field has this name already.
    pub(crate) fn take(&mut self, name: &[u8]) {
        self.taken.insert(name.to_vec());
    }

    /// The name itself, or where a field has it already, the name with `separator` and 2, 3 and so on.
    pub(crate) fn free(&mut self, name: Vec<u8>, separator: &str) -> Vec<u8> {
        if self.taken.insert(name.clone()) {
            return name;
        }
        let next = self.next.entry(name.clone()).or_insert(2);
        loop {
            let mut numbered = name.clone();
            numbered.extend_from_slice(separator.as_bytes());
            numbered.extend_from_slice(next.to_string().as_bytes());
            *next += 1;
            if self.taken.insert(numbered.clone()) {
                return numbered;
            }
        }
    }
}

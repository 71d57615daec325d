//! A set of numbers, kept as ranges: the sequences of a segment that are done.

/// Sorted, disjoint, inclusive ranges that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds every number from `first` to `last`; nothing when `first` is the larger one.
    pub(super) fn insert(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        let from = self
            .0
            .partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self
            .0
            .partition_point(|(start, _)| *start <= last.saturating_add(1));
        let joined = self.0.get(from..to).unwrap_or_default();
        let start = joined.first().map_or(first, |(start, _)| first.min(*start));
        let end = joined.last().map_or(last, |(_, end)| last.max(*end));
        self.0.splice(from..to.max(from), [(start, end)]);
    }

    /// Whether `number` is in the set.
    pub(super) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end < number);
        self.0.get(at).is_some_and(|(start, _)| *start <= number)
    }

    /// What of the set lies between `first` and `last`, both included.
    pub(super) fn within(&self, first: u64, last: u64) -> Self {
        let clipped = self
            .0
            .iter()
            .map(|(start, end)| ((*start).max(first), (*end).min(last)));
        Self(clipped.filter(|(start, end)| start <= end).collect())
    }

    /// The ranges, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_a_set(inserts in prop::collection::vec((0_u64..60, 0_u64..9), 0..20)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (first, len) in inserts {
                ranges.insert(first, first + len);
                set.extend(first..=first + len);
            }
            for number in 0..80 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            let all: Vec<(u64, u64)> = ranges.iter().collect();
            prop_assert!(all.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            let part: BTreeSet<u64> = ranges.within(10, 30).iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(part, set.range(10..=30).copied().collect::<BTreeSet<u64>>());
        }
    }
}

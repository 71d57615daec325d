//! The words that point at values, and the pass that finds them: it looks at every other place of a record, since a
//! word has at least three bytes, and at a place itself only where two of its bytes stand together.

/// Shortest word, in bytes.
pub(crate) const SHORTEST: usize = 3;
/// Two bytes with which a word begins.
const FIRST: u8 = 1;
/// Two bytes that stand behind the first byte of a word.
const SECOND: u8 = 2;
/// How many bits of the hash of the first three bytes of a word are used.
const HASH_BITS: u32 = 12;

/// What a word means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Detectors whose word this is, as a set of their indexes.
    pub(crate) words: u32,
    /// Detectors to whose names it belongs.
    pub(crate) names: u32,
    /// It is in the names of fields.
    pub(crate) key: bool,
}

impl Meaning {
    fn join(self, other: Self) -> Self {
        Self {
            words: self.words | other.words,
            names: self.names | other.names,
            key: self.key || other.key,
        }
    }
}

/// Words while they are gathered.
#[derive(Debug, Default)]
pub(crate) struct List(Vec<(Vec<u8>, Meaning)>);

impl List {
    /// Adds a word of at least [`SHORTEST`] bytes; one that is known means both.
    pub(crate) fn add(&mut self, word: &[u8], meaning: Meaning) {
        match self.0.iter_mut().find(|(one, _)| one == word) {
            Some((_, known)) => *known = known.join(meaning),
            None => self.0.push((word.to_vec(), meaning)),
        }
    }
}

/// All words, compiled: about 72 KiB.
#[derive(Debug)]
pub(crate) struct Words {
    /// For any two bytes, [`FIRST`] and [`SECOND`].
    pairs: Vec<u8>,
    /// For each hash of three bytes, one more than the index of its bucket.
    heads: Vec<u16>,
    /// Words whose first bytes have the same hash, the longest first.
    buckets: Vec<Vec<(Vec<u8>, Meaning)>>,
}

fn pair(bytes: [u8; 2]) -> usize {
    usize::from(u16::from_le_bytes(bytes))
}

fn hash([first, second, third]: [u8; SHORTEST]) -> usize {
    let head = u32::from_le_bytes([first, second, third, 0]);
    (head.wrapping_mul(0x9e37_79b1) >> (u32::BITS - HASH_BITS)) as usize
}

impl Words {
    pub(crate) fn new(list: &List) -> Self {
        let mut words = Self {
            pairs: vec![0; 1 << 16],
            heads: vec![0; 1 << HASH_BITS],
            buckets: Vec::new(),
        };
        for (word, meaning) in &list.0 {
            // A word that begins with another means both, since of two at one place only the longer is reported.
            let shorter = list.0.iter().filter(|(one, _)| word.starts_with(one));
            let meaning = shorter.fold(*meaning, |sum, (_, other)| sum.join(*other));
            words.add(word, meaning);
        }
        for bucket in &mut words.buckets {
            bucket.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
        }
        words
    }

    fn add(&mut self, word: &[u8], meaning: Meaning) {
        let Some(head @ [first, second, third]) = word.first_chunk() else {
            return;
        };
        for (bytes, mark) in [([*first, *second], FIRST), ([*second, *third], SECOND)] {
            if let Some(marks) = self.pairs.get_mut(pair(bytes)) {
                *marks |= mark;
            }
        }
        let Some(index) = self.heads.get_mut(hash(*head)) else {
            return;
        };
        if let Some(bucket) = self.buckets.get_mut(usize::from(*index).wrapping_sub(1)) {
            bucket.push((word.to_vec(), meaning));
        } else {
            self.buckets.push(vec![(word.to_vec(), meaning)]);
            // There are at most 4,096 of them, one for each hash.
            *index = u16::try_from(self.buckets.len()).unwrap_or(0);
        }
    }

    /// Calls with the start, the end and the meaning of the longest word at each place, in their order.
    #[inline]
    pub(crate) fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, usize, Meaning)) {
        for (index, two) in bytes.as_chunks().0.iter().enumerate() {
            let marks = self.pairs.get(pair(*two)).copied().unwrap_or(0);
            if marks == 0 {
                continue;
            }
            let at = 2 * index;
            if marks & SECOND != 0 && at > 0 {
                self.look(bytes, at - 1, &mut found);
            }
            if marks & FIRST != 0 {
                self.look(bytes, at, &mut found);
            }
        }
    }

    #[inline]
    fn look(&self, bytes: &[u8], at: usize, found: &mut impl FnMut(usize, usize, Meaning)) {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(head) = rest.first_chunk() else {
            return;
        };
        let index = self.heads.get(hash(*head)).copied().unwrap_or(0);
        // Most often it is 0, which is behind the last bucket when one less.
        let bucket = self.buckets.get(usize::from(index).wrapping_sub(1));
        let words = bucket.map(Vec::as_slice).unwrap_or_default();
        if let Some((word, meaning)) = words.iter().find(|(word, _)| rest.starts_with(word)) {
            found(at, at + word.len(), *meaning);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_place_of_a_word_is_found_once_with_its_longest_word(
            words in prop::collection::vec("[ab:]{3,6}", 0..8), text in "[ab:x]{0,40}"
        ) {
            let mut list = List::default();
            for (index, word) in words.iter().enumerate() {
                list.add(word.as_bytes(), Meaning { words: 1 << index, ..Meaning::default() });
            }
            let mut found = Vec::new();
            Words::new(&list).each(text.as_bytes(), |at, end, meaning| found.push((at, end, meaning.words)));
            let mut expected = Vec::new();
            for at in 0..text.len() {
                let rest = text.split_at(at).1;
                let here = words.iter().enumerate().filter(|(_, word)| rest.starts_with(word.as_str()));
                if let Some(len) = here.clone().map(|(_, word)| word.len()).max() {
                    expected.push((at, at + len, here.fold(0, |sum, (index, _)| sum | 1 << index)));
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}

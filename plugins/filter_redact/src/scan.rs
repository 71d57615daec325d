//! The one pass over an encoded record that says where values may stand; where it finds no place, nothing else is done.

use memchr::{memchr_iter, memchr2_iter};

use crate::{
    detectors::{DETECTORS, Trigger, assignment_follows, is_card},
    keys::Keys,
    numbers::{self, Scope},
    text::Text,
    words::{List, Meaning, Words},
};

/// A place in a record, or in a text, that something points at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) at: usize,
    pub(crate) what: What,
}

/// What points there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// A word of the detectors in this set.
    Word(u32),
    At,
    /// Somewhere in this text is a long number.
    Number,
    Colon,
    /// An integer that is the number of a card.
    Integer,
}

/// Everything that is looked for, compiled.
#[derive(Debug)]
pub(crate) struct Scan {
    words: Words,
    pub(crate) keys: Keys,
    /// Single bytes that are looked for.
    signs: Vec<(u8, What)>,
    numbers: Option<Scope>,
    cards: bool,
    /// Something has no words to look for, so that every record must be walked.
    pub(crate) everywhere: bool,
}

impl Scan {
    /// Looks for the detectors in the set `on`, and for these names of fields.
    pub(crate) fn new(on: u32, keys: Keys, custom: bool) -> Self {
        let (mut list, mut signs, mut numbers, mut cards) =
            (List::default(), Vec::new(), None, false);
        let detectors = DETECTORS.iter().enumerate();
        for (index, detector) in detectors.filter(|(index, _)| on & (1 << index) != 0) {
            let (mut meaning, set) = (Meaning::default(), 1 << index);
            match detector.trigger {
                Trigger::Words(_) => meaning.words = set,
                Trigger::Names(_) => meaning.names = set,
                Trigger::At => signs.push((b'@', What::At)),
                Trigger::Colon => signs.push((b':', What::Colon)),
                Trigger::Digits => numbers = numbers.or(Some(Scope::Long)),
                Trigger::FewDigits => numbers = Some(Scope::Short),
            }
            if let Trigger::Words(words) | Trigger::Names(words) = detector.trigger {
                for word in words {
                    list.add(word.as_bytes(), meaning);
                }
            }
            cards |= detector.name == "credit_card";
        }
        let mut everywhere = custom;
        let meaning = Meaning {
            key: true,
            ..Meaning::default()
        };
        for rule in keys.rules() {
            match rule.literals() {
                Some(literals) => literals.iter().for_each(|word| list.add(word, meaning)),
                None => everywhere = true,
            }
        }
        Self {
            words: Words::new(&list),
            keys,
            signs,
            numbers,
            cards,
            everywhere,
        }
    }

    /// The places of an encoded record, in their order. None: there is nothing to redact, unless `everywhere`.
    pub(crate) fn record(&self, record: &[u8], places: &mut Vec<Place>) {
        let text = Text(record);
        self.words.each(record, |at, end, meaning| {
            let mut set = meaning.words;
            if meaning.names != 0 && assignment_follows(text, at) {
                set |= meaning.names;
            }
            if set != 0 || (meaning.key && self.keys.may_be_key(record, at, end)) {
                places.push(Place {
                    at,
                    what: What::Word(set),
                });
            }
        });
        self.signs(record, places);
        if let Some(scope) = self.numbers {
            numbers::places(record, scope, |at| {
                places.push(Place {
                    at,
                    what: What::Number,
                });
            });
        }
        if self.cards {
            for at in memchr2_iter(0xcf, 0xd3, record) {
                let number = record.get(at + 1..).and_then(|rest| rest.first_chunk());
                let number = number.map_or(0, |bytes| u64::from_be_bytes(*bytes));
                if number >= 1_000_000_000_000 && is_card(number.to_string().as_bytes()) {
                    places.push(Place {
                        at,
                        what: What::Integer,
                    });
                }
            }
        }
        if places.len() > 1 {
            places.sort_unstable();
        }
    }

    /// Every detector of whose words one begins at `at`.
    #[cfg(test)]
    pub(crate) fn words_at(&self, bytes: &[u8], at: usize) -> u32 {
        let mut set = 0;
        self.words.each(bytes, |start, _, meaning| {
            if start == at {
                set = meaning.words | meaning.names;
            }
        });
        set | u32::from(bytes[at].is_ascii()) << 31
    }

    fn signs(&self, bytes: &[u8], places: &mut Vec<Place>) {
        let text = Text(bytes);
        for (sign, what) in &self.signs {
            let found = memchr_iter(*sign, bytes)
                .filter(|at| *what != What::At || !matches!(text.at(at + 1), 0..=b' ' | b'@'));
            places.extend(found.map(|at| Place { at, what: *what }));
        }
    }
}

//! Fields that are left out: copying a map without them.

use sdk::{
    config::{ConfigError, ConfigErrors},
    event::FieldPath,
    msgpack::RawValue,
};

/// Fields, at the top and below, that are left out.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Vec<Cut>);

#[derive(Debug)]
struct Cut {
    key: Box<[u8]>,
    /// What is left out of the map that stands there; `None`: all of it.
    below: Option<Cuts>,
}

impl Cuts {
    /// Reads names and paths, `"a,b"` as in Fluentd or one each.
    pub(crate) fn of_texts(place: &str, texts: &[String], errors: &mut ConfigErrors) -> Self {
        let mut cuts = Self::default();
        let texts = texts.iter().flat_map(|text| split(text));
        for text in texts.map(str::trim).filter(|text| !text.is_empty()) {
            match text.parse::<FieldPath>() {
                Ok(path) if !path.has_index() => cuts.add(&path),
                Ok(_) => errors.push(
                    ConfigError::at(place, format!("{text}: items of arrays stay"))
                        .help("name the whole array, or remove this"),
                ),
                Err(error) => errors.push(
                    ConfigError::at(place, format!("{text}: {error}"))
                        .help("write a name, or a path as in $.user.name"),
                ),
            }
        }
        cuts
    }

    /// One more field, unless its path goes through an array.
    pub(crate) fn add(&mut self, path: &FieldPath) {
        let Some(steps) = path.key_steps() else {
            return;
        };
        let Some((last, above)) = steps.split_last() else {
            return;
        };
        let mut level = self;
        for key in above {
            let index = level.index_of(key);
            match level.0.get_mut(index).map(|cut| &mut cut.below) {
                Some(Some(below)) => level = below,
                // The map above is left out as a whole.
                _ => return,
            }
        }
        let index = level.index_of(last);
        if let Some(cut) = level.0.get_mut(index) {
            cut.below = None;
        }
    }

    fn index_of(&mut self, key: &str) -> usize {
        let found = self.0.iter().position(|cut| *cut.key == *key.as_bytes());
        found.unwrap_or_else(|| {
            self.0.push(Cut {
                key: key.as_bytes().into(),
                below: Some(Self::default()),
            });
            self.0.len() - 1
        })
    }

    /// Whether nothing is left out.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the field of this name at the top is left out as a whole.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.of(key).is_some_and(|cut| cut.below.is_none())
    }

    fn of(&self, key: &[u8]) -> Option<&Cut> {
        self.0.iter().find(|cut| *cut.key == *key)
    }

    /// Appends a map without the fields, and without those in `more`, which is sorted. `false`: it is no map.
    pub(crate) fn copy(&self, map: RawValue<'_>, more: &[&[u8]], out: &mut Vec<u8>) -> bool {
        let Some(pairs) = map.pairs() else {
            return false;
        };
        let header = begin_map(out);
        let mut count = 0;
        for (name, value) in pairs {
            let key = name.as_bytes();
            if key.is_some_and(|key| more.binary_search(&key).is_ok()) {
                continue;
            }
            match key.and_then(|key| self.of(key)).map(|cut| &cut.below) {
                Some(None) => continue,
                Some(Some(below)) => {
                    out.extend_from_slice(name.bytes());
                    if !below.copy(value, &[], out) {
                        out.extend_from_slice(value.bytes());
                    }
                }
                None => {
                    out.extend_from_slice(name.bytes());
                    out.extend_from_slice(value.bytes());
                }
            }
            count += 1;
        }
        end_map(out, header, count);
        true
    }
}

/// A path may have commas in it; a list of names is what Fluentd has.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let separator = if text.starts_with('$') { '\n' } else { ',' };
    text.split(separator)
}

/// Begins a map whose length is not known yet; returns where its header ends.
pub(crate) fn begin_map(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0xdf, 0, 0, 0, 0]);
    out.len()
}

/// Writes the number of pairs into the header that ends at `header`.
pub(crate) fn end_map(out: &mut [u8], header: usize, count: u32) {
    let slot = header
        .checked_sub(4)
        .and_then(|at| out.get_mut(at..))
        .and_then(|rest| rest.first_chunk_mut());
    if let Some(slot) = slot {
        *slot = count.to_be_bytes();
    }
}

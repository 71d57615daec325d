//! A small map that is written once per container, in the order in which it was filled.

use sdk::msgpack::write;

use crate::pod::Words;

/// Keys and values in order.
#[derive(Default)]
pub(super) struct Tree {
    count: u32,
    bytes: Vec<u8>,
}

impl Tree {
    /// A text; nothing where there is none.
    pub(super) fn text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.value(key, |out| write::str(out, value));
        }
    }

    /// Names and values; nothing where there are none.
    pub(super) fn words(&mut self, key: &str, words: &Words) {
        if words.is_empty() {
            return;
        }
        let mut inner = Self::default();
        for (name, value) in words {
            inner.value(name, |out| write::str(out, value));
        }
        self.tree(key, &inner);
    }

    /// A map inside; nothing where it is empty.
    pub(super) fn tree(&mut self, key: &str, inner: &Self) {
        if inner.count > 0 {
            self.value(key, |out| inner.write(out));
        }
    }

    /// Anything.
    pub(super) fn value(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        write::str(&mut self.bytes, key);
        value(&mut self.bytes);
    }

    /// Appends the map.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write::map(out, self.count);
        out.extend_from_slice(&self.bytes);
    }

    /// The map as a top-level value; `None` where it is empty.
    pub(super) fn addition(&self, key: &str) -> Option<(String, Vec<u8>)> {
        let mut out = Vec::new();
        self.write(&mut out);
        (self.count > 0).then(|| (key.to_owned(), out))
    }
}

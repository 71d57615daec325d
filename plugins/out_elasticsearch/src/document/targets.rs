//! Which index each document goes to, where requests have it in their address and not in their lines.

use std::collections::HashMap;

/// The indexes of the documents of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
    /// The number of the index of each document, in the order of the table.
    of_documents: Vec<usize>,
    current: usize,
}

impl Targets {
    /// What follows goes to this index.
    pub(crate) fn set(&mut self, name: &str) {
        self.current = self.numbers.get(name).copied().unwrap_or_else(|| {
            let number = self.names.len();
            self.names.push(name.to_owned());
            self.numbers.insert(name.to_owned(), number);
            number
        });
    }

    /// There is one more document.
    pub(crate) fn push(&mut self) {
        self.of_documents.push(self.current);
    }

    /// The index of the document at `position`.
    pub(crate) fn name_of(&self, position: usize) -> Option<&str> {
        let number = self.of_documents.get(position)?;
        self.names.get(*number).map(String::as_str)
    }

    /// The positions of the documents of each index.
    pub(crate) fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups = vec![Vec::new(); self.names.len()];
        for (position, number) in self.of_documents.iter().enumerate() {
            if let Some(group) = groups.get_mut(*number) {
                group.push(position);
            }
        }
        groups
    }
}

//! Writes the seeds of the corpus: `cargo run -p fuzz --bin seeds` in the root of the repository.

use std::{io, path::Path};

fn main() -> io::Result<()> {
    fuzz::seeds::write(Path::new("fuzz/corpus"))
}

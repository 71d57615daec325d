//! `weir schema`: the JSON Schema of a configuration, for editors.

use std::io::Write;

use super::exit;
use crate::{config::document_schema, plugins::PLUGINS};

/// Prints it; the number is the exit code.
pub(super) fn run(out: &mut impl Write) -> u8 {
    let text = format!("{:#}\n", document_schema(PLUGINS));
    // Nobody to tell is no reason to fail.
    drop(out.write_all(text.as_bytes()));
    exit::OK
}

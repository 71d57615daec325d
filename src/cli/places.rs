//! Which directories a command is about: named themselves, or as the ids of outputs in a configuration.

use std::{
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use sdk::{event::Time, json};

use super::{check, complain, exit};
use crate::config::{BufferKind, Config, DeadLetterKind, OutputSpec};

/// Arguments that name directories.
#[derive(Debug, Default, Args)]
pub(super) struct PlacesArgs {
    /// Directories; with --config also ids of outputs. Without any, all that the configuration has
    #[arg(value_name = "DIR|ID")]
    pub(super) which: Vec<String>,
    /// The configuration with the outputs. Relative directories in it count from the present one
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// What is kept there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    Buffer,
    DeadLetter,
}

/// A directory, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The id of the output, or the directory as it was named.
    pub(super) name: String,
    pub(super) path: PathBuf,
}

impl PlacesArgs {
    /// The directories. What is wrong is said to `err`.
    ///
    /// # Errors
    /// The exit code.
    pub(super) fn places(
        &self,
        store: Store,
        err: &mut (impl Write + IsTerminal),
    ) -> Result<Vec<Place>, u8> {
        let config = match &self.config {
            Some(path) => Some(check::load_quietly(path, err)?),
            None => None,
        };
        if self.which.is_empty() && config.is_none() {
            let help = format!(
                "name a directory, or the configuration: --config weir.toml ({})",
                store.example()
            );
            complain(err, &format!("which {}?", store.name()), &help);
            return Err(exit::USAGE);
        }
        let outputs = config
            .as_ref()
            .map(Config::output_specs)
            .unwrap_or_default();
        if self.which.is_empty() {
            let places = outputs.iter().filter_map(|output| store.of(output));
            return Ok(places.collect());
        }
        self.which
            .iter()
            .map(|which| self.place(which, store, &outputs, err))
            .collect()
    }

    fn place(
        &self,
        which: &str,
        store: Store,
        outputs: &[&OutputSpec],
        err: &mut impl Write,
    ) -> Result<Place, u8> {
        let is_path = which.contains('/') || which.starts_with('.') || self.config.is_none();
        if is_path {
            return Ok(Place {
                name: which.to_owned(),
                path: PathBuf::from(which),
            });
        }
        let Some(output) = outputs.iter().find(|output| &*output.plugin.id == which) else {
            let ids: Vec<&str> = outputs.iter().map(|output| &*output.plugin.id).collect();
            let help = format!(
                "its outputs are: {}; a directory is named as ./{which}",
                ids.join(", ")
            );
            complain(
                err,
                &format!("the configuration has no output `{which}`"),
                &help,
            );
            return Err(exit::USAGE);
        };
        store.of(output).ok_or_else(|| {
            let message = format!("output `{which}` keeps no {} on disk", store.name());
            complain(err, &message, "name another output");
            exit::USAGE
        })
    }

    /// The one directory.
    ///
    /// # Errors
    /// The exit code: there is none, or more than one.
    pub(super) fn place_of_one(
        &self,
        store: Store,
        err: &mut (impl Write + IsTerminal),
    ) -> Result<Place, u8> {
        let mut places = self.places(store, err)?;
        match (places.pop(), places.is_empty()) {
            (Some(place), true) => Ok(place),
            (Some(_), false) => {
                let help = "name one of them, by its directory or the id of its output";
                complain(err, &format!("more than one {}", store.name()), help);
                Err(exit::USAGE)
            }
            (None, _) => {
                let message = format!("the configuration has no {} on disk", store.name());
                complain(err, &message, "name a directory");
                Err(exit::USAGE)
            }
        }
    }
}

impl Store {
    fn name(self) -> &'static str {
        match self {
            Self::Buffer => "buffer",
            Self::DeadLetter => "dead letter",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Buffer => "weir buffer ls data/buffer/es",
            Self::DeadLetter => "weir dead ls data/dead/es",
        }
    }

    /// Where an output keeps it; `None` when it does not.
    fn of(self, output: &OutputSpec) -> Option<Place> {
        let path = match self {
            Self::Buffer => (output.buffer.kind == BufferKind::File).then_some(&output.buffer.path),
            Self::DeadLetter => (output.dead_letter.kind == DeadLetterKind::File)
                .then_some(&output.dead_letter.path),
        };
        Some(Place {
            name: output.plugin.id.to_string(),
            path: path?.clone(),
        })
    }
}

/// A directory that nothing was written to yet is empty, and not wrong.
pub(super) fn is_missing(path: &Path) -> bool {
    !path.exists()
}

/// Bytes for people.
pub(super) fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut scaled = (bytes, "B");
    let mut rest = 0;
    for unit in units {
        if scaled.0 < 1024 {
            break;
        }
        rest = scaled.0 % 1024;
        scaled = (scaled.0 / 1024, unit);
    }
    match scaled {
        (whole, "B") => format!("{whole} B"),
        (whole, unit) => format!("{whole}.{} {unit}", rest * 10 / 1024),
    }
}

/// A time in milliseconds since 1970 as text, RFC 3339.
pub(super) fn instant(ms: u64) -> String {
    let time = Time {
        secs: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        nanos: u32::try_from(ms % 1000).unwrap_or(0) * 1_000_000,
    };
    let mut text = Vec::new();
    json::write_time(&mut text, time);
    String::from_utf8_lossy(&text).into_owned()
}

/// Rows below their heads, each column as wide as its widest cell.
pub(super) fn table<const N: usize>(heads: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heads.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in std::iter::once(&heads.map(str::to_owned)).chain(rows) {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        out += line.join("  ").trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_for_people() {
        let sizes = [0, 1023, 1024, 1536, 16 << 20, (3 << 30) + (1 << 29)].map(size);
        assert_eq!(
            sizes,
            ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "16.0 MiB", "3.5 GiB"]
        );
        assert_eq!(instant(1_767_323_045_006), "2026-01-02T03:04:05.006000000Z");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            ["a".to_owned(), "1".to_owned()],
            ["long name".to_owned(), String::new()],
        ];
        let expected = "name       n\na          1\nlong name\n";
        assert_eq!(table(["name", "n"], &rows), expected);
    }
}

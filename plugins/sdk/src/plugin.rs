//! What a plugin says about itself: one constant descriptor.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    clock::Clock, config::ConfigErrors, filter::Filter, formatter::Formatter, input::Input,
    metrics::Metrics, output::Output, parser::Parser, stateful::StatefulFilter,
};

/// The constant that the list of plugins, the checker, the manual and the tests read.
#[derive(Debug, Clone, Copy)]
pub struct Descriptor {
    /// The value of `type` in the configuration, as Fluentd names it.
    pub name: &'static str,
    /// Other values of `type` that mean this plugin.
    pub aliases: &'static [&'static str],
    /// How settled it is.
    pub stability: Stability,
    /// One sentence for `weir plugins`.
    pub summary: &'static str,
    /// JSON Schema of its configuration, made from the `Config` struct.
    pub schema: fn() -> serde_json::Value,
    /// What it is and how it is built.
    pub build: Build,
}

/// How settled a plugin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// Parameters keep their names and meaning.
    Stable,
    /// Works; parameters may still change between minor versions.
    Beta,
}

/// The kinds of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `[[source]]`
    Input,
    /// `[[filter]]`
    Filter,
    /// `[[match]]` and `[[match.store]]`
    Output,
    /// A `parse` table inside another plugin
    Parser,
    /// A `format` table inside another plugin
    Formatter,
}

impl Kind {
    /// `input`, `filter`, `output`, `parser` or `formatter`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Filter => "filter",
            Self::Output => "output",
            Self::Parser => "parser",
            Self::Formatter => "formatter",
        }
    }
}

/// Which buffer an output has when the configuration names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultBuffer {
    /// On disk. Every output whose records would be missed.
    File,
    /// In memory. Outputs for looking at records.
    Memory,
}

/// Builders. They do no I/O, so that `weir check` is safe anywhere.
#[derive(Debug, Clone, Copy)]
pub enum Build {
    /// An input.
    Input(Builder<Box<dyn Input>>),
    /// A filter.
    Filter(Builder<Arc<dyn Filter>>),
    /// A filter with memory. In the configuration it is a filter like any other.
    Stateful(Builder<Box<dyn StatefulFilter>>),
    /// An output, and the buffer it has by default.
    Output(Builder<Arc<dyn Output>>, DefaultBuffer),
    /// A parser.
    Parser(Builder<Arc<dyn Parser>>),
    /// A formatter.
    Formatter(Builder<Arc<dyn Formatter>>),
}

/// Makes an instance from its checked table.
pub type Builder<T> = fn(serde_json::Value, &BuildCx) -> Result<T, ConfigErrors>;

impl Descriptor {
    /// What it is.
    pub fn kind(&self) -> Kind {
        match self.build {
            Build::Input(_) => Kind::Input,
            Build::Filter(_) | Build::Stateful(_) => Kind::Filter,
            Build::Output(..) => Kind::Output,
            Build::Parser(_) => Kind::Parser,
            Build::Formatter(_) => Kind::Formatter,
        }
    }

    /// Whether it is a filter with memory.
    pub fn has_memory(&self) -> bool {
        matches!(self.build, Build::Stateful(_))
    }

    /// Whether `name` is its name or an alias.
    pub fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// What a builder is given besides its parameters.
#[derive(Clone)]
pub struct BuildCx {
    /// The id of the component.
    pub id: Arc<str>,
    /// The `type` as it is written, where that is known: an alias may ask for more than the name does.
    pub type_name: Option<Arc<str>>,
    /// Carries the labels of the component.
    pub metrics: Metrics,
    /// The wall clock.
    pub clock: Clock,
    /// The name of this host, for `${hostname}`.
    pub hostname: Arc<str>,
    /// `[service] data_dir`.
    pub data_dir: PathBuf,
    /// Where this component may keep what it has to know after a restart: `state/ID` below `data_dir`. It belongs to
    /// this component alone, and nobody has made it. `None` when the table has no id: a derived one would change with
    /// the file, so a parameter that needs the directory is then refused.
    pub state_dir: Option<PathBuf>,
    /// Every plugin there is: where [`parser`](Self::parser) and [`formatter`](Self::formatter) look.
    pub plugins: &'static [&'static Descriptor],
}

impl std::fmt::Debug for BuildCx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BuildCx({})", self.id)
    }
}

impl BuildCx {
    /// A context for tests and for `check`.
    pub fn detached(id: &str) -> Self {
        Self {
            id: id.into(),
            type_name: None,
            metrics: Metrics::new(),
            clock: Clock::system(),
            hostname: "localhost".into(),
            data_dir: PathBuf::from("data"),
            state_dir: Some(state_dir(Path::new("data"), id)),
            plugins: &[],
        }
    }
}

/// The directory in which the component with this id keeps its state.
pub fn state_dir(data_dir: &Path, id: &str) -> PathBuf {
    data_dir.join("state").join(id)
}

//! One thing that is wrong with a configuration: what, where, and what to do about it.

use std::ops::Range;

use serde::Serialize;

/// Bytes of the text, from and to.
pub type Span = Range<usize>;

/// What kind of thing is wrong. The names are stable: scripts may rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The text is not TOML.
    Syntax,
    /// A key that nobody reads.
    UnknownKey,
    /// A key that must be there.
    MissingKey,
    /// Text where a number belongs, and so on.
    WrongType,
    /// A number, text or list that is too small or too large.
    OutOfRange,
    /// Not one of a few allowed values.
    NotAllowed,
    /// A value that means nothing, such as a malformed duration, or that the plugin refuses.
    BadValue,
    /// No plugin has this name.
    UnknownType,
    /// A plugin of this name exists, but is of another kind.
    WrongKind,
    /// `${env:NAME}` is not set and has no default.
    UnsetVariable,
    /// A variable that is written wrongly.
    BadVariable,
    /// `${file:PATH}` cannot be read.
    UnreadableFile,
    /// `${secret:NAME}` has no `[secrets.NAME]`.
    UnknownSecret,
    /// Not a tag pattern.
    BadPattern,
    /// No `[label.NAME]` of this name.
    UnknownLabel,
    /// Labels that send to one another in a circle.
    RelabelCycle,
    /// A match behind one that takes everything it could take.
    UnreachableMatch,
    /// Records arrive in a label that sends them nowhere.
    NoMatch,
    /// No source at all.
    NoSource,
    /// Two components with one id.
    DuplicateId,
    /// A component with state on disk needs an id of its own.
    IdNeeded,
    /// Two components write to one place.
    SamePath,
    /// Two components listen on one address.
    SameAddress,
    /// A copy without stores.
    EmptyCopy,
    /// Nothing sends to this label.
    UnusedLabel,
    /// Acknowledged records would be lost with the process.
    MemoryBuffer,
    /// `except` takes nothing away.
    IdleExcept,
    /// A comma in a tag pattern is an ordinary character.
    StrayComma,
    /// A secondary whose turn never comes, because retrying never ends.
    IdleSecondary,
    /// Records reach an output without passing a filter that protects what is personal.
    Unprotected,
    /// It weakens one of the first five promises, and the configuration is to be strict.
    WeakPromise,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The configuration does not run.
    Error,
    /// It runs, but probably not as meant.
    Warning,
}

impl Code {
    /// Every one of them.
    pub const ALL: [Self; 31] = [
        Self::Syntax,
        Self::UnknownKey,
        Self::MissingKey,
        Self::WrongType,
        Self::OutOfRange,
        Self::NotAllowed,
        Self::BadValue,
        Self::UnknownType,
        Self::WrongKind,
        Self::UnsetVariable,
        Self::BadVariable,
        Self::UnreadableFile,
        Self::UnknownSecret,
        Self::BadPattern,
        Self::UnknownLabel,
        Self::RelabelCycle,
        Self::UnreachableMatch,
        Self::NoMatch,
        Self::NoSource,
        Self::DuplicateId,
        Self::IdNeeded,
        Self::SamePath,
        Self::SameAddress,
        Self::EmptyCopy,
        Self::UnusedLabel,
        Self::MemoryBuffer,
        Self::IdleExcept,
        Self::StrayComma,
        Self::IdleSecondary,
        Self::Unprotected,
        Self::WeakPromise,
    ];

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::UnusedLabel
            | Self::MemoryBuffer
            | Self::IdleExcept
            | Self::StrayComma
            | Self::IdleSecondary
            | Self::Unprotected => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The name in messages: `unknown-key`.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).unwrap_or_default();
        name.as_str().unwrap_or_default().to_owned()
    }
}

/// A place, and what to say about it there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// A few words; may be empty.
    pub text: String,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding.
    pub code: Code,
    /// What is wrong: a lower-case fragment that names the value.
    pub message: String,
    /// Where: the first is the place itself, the others explain it. Never empty.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding at `span`.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: vec![Label {
                span,
                text: String::new(),
            }],
            help: None,
        }
    }

    /// Adds the remedy.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says something at the place itself.
    #[must_use]
    pub fn here(mut self, text: impl Into<String>) -> Self {
        if let Some(label) = self.labels.first_mut() {
            label.text = text.into();
        }
        self
    }

    /// Points at another place that explains it.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Where it is.
    pub fn span(&self) -> Span {
        self.labels
            .first()
            .map(|label| label.span.clone())
            .unwrap_or_default()
    }

    /// Whether the configuration does not run because of it.
    pub fn is_error(&self) -> bool {
        self.code.severity() == Severity::Error
    }

    /// Every text of it, for changing them all.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let labels = self.labels.iter_mut().map(|label| &mut label.text);
        std::iter::once(&mut self.message)
            .chain(self.help.as_mut())
            .chain(labels)
    }
}

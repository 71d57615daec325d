//! What the parameters come to when they are read together.

use std::time::Duration;

use sdk::{
    config::{ConfigError, ConfigErrors},
    event::FieldPath,
    metrics::Counter,
    plugin::BuildCx,
};

use crate::{Config, SslMode, pool::Pool, table};

/// What stands in a column.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Time,
    Tag,
    Record,
    Field(FieldPath),
}

/// Checked parameters.
pub(crate) struct Settings {
    /// In the order of the columns.
    pub(crate) sources: Vec<Source>,
    /// `COPY ... FROM STDIN`
    pub(crate) copy_sql: String,
    /// Takes keys, and returns those that are new.
    pub(crate) claim_sql: String,
    /// The places of records that were refused when these keys were taken.
    pub(crate) refused_sql: String,
    /// Notes them.
    pub(crate) note_sql: String,
    /// Forgets keys that are older than a number of seconds.
    pub(crate) prune_sql: String,
    pub(crate) retention: Duration,
    /// How long one exchange with the server may take.
    pub(crate) patience: Duration,
    /// Texts in which NUL was replaced.
    pub(crate) replaced: Counter,
    /// Records that were delivered before.
    pub(crate) repeated: Counter,
}

impl Settings {
    /// Checks what the schema cannot. Does no I/O.
    ///
    /// # Errors
    /// Every contradiction.
    pub(crate) fn new(config: &Config, cx: &BuildCx) -> Result<(Self, Pool), ConfigErrors> {
        let mut errors = Vec::new();
        let columns = columns(config, &mut errors);
        check(config, &mut errors);
        let create = config.create_table.then(|| table::create(config, &columns));
        let pool = match Pool::new(config, create) {
            Ok(pool) => pool,
            Err(found) => {
                errors.extend(found);
                return Err(errors);
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let counter = |name, help| cx.metrics.counter(name, help, &[]);
        let names: Vec<String> = columns
            .iter()
            .map(|(name, ..)| table::quoted(name))
            .collect();
        let table = table::name(config, &config.table);
        let delivered = table::name(config, &config.delivered_table);
        let settings = Self {
            sources: columns.into_iter().map(|(.., source)| source).collect(),
            copy_sql: format!("COPY {table} ({}) FROM STDIN", names.join(", ")),
            claim_sql: format!(
                "INSERT INTO {delivered} (key) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING RETURNING key"
            ),
            refused_sql: format!(
                "SELECT key, refused FROM {delivered} WHERE refused IS NOT NULL AND key = ANY($1)"
            ),
            note_sql: format!("UPDATE {delivered} SET refused = $2 WHERE key = $1"),
            prune_sql: format!(
                "DELETE FROM {delivered} WHERE at < now() - make_interval(secs => $1)"
            ),
            retention: config.delivered_retention.0,
            // The server's own limit comes first, and says more.
            patience: config.statement_timeout.0 + Duration::from_secs(5),
            replaced: counter(
                "postgres_replaced_texts",
                "Texts in which NUL, which PostgreSQL cannot hold, was replaced by U+FFFD",
            ),
            repeated: counter(
                "postgres_repeated_records",
                "Records that were in the table already and were not written again",
            ),
        };
        Ok((settings, pool))
    }
}

/// What contradicts itself beside the names of the columns.
fn check(config: &Config, errors: &mut ConfigErrors) {
    for (index, column) in config.columns.iter().enumerate() {
        if !is_type(&column.sql_type) {
            let path = format!("/columns/{index}/type");
            let error = ConfigError::at(path, format!("{:?} is no type", column.sql_type));
            errors.push(error.help("write one such as \"text\", \"bigint\" or \"numeric(12, 2)\""));
        }
    }
    if matches!(config.sslmode, SslMode::Disable) && config.tls.is_some() {
        let error = ConfigError::at("/tls", "is of no use with sslmode = \"disable\"");
        errors.push(error.help("leave one of them out"));
    }
    if config.delivered_retention.0 < Duration::from_mins(1) {
        let error = ConfigError::at("/delivered_retention", "is too short to recognise anything");
        errors.push(error.help("write a time such as \"7d\""));
    }
}

/// Name, type and content of every column.
fn columns(config: &Config, errors: &mut ConfigErrors) -> Vec<(String, String, Source)> {
    let mut columns = Vec::new();
    let fixed = [
        (&config.time_key, "timestamptz NOT NULL", Source::Time),
        (&config.tag_key, "text NOT NULL", Source::Tag),
        (&config.record_key, "jsonb NOT NULL", Source::Record),
    ];
    for (name, kind, source) in fixed {
        if !name.is_empty() {
            columns.push((name.clone(), kind.to_owned(), source));
        }
    }
    for column in &config.columns {
        let source = Source::Field(column.path.clone());
        columns.push((column.name.clone(), column.sql_type.clone(), source));
    }
    if columns.is_empty() {
        let error = ConfigError::at("/record_key", "no column is left");
        errors.push(error.help("name at least one"));
    }
    for (index, (name, ..)) in columns.iter().enumerate() {
        if columns.iter().take(index).any(|(other, ..)| other == name) {
            let error = ConfigError::at("/columns", format!("{name:?} is the name of two columns"));
            errors.push(
                error.help("give each its own, also beside time_key, tag_key and record_key"),
            );
        }
        if name.contains('\0') {
            let error = ConfigError::at("/columns", "a name holds NUL");
            errors.push(error.help("leave it out"));
        }
    }
    columns
}

/// Whether text is a type and nothing but that: it goes into a statement as it stands.
fn is_type(text: &str) -> bool {
    let allowed = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '(' | ')' | ',' | '[' | ']' | '.')
    };
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(allowed)
}

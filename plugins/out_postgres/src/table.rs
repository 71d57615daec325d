//! The tables: their names, making them, and forgetting what was delivered long ago.

use std::time::Duration;

use sdk::stop::Stop;

use crate::{
    Config,
    pool::Pool,
    settings::{Settings, Source},
};

/// Between two times of forgetting.
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// The number of the lock under which tables are made: two that make the same table at once disturb each other.
const LOCK: i64 = 0x7765_6972_2d64_646c;

/// An identifier in its quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A table with its schema.
pub(crate) fn name(config: &Config, table: &str) -> String {
    match &config.schema {
        None => quoted(table),
        Some(schema) => format!("{}.{}", quoted(schema), quoted(table)),
    }
}

/// The statements that make what is missing.
pub(crate) fn create(config: &Config, columns: &[(String, String, Source)]) -> String {
    let table = name(config, &config.table);
    let delivered = name(config, &config.delivered_table);
    let mut statements = vec![
        "BEGIN".to_owned(),
        format!("SELECT pg_advisory_xact_lock({LOCK})"),
    ];
    if let Some(schema) = &config.schema {
        statements.push(format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)));
    }
    let defined: Vec<String> = columns
        .iter()
        .map(|(name, kind, _)| format!("{} {kind}", quoted(name)))
        .collect();
    let defined = defined.join(", ");
    statements.push(format!("CREATE TABLE IF NOT EXISTS {table} ({defined})"));
    if !config.time_key.is_empty() {
        let index = quoted(&format!("{}_{}_idx", config.table, config.time_key));
        let time = quoted(&config.time_key);
        statements.push(format!(
            "CREATE INDEX IF NOT EXISTS {index} ON {table} ({time})"
        ));
    }
    statements.push(format!(
        "CREATE TABLE IF NOT EXISTS {delivered} (key text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), refused bigint[])"
    ));
    let index = quoted(&format!("{}_at_idx", config.delivered_table));
    statements.push(format!(
        "CREATE INDEX IF NOT EXISTS {index} ON {delivered} (at)"
    ));
    statements.push("COMMIT".to_owned());
    statements.join("; ")
}

/// Forgets what was delivered long ago, now and then, until asked to stop.
pub(crate) async fn prune_until(settings: &Settings, pool: &Pool, stop: &Stop) {
    loop {
        tokio::select! {
            () = stop.stopped() => return,
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
        // Without a connection there is nobody to ask; the next time will do.
        let Ok(client) = pool.take().await else {
            continue;
        };
        let secs = settings.retention.as_secs_f64();
        match client.execute(settings.prune_sql.as_str(), &[&secs]).await {
            Ok(_) => pool.give_back(client),
            Err(error) => {
                let code = error.code().map(|code| code.code().to_owned());
                tracing::warn!(?code, "old keys of delivered chunks could not be removed");
            }
        }
    }
}

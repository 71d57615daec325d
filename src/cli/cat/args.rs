//! The arguments of `weir cat`, and the table that they come to.

use clap::{ArgAction, Args, ValueEnum};
use sdk::event::{TAG_LEN_MAX, Time};
use serde_json::Value;

use super::super::reach::{ReachArgs, Secrets, To, Way};
use crate::cat::{Format, Reading};

const AFTER_HELP: &str = "\
Examples:
  echo '{\"message\":\"hello\"}' | weir cat app.test
  tail -F app.log | weir cat --none app.log
  weir cat --host logs.example.com --tls-ca ca.pem --shared-key-file key app.test < records.ndjson

It ends with 0 when every record was acknowledged, which means stored, and says on standard error
how many were. At the first line that is no record it ends with 1: what stands before it was sent,
what comes behind it was not.

Environment:
  WEIR_SHARED_KEY, WEIR_PASSWORD  the key and the password, when no argument has them";

/// Arguments of `weir cat`: those of fluent-cat, and what it lacks.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(in crate::cli) struct CatArgs {
    /// The tag of the records
    #[arg(value_parser = tag)]
    pub(super) tag: String,
    /// The name or address of the router
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Its port
    #[arg(short, long, default_value_t = 24224, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// What standard input is: one JSON object per line; MessagePack; or lines, each of which becomes a record
    #[arg(short, long, value_enum, default_value_t, group = "input")]
    format: FormatArg,
    /// The same as -f json
    #[arg(long, group = "input")]
    json: bool,
    /// The same as -f msgpack
    #[arg(long, group = "input")]
    msgpack: bool,
    /// The same as -f none
    #[arg(long, group = "input")]
    none: bool,
    /// The field in which -f none puts a line
    #[arg(long, value_name = "KEY", default_value = "message")]
    message_key: String,
    /// The time of every record, such as 2026-01-31T12:00:00Z; without it, when it is read
    #[arg(long, visible_alias = "time", value_name = "TIME")]
    event_time: Option<Time>,
    /// Send whole seconds, for Fluentd before 0.14
    #[arg(long)]
    time_as_integer: bool,
    /// Ask for no acknowledgements, so that it is not known what arrives
    #[arg(long, overrides_with = "ack")]
    pub(super) no_ack: bool,
    /// Wait until everything is acknowledged; this is the default
    #[arg(long)]
    ack: bool,
    /// How often to try again. Default: 5 once something has arrived, 0 before
    #[arg(long, value_name = "N")]
    pub(super) retry_limit: Option<u32>,
    #[command(flatten)]
    pub(super) reach: ReachArgs,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    #[default]
    Json,
    Msgpack,
    None,
}

fn tag(text: &str) -> Result<String, String> {
    if text.len() > TAG_LEN_MAX {
        return Err(format!("a router drops tags above {TAG_LEN_MAX} bytes"));
    }
    Ok(text.to_owned())
}

impl CatArgs {
    /// The router.
    pub(super) fn to(&self) -> To {
        To {
            host: self.host.clone(),
            port: self.port,
            ..To::default()
        }
    }

    /// The table of the output, as a configuration would have it.
    pub(super) fn table(&self, secrets: &Secrets, hostname: &str) -> Value {
        let to = self.to();
        let way = Way {
            to: &to,
            ack: !self.no_ack,
            time_as_integer: self.time_as_integer,
            name: format!("weir-cat.{hostname}"),
        };
        self.reach.table(&way, secrets)
    }

    pub(super) fn reading(&self) -> Reading {
        let format = match self.format {
            _ if self.none => Format::None,
            _ if self.msgpack => Format::Msgpack,
            FormatArg::Json => Format::Json,
            FormatArg::Msgpack => Format::Msgpack,
            FormatArg::None => Format::None,
        };
        Reading {
            format,
            message_key: self.message_key.clone(),
            event_time: self.event_time,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;

//! `weir dead cat`: the lines of dead letters, as they are.

use std::io::{BufWriter, IsTerminal, Write};

use clap::Args;
use sdk::{config::Interval, event::Time};

use super::{
    super::{
        exit,
        places::{PlacesArgs, Store},
        tags::tags,
    },
    bad, fail, files,
};
use crate::{
    buffer::{DeadLine, dead_lines},
    config::TagPattern,
};

const AFTER_HELP: &str = "\
It prints what people and programs wrote into their logs: let nobody see it who may not.

Examples:
  weir dead cat data/dead/es --kind mapping --limit 1
  weir dead cat -c weir.toml es --since 1h";

/// Arguments of `weir dead cat`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct CatArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// Only records that were refused for this reason; may be given more than once
    #[arg(long, value_name = "REASON")]
    kind: Vec<String>,
    /// Only records with a tag that this pattern matches; may be given more than once
    #[arg(long, value_name = "PATTERN", value_parser = tags)]
    tag: Vec<TagPattern>,
    /// Only what was refused since then: a time such as 2026-01-31T12:00:00Z, or how long ago, such as 1h
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Time>,
    /// No more records than this
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl CatArgs {
    fn wants(&self, line: &DeadLine) -> bool {
        let is_kind = self.kind.is_empty() || self.kind.contains(&line.kind);
        let is_tag =
            self.tag.is_empty() || self.tag.iter().any(|tag| tag.matches(line.tag.as_str()));
        let is_new = self.since.is_none_or(|since| {
            let failed: Result<Time, _> = line.failed_at.parse();
            // What has no time cannot be left out for it.
            failed.map_or(true, |failed| {
                (failed.secs, failed.nanos) >= (since.secs, since.nanos)
            })
        });
        is_kind && is_tag && is_new
    }
}

fn since(text: &str) -> Result<Time, String> {
    if let Ok(ago) = text.parse::<Interval>() {
        let now = Time::now();
        let secs = i64::try_from(ago.0.as_secs()).unwrap_or(i64::MAX);
        return Ok(Time {
            secs: now.secs.saturating_sub(secs),
            nanos: now.nanos,
        });
    }
    text.parse()
}

/// Prints; the number is the exit code.
pub(super) fn run(args: &CatArgs, out: &mut impl Write, err: &mut (impl Write + IsTerminal)) -> u8 {
    let places = match args.places.places(Store::DeadLetter, err) {
        Ok(places) => places,
        Err(code) => return code,
    };
    let is_named = !args.places.which.is_empty();
    let mut out = BufWriter::new(out);
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut code = exit::OK;
    for place in places {
        let printed = files(&place, is_named, err).and_then(|paths| {
            let mut is_good = true;
            for path in paths {
                for line in dead_lines(&path).map_err(|error| fail(&error, err))? {
                    match line {
                        Ok(line) if left > 0 && args.wants(&line) => {
                            left -= 1;
                            if writeln!(out, "{}", line.text).is_err() {
                                // Who reads no more has seen enough.
                                left = 0;
                            }
                        }
                        Ok(_) => {}
                        Err(error) => {
                            bad(&error, err);
                            is_good = false;
                        }
                    }
                    if left == 0 {
                        return Ok(is_good);
                    }
                }
            }
            Ok(is_good)
        });
        match printed {
            Ok(true) => {}
            Ok(false) => code = exit::FAILED,
            Err(failed) => code = failed,
        }
    }
    drop(out.flush());
    code
}

//! `weir buffer cat`: the records that a buffer holds, one line of JSON each, or their bytes.

use std::{
    io::{BufWriter, IsTerminal, Write},
    ops::ControlFlow,
};

use clap::Args;
use sdk::{event::RawEvent, json};

use super::{
    super::{
        exit,
        places::{PlacesArgs, Store},
        tags::tags,
    },
    fail, look,
};
use crate::{buffer::Held, config::TagPattern};

const AFTER_HELP: &str = "\
It prints what people and programs wrote into their logs: let nobody see it who may not.

Examples:
  weir buffer cat data/buffer/es --limit 10
  weir buffer cat -c weir.toml es --tag 'app.**'
  weir buffer cat data/buffer/es --raw | weir cat --msgpack app.again";

/// Arguments of `weir buffer cat`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct CatArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// Only records with a tag that this pattern matches; may be given more than once
    #[arg(long, value_name = "PATTERN", value_parser = tags)]
    tag: Vec<TagPattern>,
    /// No more records than this
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Print entries, [time, record] in MessagePack, as they are stored
    #[arg(long)]
    raw: bool,
}

/// Prints; the number is the exit code.
pub(super) fn run(args: &CatArgs, out: &mut impl Write, err: &mut (impl Write + IsTerminal)) -> u8 {
    let seen = args
        .places
        .place_of_one(Store::Buffer, err)
        .and_then(|place| look(&place, err));
    let seen = match seen {
        Ok(seen) => seen,
        Err(code) => return code,
    };
    let id = seen.id.unwrap_or_default();
    let mut out = BufWriter::new(out);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let read = seen.each_held(&mut |held| {
        let is_wanted = args.tag.is_empty()
            || args
                .tag
                .iter()
                .any(|tag| tag.matches(held.frame.tag.as_str()));
        if !is_wanted {
            return ControlFlow::Continue(());
        }
        for (index, event) in (0..).zip(held.frame.entries().map_while(Result::ok)) {
            if left == 0 {
                return ControlFlow::Break(());
            }
            left -= 1;
            let written = if args.raw {
                out.write_all(event.entry)
            } else {
                out.write_all(&line(id, &held, index, &event))
            };
            // Who reads no more has seen enough.
            if written.is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    drop(out.flush());
    match read {
        Ok(()) => exit::OK,
        Err(error) => fail(&error, err),
    }
}

/// One record as one line; the fields are those of a dead letter, as far as there are any.
pub(super) fn line(buffer: u128, held: &Held, index: u32, event: &RawEvent<'_>) -> Vec<u8> {
    let mut out = format!(
        "{{\"id\":\"{buffer:032x}-{sequence}-{index}\",\"sequence\":{sequence},\"index\":{index},\"tag\":",
        sequence = held.frame.sequence,
    )
    .into_bytes();
    json::write_text(&mut out, held.frame.tag.as_str().as_bytes());
    out.extend_from_slice(b",\"time\":\"");
    json::write_time(&mut out, event.time);
    out.extend_from_slice(b"\",\"record\":");
    json::write_value(&mut out, event.record);
    out.extend_from_slice(b"}\n");
    out
}

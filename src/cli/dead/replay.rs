//! `weir dead replay`: dead letters to a router again. A file is out of the way only when every record of it is stored
//! there, so a replay that ends in between repeats records, and loses none.

use std::{
    cell::Cell,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use clap::Args;

use super::{
    super::{
        check, complain, exit,
        places::{PlacesArgs, Store},
        reach::{ReachArgs, To, to},
    },
    bad, fail, files, receiver,
};
use crate::{
    buffer::{BadLine, Claim, DeadLine, DeadLines, dead_lines},
    cat::Message,
};

/// A message takes no further records from this size on, in bytes.
const MESSAGE_LEN: usize = 4 << 20;

const AFTER_HELP: &str = "\
Examples:
  weir dead replay -c weir.toml es                         to the running router, through its filters again
  weir dead replay data/dead/es --to other.example.com:24224
  weir dead replay held.ndjson --to 127.0.0.1:24224        what `weir buffer export --out` wrote

The router may be running. Each file is moved into `replaying` first, and into `replayed` when every record in it was
acknowledged. What is refused once more becomes a dead letter once more, in a new file. A replay that fails or is
killed is begun again with the same command: records may arrive twice then.

Environment:
  WEIR_SHARED_KEY, WEIR_PASSWORD  the key and the password, when no argument has them";

/// Arguments of `weir dead replay`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ReplayArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// The router to send to. Default: the one that runs --config, at its forward source
    #[arg(long, value_name = "HOST:PORT", value_parser = to)]
    to: Option<To>,
    /// Remove files instead of moving them into `replayed`
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Replays; the number is the exit code.
pub(super) fn run(args: &ReplayArgs, err: &mut (impl Write + IsTerminal)) -> u8 {
    replay(args, err).unwrap_or_else(|code| code)
}

fn replay(args: &ReplayArgs, err: &mut (impl Write + IsTerminal)) -> Result<u8, u8> {
    let places = args.places.places(Store::DeadLetter, err)?;
    let to = receiver_of(args, err)?;
    let is_named = !args.places.which.is_empty();
    let mut code = exit::OK;
    let mut any = false;
    for place in places {
        for path in files(&place, is_named, err)? {
            any = true;
            if !one_file(args, &path, &to, err)? {
                code = exit::FAILED;
            }
        }
    }
    if !any {
        drop(writeln!(err, "there are no dead letters"));
    }
    Ok(code)
}

fn receiver_of(args: &ReplayArgs, err: &mut (impl Write + IsTerminal)) -> Result<To, u8> {
    if let Some(to) = &args.to {
        return Ok(to.clone());
    }
    let help = "name the router: --to HOST:PORT";
    let Some(path) = &args.places.config else {
        complain(
            err,
            "where to?",
            "name the router, --to HOST:PORT, or its configuration, --config weir.toml",
        );
        return Err(exit::USAGE);
    };
    let config = check::load_quietly(path, err)?;
    receiver::of(&config).map_err(|reason| {
        complain(
            err,
            &format!("the configuration does not tell where to send: {reason}"),
            help,
        );
        exit::USAGE
    })
}

/// Replays one file. `false` when something in it is wrong, so that nothing of it was sent, or when somebody else has it.
///
/// # Errors
/// The exit code: the rest need not be tried.
fn one_file(args: &ReplayArgs, path: &Path, to: &To, err: &mut impl Write) -> Result<bool, u8> {
    let mut is_good = true;
    for line in dead_lines(path).map_err(|error| fail(&error, err))? {
        if let Err(error) = line {
            bad(&error, err);
            is_good = false;
        }
    }
    if !is_good {
        return Ok(false);
    }
    let Some(claim) = Claim::take(path).map_err(|error| fail(&error, err))? else {
        let message = format!("{} was taken by another replay", path.display());
        complain(err, &message, "wait until that one ends");
        return Ok(false);
    };
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("replay_moves_before_ack") {
        let lines = dead_lines(claim.path()).map_err(|error| fail(&error, err))?;
        finish(args, claim, 0, to, err)?;
        args.reach.deliver(
            to,
            Messages::of(lines, &Cell::new(None)),
            "dead replay",
            err,
        )?;
        return Ok(true);
    }
    let trouble = Cell::new(None);
    let lines = dead_lines(claim.path()).map_err(|error| fail(&error, err))?;
    let counts = args
        .reach
        .deliver(to, Messages::of(lines, &trouble), "dead replay", err)?;
    if let Some(error) = trouble.take() {
        // It came between the first look and the claim; the file stays where it is, for the next replay.
        bad(&error, err);
        return Ok(false);
    }
    finish(args, claim, counts.arrived, to, err)?;
    Ok(true)
}

fn finish(
    args: &ReplayArgs,
    claim: Claim,
    records: u64,
    to: &To,
    err: &mut impl Write,
) -> Result<(), u8> {
    let name = claim
        .path()
        .file_name()
        .map(PathBuf::from)
        .unwrap_or_default();
    let kept = claim
        .finish(args.remove)
        .map_err(|error| fail(&error, err))?;
    let whereto = kept.map_or_else(
        || "removed".to_owned(),
        |path| format!("now {}", path.display()),
    );
    let records = format!(
        "{records} {}",
        if records == 1 { "record" } else { "records" }
    );
    drop(writeln!(
        err,
        "{}: {records} acknowledged by {to}; {whereto}",
        name.display()
    ));
    Ok(())
}

/// The lines of a file as messages: as many as have one tag and come one behind the other.
struct Messages<'t> {
    lines: DeadLines,
    /// The first line of the next message.
    next: Option<DeadLine>,
    /// What was wrong, which is the end.
    trouble: &'t Cell<Option<BadLine>>,
}

impl<'t> Messages<'t> {
    fn of(lines: DeadLines, trouble: &'t Cell<Option<BadLine>>) -> Self {
        let mut messages = Self {
            lines,
            next: None,
            trouble,
        };
        messages.next = messages.line();
        messages
    }

    fn line(&mut self) -> Option<DeadLine> {
        match self.lines.next()? {
            Ok(line) => Some(line),
            Err(error) => {
                self.trouble.set(Some(error));
                None
            }
        }
    }
}

impl Iterator for Messages<'_> {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let first = self.next.take()?;
        let (tag, mut events, mut count) = (first.tag, first.entry.to_vec(), 1);
        while let Some(line) = self.line() {
            if line.tag != tag || events.len() + line.entry.len() > MESSAGE_LEN {
                self.next = Some(line);
                break;
            }
            events.extend_from_slice(&line.entry);
            count += 1;
        }
        Some(Message {
            tag,
            events: Bytes::from(events),
            count,
        })
    }
}

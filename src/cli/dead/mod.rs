//! `weir dead`: dead letters, the records that a destination will never take: looking at them, sending them again.

mod cat;
mod ls;
mod receiver;
mod replay;

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
};

use clap::Subcommand;

use super::{complain, exit, places::Place};
use crate::buffer::{BadLine, DeadLetterError, dead_files};

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub(super) enum DeadCommand {
    /// List dead letters by reason: records, bytes, the oldest, and what was said of the first
    Ls(ls::LsArgs),
    /// Print the lines of dead letters
    Cat(cat::CatArgs),
    /// Send dead letters to a router again, and take them away when they are stored there
    Replay(Box<replay::ReplayArgs>),
}

/// Runs the command; the number is the exit code.
pub(super) fn run(
    command: &DeadCommand,
    out: &mut impl Write,
    err: &mut (impl Write + IsTerminal),
) -> u8 {
    match command {
        DeadCommand::Ls(args) => ls::run(args, out, err),
        DeadCommand::Cat(args) => cat::run(args, out, err),
        DeadCommand::Replay(args) => replay::run(args, err),
    }
}

/// The files of a dead letter, or the file itself. A directory that is not there has none where a configuration names
/// it. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
fn files(place: &Place, is_named: bool, err: &mut impl Write) -> Result<Vec<PathBuf>, u8> {
    if place.path.is_file() {
        return Ok(vec![place.path.clone()]);
    }
    if !place.path.is_dir() && is_named {
        let message = format!("{} is neither a file nor a directory", place.path.display());
        complain(
            err,
            &message,
            "name the dead letter of one output, which is `dead/ID` below `data_dir` by default",
        );
        return Err(exit::IO);
    }
    dead_files(&place.path).map_err(|error| fail(&error, err))
}

/// Says why a dead letter cannot be used; the number is the exit code.
fn fail(error: &DeadLetterError, err: &mut impl Write) -> u8 {
    complain(
        err,
        &error.to_string(),
        "may this user read and change the directory?",
    );
    exit::IO
}

/// Says which line is wrong.
fn bad(error: &BadLine, err: &mut impl Write) {
    let help =
        "mend the line, or move it into a file of its own; the others are replayed without it";
    complain(err, &error.to_string(), help);
}

//! Writing a chunk: one file after the other, and the answer for each record. Runs on a blocking thread.

use std::io;

use sdk::output::{Bitmap, ChunkView, Failure, FailureKind, Frame, Outcome, Verdict};

use crate::{
    append::Appender,
    layout::Layout,
    lines::{self, Lines, Portion},
    location::Location,
    rotate::Rotation,
    symlink::Symlink,
};

/// Everything that writing needs, shared by the blocking threads.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) layout: Layout,
    pub(crate) location: Location,
    pub(crate) appender: Appender,
    pub(crate) rotation: Rotation,
    pub(crate) symlink: Option<Symlink>,
}

impl Files {
    /// Writes the live records. Also tells whether a file was set aside to be compressed.
    pub(crate) fn write(&self, frames: &[Frame], live: Option<&Bitmap>) -> (Outcome, bool) {
        let chunk = ChunkView {
            buffer: 0,
            frames,
            live,
            attempt: 0,
        };
        let Lines {
            portions,
            mut except,
        } = lines::gather(&self.layout, &self.location, chunk);
        let (mut written, mut set_aside) = (0, false);
        let mut failure = None;
        for portion in portions
            .into_iter()
            .filter(|portion| !portion.records.is_empty())
        {
            match self
                .appender
                .append(&portion.path, &portion.text, &self.rotation)
            {
                Ok(rotated) => {
                    written += 1;
                    set_aside |= rotated;
                    self.link(&portion);
                }
                Err(error) => {
                    let verdict = verdict(&portion, &error, &mut failure);
                    except.extend(
                        portion
                            .records
                            .iter()
                            .map(|index| (*index, verdict.clone())),
                    );
                }
            }
        }
        let outcome = match failure {
            Some(failure)
                if written == 0
                    && except
                        .iter()
                        .all(|(_, verdict)| matches!(verdict, Verdict::Retry(..))) =>
            {
                Outcome::RetryChunk(None, failure)
            }
            _ if except.is_empty() => Outcome::Delivered,
            _ => {
                except.sort_unstable_by_key(|(index, _)| *index);
                Outcome::Except(except)
            }
        };
        (outcome, set_aside)
    }

    fn link(&self, portion: &Portion) {
        if let Some(symlink) = &self.symlink
            && let Err(error) = symlink.lead_to(&portion.path, portion.newest)
        {
            tracing::warn!(%error, link = %symlink.path().display(), "the symbolic link could not be set");
        }
    }
}

/// What a failed write means for its records. A name that no file can have will not get better.
fn verdict(portion: &Portion, error: &io::Error, failure: &mut Option<Failure>) -> Verdict {
    let message = format!("{}: {error}", portion.path.display());
    if matches!(
        error.kind(),
        io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput
    ) {
        return Verdict::Reject(Failure::new(FailureKind::Rejected, message));
    }
    let io = Failure::new(FailureKind::Io, message);
    failure.get_or_insert(io.clone());
    Verdict::Retry(None, io)
}

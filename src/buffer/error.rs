//! Why a buffer cannot be opened, and why it does not take a batch.

use std::{io, path::PathBuf};

/// Why a buffer could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BufferError {
    /// The file system said no.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Another process, or another output, has the directory.
    #[error("{} is in use by {holder}: stop that process, or give this output a path of its own", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the lock file says about the holder.
        holder: String,
    },
    /// Written by a newer Weir. Nothing was touched.
    #[error(
        "{} has buffer format {version}, this version reads 1: start the newer version, or move the directory away",
        path.display()
    )]
    Newer {
        /// The file that says so.
        path: PathBuf,
        /// The version found.
        version: u32,
    },
    /// There is nothing of a buffer there.
    #[error("{} holds no buffer: neither FORMAT nor a segment is there", path.display())]
    NotABuffer {
        /// The directory.
        path: PathBuf,
    },
    /// The writer thread could not be started.
    #[error("start the writer thread: {0}")]
    Thread(io::Error),
}

impl BufferError {
    /// Wraps a failure of the file system.
    pub(super) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// Why a buffer does not take a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No room, and `overflow_action` is `throw_exception`; or waiting could never help.
    #[error("the buffer is full; raise total_limit_size, or see why the destination takes nothing")]
    Full,
    /// It would not even fit in the empty buffer.
    #[error(
        "{bytes} bytes do not fit in a buffer that takes at most {limit} at once; raise total_limit_size"
    )]
    TooLarge {
        /// What was asked for, in bytes.
        bytes: u64,
        /// The most that can be taken at once, in bytes.
        limit: u64,
    },
    /// The router is shutting down.
    #[error("the buffer is closed")]
    Closed,
    /// The disk failed. The buffer tries it again and again, and takes nothing until it works.
    #[error("the buffer has failed: {reason}")]
    Failed {
        /// What the disk said.
        reason: String,
    },
}

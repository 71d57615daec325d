//! One connection from accept to close: the reading and the answering half in one task.

use std::{fmt, pin::pin, time::Duration};

use sdk::stop::Stop;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};

use crate::{
    answer::{Broken, answer},
    intake::Intake,
    source::{End, Source},
};

/// Messages that may wait for their receipts at a time.
const DUES_MAX: usize = 1024;
/// How long the sender may take to see that the connection is closed before what it still sends is not taken in.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are read and dropped at most after closing.
const CLOSE_BYTES: u64 = 16 << 20;

/// Serves a sender until it closes, misbehaves, or the input stops.
pub(crate) async fn serve<S>(
    stream: S,
    peer: &(dyn fmt::Display + Sync),
    source: &Source,
    stop: Stop,
) where
    S: AsyncRead + AsyncWrite,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (sender, dues) = mpsc::channel(DUES_MAX);
    let end = {
        let mut answering = pin!(answer(&mut writer, dues, &source.report, peer));
        let mut reading = pin!(Intake::new(source, peer, stop, sender).run(&mut reader));
        let first = tokio::select! {
            end = &mut reading => Ok(end),
            broken = &mut answering => Err(broken),
        };
        match first {
            // Everything that was taken is still answered.
            Ok(end) => answering
                .await
                .map_or_else(Ending::Broken, |()| Ending::Read(end)),
            Err(broken) => broken.map_or_else(Ending::Broken, |()| Ending::Read(End::Unanswered)),
        }
    };
    report(&end, peer, source);
    if let Ending::Broken(Broken::Io(_)) | Ending::Read(End::Io(_)) = end {
        return;
    }
    // A close with unread bytes would be a reset, which can destroy what the sender has not read yet.
    let closed = async {
        writer.shutdown().await?;
        if let Ending::Read(End::Closed) = end {
            return Ok(0);
        }
        tokio::io::copy(&mut (&mut reader).take(CLOSE_BYTES), &mut tokio::io::sink()).await
    };
    // Nothing is lost if the sender does not wait for the close.
    drop(timeout(CLOSE_PATIENCE, closed).await);
}

/// What ended a connection.
#[derive(Debug)]
enum Ending {
    Read(End),
    Broken(Broken),
}

fn report(ending: &Ending, peer: &(dyn fmt::Display + Sync), source: &Source) {
    let report = &source.report;
    let reason = match ending {
        Ending::Read(End::Closed) => "closed",
        Ending::Read(End::Stopped) => "stopped",
        Ending::Read(End::KeepaliveDenied) => "keepalive_denied",
        Ending::Read(end @ End::Silent(_)) => {
            report.warn("silent", peer, end);
            "silent"
        }
        Ending::Read(End::Protocol(error)) => {
            report.undecodable(error.reason(), peer, error);
            error.reason()
        }
        Ending::Read(End::Refused(error)) => {
            report.warn("refused", peer, error);
            "refused"
        }
        Ending::Broken(Broken::Unmet(unmet)) => {
            report.warn("unmet", peer, unmet);
            "unmet"
        }
        Ending::Read(End::Unanswered | End::Io(_)) | Ending::Broken(Broken::Io(_)) => "io",
    };
    report.closed(reason);
}

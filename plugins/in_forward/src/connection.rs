//! One connection from its first message to its close: the reading and the answering half in one task.

use std::{io, pin::pin, time::Duration};

use sdk::stop::Stop;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};

use crate::{
    additions::Additions,
    answer::{Broken, answer},
    intake::Intake,
    peer::Peer,
    repeats::Repeats,
    source::{End, Source},
};

/// Messages that may wait for their receipts at a time.
const DUES_MAX: usize = 1024;
/// How long the sender may take to see that the connection is closed before what it still sends is not taken in.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes that are read and dropped at most after closing.
const CLOSE_BYTES: u64 = 16 << 20;

/// Takes the messages of a sender that was let in, until it closes, misbehaves, or the input stops. `early` is what
/// came with the handshake.
pub(crate) async fn converse<R, W>(
    mut reader: R,
    mut writer: W,
    early: &[u8],
    peer: &Peer,
    source: &Source,
    stop: Stop,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let additions = Additions::new(source, peer).await;
    let (sender, dues) = mpsc::channel(DUES_MAX);
    let window = source.settings.duplicate_window;
    let repeats = window.map(|window| Repeats::new(peer, window));
    let answers = repeats.as_ref().map(Repeats::answers);
    let end = {
        let mut answering = pin!(answer(&mut writer, dues, answers, &source.report, peer));
        let mut intake = Intake::new(source, peer, additions, stop, sender, repeats);
        intake.push(early);
        let mut reading = pin!(intake.run(&mut reader));
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
    let may_send_more = !matches!(end, Ending::Read(End::Closed));
    close(&mut reader, &mut writer, may_send_more).await;
}

/// Closes with FIN. A close with unread bytes would be a reset, which can destroy what the sender has not read yet,
/// so what it still sends is read and dropped for a while.
pub(crate) async fn close<R, W>(reader: &mut R, writer: &mut W, may_send_more: bool)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let closed = async {
        writer.shutdown().await?;
        if may_send_more {
            tokio::io::copy(&mut reader.take(CLOSE_BYTES), &mut tokio::io::sink()).await?;
        }
        io::Result::Ok(())
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

fn report(ending: &Ending, peer: &Peer, source: &Source) {
    let report = &source.report;
    let reason = match ending {
        Ending::Read(End::Closed) => "closed",
        Ending::Read(End::Stopped) => "stopped",
        Ending::Read(End::KeepaliveDenied) => "keepalive_denied",
        Ending::Read(end @ End::Silent(_)) => {
            report.warn("silent", peer, end);
            "silent"
        }
        Ending::Read(end @ End::Invalid) => {
            report.warn("invalid", peer, end);
            "invalid"
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

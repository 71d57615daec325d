//! Binding, accepting connections, and serving each in a task of its own.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use sdk::{RunError, input::InputCx, stop::Stop};
use tls::Server;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    report::Report,
    service::{HANDSHAKE_TIMEOUT, Source},
    settings::Settings,
};

/// The pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The most headers of a request.
const HEADERS_MAX: usize = 100;
/// The largest head of a request, and what is read of a body at a time, in bytes.
const READ_BYTES_MAX: usize = 64 << 10;

/// Runs the input until `stop` is given, and then until every request is answered.
///
/// # Errors
/// [`RunError::Io`] when the place cannot be bound, [`RunError::Other`] when the files of TLS cannot be used.
pub(crate) async fn run(settings: Settings, cx: InputCx, stop: Stop) -> Result<(), RunError> {
    let report = Arc::new(Report::new(&cx));
    let mut beside = JoinSet::new();
    let mut tls = None;
    if let Some(files) = settings.tls.clone() {
        let server = Server::load(files).await?.measured(&cx.metrics);
        tls = Some(server.subscribe());
        let report = Arc::clone(&report);
        beside.spawn(server.keep_up(move |reload| report.tls_reload(&reload)));
    }
    let listener = listen(&settings, &cx)?;
    let bound = listener.local_addr().unwrap_or(settings.address);
    let source = Arc::new(Source {
        settings,
        cx,
        report,
    });
    let mut connections = JoinSet::new();
    source.cx.ready.set(&format!("listening on {bound}"));
    loop {
        tokio::select! {
            () = stop.stopped() => break,
            ended = connections.join_next(), if !connections.is_empty() => reap(ended, &source),
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => accept(stream, peer, &source, tls.as_ref(), &stop, &mut connections),
                Err(error) => {
                    source.report.warn("accept", &bound, &format!("a connection was not accepted: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    source.cx.sockets.close();
    while let Some(ended) = connections.join_next().await {
        reap(Some(ended), &source);
    }
    beside.shutdown().await;
    Ok(())
}

/// Tries what can fail before requests are served: the address and the files of TLS.
///
/// # Errors
/// Those of [`run`].
pub(crate) async fn prepare(settings: &Settings, cx: &InputCx) -> Result<(), RunError> {
    if let Some(files) = settings.tls.clone() {
        Server::load(files).await?;
    }
    listen(settings, cx).map(drop)
}

fn listen(settings: &Settings, cx: &InputCx) -> Result<TcpListener, RunError> {
    let address = settings.address;
    lines::bind(address, settings.config.backlog, &cx.sockets).map_err(|source| RunError::Io {
        what: format!("listen on {address}"),
        source,
    })
}

fn accept(
    stream: TcpStream,
    peer: SocketAddr,
    source: &Arc<Source>,
    tls: Option<&watch::Receiver<Arc<ServerConfig>>>,
    stop: &Stop,
    connections: &mut JoinSet<()>,
) {
    let max = source.settings.config.max_connections;
    if connections.len() >= max {
        let text =
            format!("a connection was closed: there are {max} already; raise max_connections");
        source.report.warn("too_many", &peer, &text);
        source.report.closed("too_many");
        return;
    }
    if let Err(error) = stream.set_nodelay(true) {
        // The sender is gone already.
        tracing::debug!(%peer, %error, "a connection ended before it began");
    }
    let open = source.report.accepted();
    let (source, stop) = (Arc::clone(source), stop.clone());
    let tls = tls.map(|tls| TlsAcceptor::from(Arc::clone(&tls.borrow())));
    connections.spawn(async move {
        match tls {
            None => serve(stream, peer, &source, &stop).await,
            Some(acceptor) => match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Box::pin(serve(stream, peer, &source, &stop)).await,
                Ok(Err(error)) => {
                    source.report.closed("handshake");
                    let text = format!("the TLS handshake failed: {error}");
                    source.report.warn("handshake", &peer, &text);
                }
                Err(_) => source.report.closed("handshake"),
            },
        }
        drop(open);
    });
}

/// Serves the requests of a connection, one after the other, until either side ends it.
async fn serve<S>(stream: S, peer: SocketAddr, source: &Arc<Source>, stop: &Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request| {
        let source = Arc::clone(source);
        async move { Ok::<_, Infallible>(Box::pin(source.answer(request, peer)).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(source.settings.config.keepalive_timeout.0)
        .max_headers(HEADERS_MAX)
        .max_buf_size(READ_BYTES_MAX)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        let reason = if error.is_timeout() {
            "silent"
        } else if error.is_parse() {
            "no_http"
        } else {
            "broken"
        };
        source.report.closed(reason);
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

fn reap(ended: Option<Result<(), tokio::task::JoinError>>, source: &Source) {
    if let Some(Err(error)) = ended {
        tracing::error!(source = %source.cx.id, %error, "the task of a connection failed");
        source.report.closed("panic");
    }
}

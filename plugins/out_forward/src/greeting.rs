//! TLS: the handshake with a server.

use sdk::output::FailureKind;
use tls::Client;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::trouble::Trouble;

/// The handshake over `stream` with the server `name`.
///
/// # Errors
/// A file that cannot be used, or a server that is not trusted or does not trust us.
pub(crate) async fn connect(
    client: &Client,
    name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Trouble> {
    let failed = |message: String| Trouble::connect(FailureKind::Tls, message);
    let config = client.config().await;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| failed(format!("{name:?} cannot be the name of a server")))?;
    TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| failed(format!("the TLS handshake failed: {error}")))
}

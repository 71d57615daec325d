//! `weir health`: asks a probe of a running router; for container health checks without another tool.

use std::{
    io::{Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    time::Duration,
};

use clap::Args;

/// Arguments of `weir health`.
#[derive(Debug, Args)]
pub(super) struct HealthArgs {
    /// The probe to ask.
    #[arg(long, default_value = "http://127.0.0.1:24231/livez")]
    url: String,
    /// How long to wait for the answer, in seconds.
    #[arg(long, default_value_t = 5)]
    timeout_secs: u64,
}

/// Asks the probe; the text says what it answered.
///
/// # Errors
/// A sentence when there is no answer or it is not 200.
pub(super) fn run(args: &HealthArgs) -> Result<String, String> {
    let rest = args
        .url
        .strip_prefix("http://")
        .ok_or("the url must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let answer = ask(host, path, Duration::from_secs(args.timeout_secs))
        .map_err(|error| format!("no answer from {}: {error}", args.url))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split_whitespace().nth(1).unwrap_or("no status");
    let text = format!("{status} {}", body.trim());
    if status == "200" { Ok(text) } else { Err(text) }
}

fn ask(host: &str, path: &str, timeout: Duration) -> std::io::Result<String> {
    let unknown = || std::io::Error::other("the host has no address; write host:port");
    let address = host.to_socket_addrs()?.next().ok_or_else(unknown)?;
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer)
}

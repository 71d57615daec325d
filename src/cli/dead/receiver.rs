//! The router that runs a configuration, as a receiver: its own forward source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sdk::config::{Listen, Secret};
use serde_json::{Value, json};

use super::super::reach::To;
use crate::config::{Config, SourceSpec};

/// The source that speaks the forward protocol.
const SOURCE: &str = "forward";
/// Its port, unless it has another.
const PORT: u16 = 24224;

/// Where the first forward source listens that leaves tags as they are.
///
/// # Errors
/// Why there is none.
pub(super) fn of(config: &Config) -> Result<To, String> {
    let sources = config.sources.iter();
    let mut reasons = Vec::new();
    for source in sources.filter(|source| source.plugin.descriptor.name == SOURCE) {
        match receiver(source) {
            Ok(to) => return Ok(to),
            Err(reason) => reasons.push(format!("`{}` {reason}", source.plugin.id)),
        }
    }
    if reasons.is_empty() {
        reasons.push("there is no forward source".to_owned());
    }
    Err(reasons.join("; "))
}

fn receiver(source: &SourceSpec) -> Result<To, &'static str> {
    let params = &source.plugin.params;
    let text = |key: &str| params.get(key).and_then(Value::as_str);
    if text("path").is_some() {
        return Err("listens on a Unix socket");
    }
    if text("tag").is_some() || text("add_tag_prefix").is_some() {
        return Err("changes tags");
    }
    let address = address(params).ok_or("has an address that is not understood")?;
    if address.port() == 0 {
        return Err("listens on any free port");
    }
    let host = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let key = params
        .pointer("/security/shared_key")
        .and_then(Value::as_str);
    // It is on this machine, and it has the key of this certificate; whom it names does not matter here.
    let tls = params
        .pointer("/tls/cert_path")
        .map(|path| json!({ "ca_cert_path": [path], "verify_hostname": false }));
    Ok(To {
        host: host.to_string(),
        port: address.port(),
        shared_key: key.map(Secret::new),
        tls,
    })
}

fn address(params: &Value) -> Option<SocketAddr> {
    if let Some(listen) = params.get("listen").and_then(Value::as_str) {
        let listen: Listen = listen.parse().ok()?;
        return Some(listen.0);
    }
    let ip = match params.get("bind").and_then(Value::as_str) {
        Some(ip) => ip.parse().ok()?,
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let port = match params.get("port") {
        Some(port) => u16::try_from(port.as_u64()?).ok()?,
        None => PORT,
    };
    Some((ip, port).into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config, plugins::PLUGINS};

    #[track_caller]
    fn check(source: &str, expected: Result<&str, &str>) {
        let text = format!("{source}\n[[match]]\ntag = \"**\"\ntype = \"null\"\n");
        let loaded = config::load(&text, PLUGINS, &config::Process::new(Path::new("")));
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.findings));
        let found = of(&config).map(|to| to.to_string());
        assert_eq!(found.as_deref().map_err(|reason| &**reason), expected);
    }

    #[test]
    fn the_source_that_leaves_tags_alone_is_taken() {
        let source = |keys: &str| format!("[[source]]\nid = \"in\"\ntype = \"forward\"\n{keys}\n");
        check(&source(""), Ok("127.0.0.1:24224"));
        check(&source("listen = \"0.0.0.0:5\""), Ok("127.0.0.1:5"));
        check(&source("listen = \"[::]:5\""), Ok("[::1]:5"));
        check(&source("bind = \"10.0.0.1\"\nport = 7"), Ok("10.0.0.1:7"));
        let other = "[[source]]\ntype = \"sample\"\ntag = \"a\"";
        check(other, Err("there is no forward source"));
        check(
            &source("listen = \"127.0.0.1:0\""),
            Err("`in` listens on any free port"),
        );
        check(&source("tag = \"x\""), Err("`in` changes tags"));
        let two =
            source("tag = \"x\"") + "[[source]]\ntype = \"forward\"\nlisten = \"127.0.0.1:9\"";
        check(&two, Ok("127.0.0.1:9"));
    }

    #[test]
    fn its_key_and_certificate_are_known() {
        let text = "[[source]]\ntype = \"forward\"\n[source.security]\nshared_key = \"a key of some length 0123\"\n\
            [source.tls]\ncert_path = \"a.pem\"\nprivate_key_path = \"a.key\"\n[[match]]\ntag = \"**\"\ntype = \"null\"\n";
        let config = config::load(text, PLUGINS, &config::Process::new(Path::new(""))).config;
        let to = of(&config.unwrap()).unwrap();
        assert_eq!(to.shared_key.unwrap().expose(), "a key of some length 0123");
        let expected = json!({ "ca_cert_path": ["a.pem"], "verify_hostname": false });
        assert_eq!(to.tls, Some(expected));
    }
}

//! What the parameters come to when they are read together.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_client::{Client, Options, Proxy};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sdk::{
    config::{ConfigError, ConfigErrors, Template},
    plugin::BuildCx,
};
use url::Url;

use crate::{
    Auth, Config, HttpMethod, Method,
    body::{Format, Layout},
};

/// Checked parameters.
pub(crate) struct Settings {
    pub(crate) hostname: Arc<str>,
    pub(crate) endpoint: Template,
    /// The part before the first placeholder, which no address may leave.
    pub(crate) base: Url,
    pub(crate) method: reqwest::Method,
    /// The same for every request, `Content-Type` and `Authorization` included.
    pub(crate) headers: HeaderMap,
    pub(crate) placeholders: Vec<(HeaderName, Template)>,
    pub(crate) layout: Layout,
    pub(crate) body_bytes: usize,
    pub(crate) timeout: Duration,
    pub(crate) config: Config,
}

impl Settings {
    /// Checks what the schema cannot.
    ///
    /// # Errors
    /// Every contradiction.
    pub(crate) fn new(config: Config, cx: &BuildCx) -> Result<(Self, Client), ConfigErrors> {
        let mut errors = Vec::new();
        let base = endpoint(&config.endpoint, &mut errors);
        let layout = Layout::new(&config, cx, &mut errors);
        let mut headers = headers(&config, &mut errors);
        if let (Some(layout), false) = (&layout, headers.contains_key("content-type")) {
            content_type(&config, &layout.format, &mut headers, &mut errors);
        }
        let placeholders = config.headers_from_placeholders.iter();
        let placeholders = placeholders
            .filter_map(|(name, template)| {
                let path = format!("/headers_from_placeholders/{name}");
                header_name(name, &path, &mut errors).map(|name| (name, template.clone()))
            })
            .collect();
        let is_tls = base.as_ref().is_some_and(|url| url.scheme() == "https");
        if config.tls.is_some() && !is_tls && base.is_some() {
            let error = ConfigError::at("/tls", "the endpoint begins with \"http:\"");
            errors.push(error.help("write \"https:\", or leave the table out"));
        }
        let client = match client(&config, is_tls) {
            Ok(client) => Some(client),
            Err(found) => {
                errors.extend(found);
                None
            }
        };
        let (Some(base), Some(layout), Some(client), true) =
            (base, layout, client, errors.is_empty())
        else {
            return Err(errors);
        };
        let settings = Self {
            hostname: Arc::clone(&cx.hostname),
            endpoint: config.endpoint.clone(),
            base,
            method: match config.http_method {
                HttpMethod::Post => reqwest::Method::POST,
                HttpMethod::Put => reqwest::Method::PUT,
            },
            headers,
            placeholders,
            layout,
            body_bytes: config.body_size_limit.as_usize().max(1),
            timeout: config.read_timeout.0,
            config,
        };
        Ok((settings, client))
    }
}

/// Silence after which an idle connection is closed: below what servers commonly allow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What speaks to the endpoint; does no I/O.
fn client(config: &Config, is_tls: bool) -> Result<Client, ConfigErrors> {
    let proxy = match &config.proxy {
        None => Proxy::None,
        Some(address) => {
            let proxy = reqwest::Proxy::all(address).map_err(|_| {
                let error = ConfigError::at("/proxy", "is not an address");
                vec![error.help("write one such as \"http://proxy.example.com:3128\"")]
            })?;
            Proxy::At(Box::new(proxy))
        }
    };
    let tls = is_tls.then(|| config.tls.clone().unwrap_or_default());
    let tls = tls
        .map(|table| tls::Client::new(table, "/tls"))
        .transpose()?;
    let options = Options {
        connect_timeout: config.open_timeout.0,
        idle_timeout: config.reuse_connections.then_some(IDLE_TIMEOUT),
        proxy,
    };
    Ok(Client::new(options, tls))
}

/// The part of the address before the first placeholder. The host must be in it.
fn endpoint(template: &Template, errors: &mut ConfigErrors) -> Option<Url> {
    let prefix = template.literal_prefix();
    let is_whole = !template.reads_time() && template.fields().next().is_none();
    let base = Url::parse(prefix).ok();
    let base = base.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(base) = base else {
        let error = ConfigError::at("/endpoint", "does not begin with an address");
        errors.push(error.help(
            "begin with scheme and host, such as \"https://collect.example.com/\", without placeholders",
        ));
        return None;
    };
    // Without the slash the host itself would go on in the placeholder.
    let behind = prefix.split_once("://").map_or("", |(_, behind)| behind);
    let ends = is_whole && prefix.len() == rendered_len(template);
    if !(ends || behind.contains('/')) {
        let error = ConfigError::at("/endpoint", "has a placeholder in its host");
        errors.push(
            error.help(
                "put a \"/\" behind the host: what is filled in never changes where records go",
            ),
        );
        return None;
    }
    if !base.username().is_empty() || base.password().is_some() {
        let error = ConfigError::at("/endpoint", "holds a user or a password");
        errors.push(error.help("write [match.auth]"));
    }
    Some(base)
}

/// The length of the literal text; longer than the prefix when anything stands behind it.
fn rendered_len(template: &Template) -> usize {
    let tag = sdk::event::Tag::new("x.x.x.x.x.x.x.x");
    let record = [0x80];
    let Ok(record) = sdk::msgpack::RawValue::parse(&record) else {
        return 0;
    };
    let event = sdk::event::RawEvent {
        time: sdk::event::Time::default(),
        metadata: None,
        record,
        entry: &[],
    };
    let mut out = String::new();
    template.render(&(&tag, event), "x", &mut out);
    out.len()
}

fn header_name(name: &str, path: &str, errors: &mut ConfigErrors) -> Option<HeaderName> {
    let parsed = HeaderName::from_bytes(name.as_bytes());
    if parsed.is_err() {
        let error = ConfigError::at(path, format!("{name:?} cannot be the name of a header"));
        errors.push(error.help("write letters, digits and dashes"));
    }
    parsed.ok()
}

fn headers(config: &Config, errors: &mut ConfigErrors) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.headers {
        let path = format!("/headers/{name}");
        let name = header_name(name, &path, errors);
        match (name, HeaderValue::from_str(value.expose())) {
            (Some(name), Ok(mut value)) => {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            (_, Err(_)) => {
                let error = ConfigError::at(path, "the value cannot stand in a header");
                errors.push(error.help("write printable ASCII on one line"));
            }
            (None, Ok(_)) => {}
        }
    }
    if let Some(auth) = &config.auth
        && let Some(value) = authorization(auth, errors)
    {
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

fn authorization(auth: &Auth, errors: &mut ConfigErrors) -> Option<HeaderValue> {
    let text = match (auth.method, &auth.username, &auth.password, &auth.token) {
        (Method::Basic, Some(username), password, None) => {
            let password = password.as_ref().map_or("", |password| password.expose());
            format!(
                "Basic {}",
                STANDARD.encode(format!("{username}:{password}"))
            )
        }
        (Method::Bearer, None, None, Some(token)) => format!("Bearer {}", token.expose()),
        (Method::Basic, ..) => {
            let error = ConfigError::at("/auth", "method \"basic\" needs a user, and no token");
            errors.push(error.help("write \"username\" and \"password\""));
            return None;
        }
        (Method::Bearer, ..) => {
            let error = ConfigError::at("/auth", "method \"bearer\" needs a token, and no user");
            errors.push(error.help("write \"token\""));
            return None;
        }
    };
    let Ok(mut value) = HeaderValue::from_str(&text) else {
        let error = ConfigError::at("/auth/token", "cannot stand in a header");
        errors.push(error.help("write printable ASCII on one line"));
        return None;
    };
    value.set_sensitive(true);
    Some(value)
}

fn content_type(
    config: &Config,
    format: &Format,
    headers: &mut HeaderMap,
    errors: &mut ConfigErrors,
) {
    let named = config.content_type.as_deref();
    let Some(kind) = named.or_else(|| format.content_type()) else {
        let error = ConfigError::at("/content_type", "does not follow from this format");
        errors.push(error.help("write it, such as content_type = \"text/plain\""));
        return;
    };
    if let Ok(kind) = HeaderValue::from_str(kind) {
        headers.insert("content-type", kind);
    } else {
        let error = ConfigError::at("/content_type", "cannot stand in a header");
        errors.push(error.help("write a media type, such as \"text/plain\""));
    }
}

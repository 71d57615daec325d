//! Addresses of hosts, as people write them.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use sdk::config::Secret;
use url::Url;

use crate::config::Scheme;

/// Where a host is.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// Without user and password, so that it can be shown.
    pub(crate) url: Url,
    /// User and password that were written in the address.
    pub(crate) login: Option<(String, Secret)>,
}

impl Address {
    /// Reads `host`, `host:port`, `[::1]:port` or a URL. What is not written comes from the other parameters.
    ///
    /// # Errors
    /// What is wrong, without user and password.
    pub(crate) fn parse(
        text: &str,
        scheme: Scheme,
        port: u16,
        path: Option<&str>,
    ) -> Result<Self, String> {
        if text.contains("${") {
            return Err("placeholders are not filled in here; write a match for each host".into());
        }
        let text = &escaped(text);
        let scheme = match scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let (scheme, rest) = text.split_once("://").unwrap_or((scheme, text));
        let shown = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        if !["http", "https"].contains(&scheme) {
            return Err(format!(
                "{shown:?} begins with {scheme:?}; it must be http or https"
            ));
        }
        let bare_v6 = rest.parse::<std::net::Ipv6Addr>().is_ok();
        let full = if bare_v6 {
            format!("{scheme}://[{rest}]")
        } else {
            format!("{scheme}://{rest}")
        };
        let mut url =
            Url::parse(&full).map_err(|error| format!("{shown:?} is not an address: {error}"))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{shown:?} has more than a host, a port and a path"));
        }
        if !names_port(if bare_v6 { "" } else { shown }) && url.set_port(Some(port)).is_err() {
            return Err(format!("{shown:?} cannot have a port"));
        }
        if url.path() == "/" {
            url.set_path(path.unwrap_or_default());
        }
        let login = (!url.username().is_empty()).then(|| {
            let password = Secret::new(decoded(url.password().unwrap_or_default()));
            (decoded(url.username()), password)
        });
        if url.set_username("").is_err() || url.set_password(None).is_err() {
            return Err(format!("{shown:?} has no host"));
        }
        Ok(Self { url, login })
    }
}

/// Whether a port is written. The library forgets one that is the default of the scheme.
fn names_port(host: &str) -> bool {
    let authority = host.split('/').next().unwrap_or_default();
    let behind = authority
        .rsplit_once(']')
        .map_or(authority, |(_, behind)| behind);
    behind
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Fluentd's way to write a user or a password with any characters: `%{p@ss}`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("%{") {
        let Some((inside, after)) = behind.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.extend(percent_encode(inside.as_bytes(), NON_ALPHANUMERIC));
        rest = after;
    }
    out + rest
}

/// Takes percent signs out of a user or a password.
fn decoded(text: &str) -> String {
    let query = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(query.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let address = Address::parse(text, Scheme::Http, 9200, None).unwrap();
        assert_eq!(address.url.as_str(), expected, "{text}");
    }

    #[test]
    fn what_is_not_written_is_filled_in() {
        check("es", "http://es:9200/");
        check("es:9201", "http://es:9201/");
        check("https://es", "https://es:9200/");
        check("https://es:443", "https://es/");
        check("http://es/prefix", "http://es:9200/prefix");
        check("::1", "http://[::1]:9200/");
        check("[::1]:9201", "http://[::1]:9201/");
        let address = Address::parse("es", Scheme::Https, 443, Some("/es")).unwrap();
        assert_eq!(address.url.as_str(), "https://es/es");
    }

    #[test]
    fn user_and_password_are_taken_out() {
        let address = Address::parse("http://a%40b:p%3A+w@es:1", Scheme::Http, 9200, None).unwrap();
        assert_eq!(address.url.as_str(), "http://es:1/");
        let (user, password) = address.login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("a@b", "p:+w"));
    }

    #[test]
    fn user_and_password_can_be_written_as_for_fluentd() {
        let text = "https://%{j+hn}:%{pass:w@rd/}@es:1/p";
        let address = Address::parse(text, Scheme::Http, 9200, None).unwrap();
        assert_eq!(address.url.as_str(), "https://es:1/p");
        let (user, password) = address.login.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("j+hn", "pass:w@rd/"));
        assert!(Address::parse("es-${tag}", Scheme::Http, 9200, None).is_err());
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "ftp://u:geheim@es",
            "http://u:geheim@es:99999",
            "http://u:geheim@",
            "http://u:geheim@es?x=1",
        ] {
            let message = Address::parse(text, Scheme::Http, 9200, None).unwrap_err();
            assert!(!message.contains("geheim"), "{message}");
        }
    }
}

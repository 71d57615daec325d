//! Where to listen and how long a message may be, out of the parameters that say so.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sdk::config::{ConfigError, ConfigErrors, Listen, Size};

/// The three parameters that say where to listen.
#[derive(Debug, Clone, Copy)]
pub struct Place<'c> {
    /// `listen`: address and port together.
    pub listen: Option<Listen>,
    /// `bind`: the address.
    pub bind: Option<&'c str>,
    /// `port`.
    pub port: Option<u16>,
}

/// The address to listen on, with `default_port` where none is said. What is wrong is added to `errors`.
pub fn place(place: Place<'_>, default_port: u16, errors: &mut ConfigErrors) -> SocketAddr {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Some(listen) = place.listen {
        if place.bind.is_some() || place.port.is_some() {
            let message = "stands beside \"bind\" or \"port\", which say the same";
            let error = ConfigError::at("/listen", message);
            errors.push(error.help("keep \"listen\" alone, or leave it out"));
        }
        return listen.0;
    }
    let address = place.bind.map_or(Ok(any), str::parse).unwrap_or_else(|_| {
        let message = format!("{:?} is no IP address", place.bind.unwrap_or_default());
        errors.push(ConfigError::at("/bind", message).help("write one, such as \"0.0.0.0\""));
        any
    });
    SocketAddr::new(address, place.port.unwrap_or(default_port))
}

/// A record has to find its place in a frame of a buffer.
const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// The longest message, in bytes. What is wrong is added to `errors`.
pub fn message_limit(limit: Size, errors: &mut ConfigErrors) -> usize {
    let bytes = limit.as_usize();
    if !(1..=MESSAGE_BYTES_MAX).contains(&bytes) {
        let message = format!("{bytes} bytes cannot be the limit of a message");
        let error = ConfigError::at("/message_length_limit", message);
        errors.push(error.help("write a size from 1 byte to \"4MiB\""));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_said_in_one_way() {
        let check = |listen: Option<&str>, bind, port| {
            let mut errors = Vec::new();
            let listen = listen.map(|text| text.parse().unwrap());
            let address = place(Place { listen, bind, port }, 5140, &mut errors);
            let paths: Vec<_> = errors.into_iter().map(|error| error.path).collect();
            (address.to_string(), paths)
        };
        assert_eq!(check(None, None, None), ("0.0.0.0:5140".to_owned(), vec![]));
        assert_eq!(
            check(None, Some("::1"), Some(1)),
            ("[::1]:1".to_owned(), vec![])
        );
        assert_eq!(
            check(Some("127.0.0.1:7"), None, None),
            ("127.0.0.1:7".to_owned(), vec![])
        );
        assert_eq!(check(Some("127.0.0.1:7"), None, Some(8)).1, ["/listen"]);
        assert_eq!(check(None, Some("localhost"), None).1, ["/bind"]);
    }

    #[test]
    fn a_message_has_a_limit_that_a_buffer_can_hold() {
        let check = |bytes| {
            let mut errors = Vec::new();
            (message_limit(Size(bytes), &mut errors), errors.len())
        };
        assert_eq!(check(4 << 20), (4 << 20, 0));
        assert_eq!(check(0), (0, 1));
        assert_eq!(check(8 << 20).1, 1);
    }
}

//! What an error of `PostgreSQL` means. Messages of the server can hold what a record held, so only codes are told.

use sdk::output::{Failure, FailureKind};
use tokio_postgres::Error;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database is not there, or lets nobody in.
    Down,
    /// It cannot now, or an operator has to mend something.
    Passing,
    /// A record is wrong, and will stay so.
    Data,
}

/// Whose fault it is.
pub(crate) fn fault(error: &Error) -> Fault {
    match error.code() {
        None => Fault::Down,
        Some(code) => fault_of(code.code()),
    }
}

/// The classes of SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn fault_of(code: &str) -> Fault {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        // Connections, logging in, no such database, shutting down or starting.
        ("08" | "28", _) | (_, "3D000" | "57P01" | "57P02" | "57P03" | "57P04") => Fault::Down,
        // Data, constraints, and what no server will ever hold (54).
        ("21" | "22" | "23" | "54", _) => Fault::Data,
        _ => Fault::Passing,
    }
}

/// The failure to tell.
pub(crate) fn failure(error: &Error, what: &str) -> Failure {
    let Some(code) = error.code() else {
        let mut text = format!("{what}: {error}");
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            text = format!("{text}: {inner}");
            cause = inner.source();
        }
        let is_tls = text.contains("certificate") || text.contains("TLS handshake");
        let kind = if is_tls {
            FailureKind::Tls
        } else {
            FailureKind::Connect
        };
        return Failure::new(kind, text);
    };
    let code = code.code();
    let kind = match code.get(..2).unwrap_or_default() {
        "28" => FailureKind::Auth,
        "22" | "23" | "21" | "42" => FailureKind::Mapping,
        "54" => FailureKind::TooLarge,
        "57" if code == "57014" => FailureKind::Timeout,
        "08" | "3D" | "57" => FailureKind::Connect,
        _ => FailureKind::Rejected,
    };
    Failure::new(kind, format!("{what}: SQLSTATE {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_whose_fault_it_is() {
        for (code, fault) in [
            ("08006", Fault::Down),
            ("28P01", Fault::Down),
            ("57P01", Fault::Down),
            ("57P03", Fault::Down),
            ("53300", Fault::Passing),
            ("53100", Fault::Passing),
            ("57014", Fault::Passing),
            ("40001", Fault::Passing),
            ("42P01", Fault::Passing),
            ("42501", Fault::Passing),
            ("22P02", Fault::Data),
            ("22007", Fault::Data),
            ("23514", Fault::Data),
            ("54000", Fault::Data),
        ] {
            assert_eq!(fault_of(code), fault, "{code}");
        }
    }
}

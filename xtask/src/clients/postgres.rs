//! `PostgreSQL`, unpacked: a server that is installed would start at once, and under an account of its own.

use crate::{packages, stamp};
use anyhow::Result;
use std::path::Path;

/// Server and tools in the version of the system's Debian.
const PACKAGES: [&str; 2] = ["postgresql-15", "postgresql-client-15"];
/// Libraries that the programs of `PACKAGES` load.
const LIBRARIES: [&str; 8] = [
    "libpq5",
    "libldap-2.5-0",
    "libxml2",
    "libxslt1.1",
    "libicu72",
    "liblz4-1",
    "libreadline8",
    "libgssapi-krb5-2",
];

/// Makes sure that server and tools are in `target`.
pub(super) fn ensure(target: &Path) -> Result<()> {
    packages::ensure(&LIBRARIES)?;
    stamp::ensure(target, &PACKAGES.join(" "), || {
        packages::unpack(&PACKAGES, target)
    })
}

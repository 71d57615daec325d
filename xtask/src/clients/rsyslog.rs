//! rsyslog, unpacked: the daemon of most Linux distributions, and the libraries that it brings.

use crate::{packages, stamp};
use anyhow::Result;
use std::path::Path;

/// Daemon and libraries in the version of the system's Debian.
const PACKAGES: [&str; 3] = ["rsyslog", "libestr0", "libfastjson4"];
/// Libraries that the daemon loads besides those, which most systems have.
const LIBRARIES: [&str; 3] = ["libsystemd0", "libuuid1", "zlib1g"];

/// Makes sure that the daemon is in `target`.
pub(super) fn ensure(target: &Path) -> Result<()> {
    packages::ensure(&LIBRARIES)?;
    stamp::ensure(target, &PACKAGES.join(" "), || {
        packages::unpack(&PACKAGES, target)
    })
}

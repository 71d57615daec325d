//! nginx, unpacked: a proxy that is installed would start at once.

use crate::{packages, stamp};
use anyhow::Result;
use std::path::Path;

/// The program in the version of the system's Debian.
const PACKAGES: [&str; 1] = ["nginx"];
/// Libraries that it loads, which most systems have.
const LIBRARIES: [&str; 4] = ["libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"];

/// Makes sure that it is in `target`.
pub(super) fn ensure(target: &Path) -> Result<()> {
    packages::ensure(&LIBRARIES)?;
    stamp::ensure(target, &PACKAGES.join(" "), || {
        packages::unpack(&PACKAGES, target)
    })
}

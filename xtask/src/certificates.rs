//! Certificates for servers and clients of the tests: an authority, and those that it vouches for.

use crate::packages;
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// How long they are good.
pub(crate) const DAYS: &str = "3650";

/// Makes an authority: `ca.crt` and `ca.key` in a folder that is made, too.
pub(crate) fn authority(folder: &Path, name: &str) -> Result<()> {
    packages::ensure_program("openssl", "openssl")?;
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    openssl(
        folder,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN={name} -days {DAYS}"
        ),
    )
}

/// Lets the authority in the folder vouch for `subject`: `NAME.crt` and `NAME.key`. `alternatives` are the names and
/// addresses of a server, as openssl writes them.
pub(crate) fn issue(
    folder: &Path,
    name: &str,
    subject: &str,
    alternatives: Option<&str>,
) -> Result<()> {
    let more = alternatives.map(|names| format!(" -addext subjectAltName={names}"));
    let more = more.unwrap_or_default();
    openssl(
        folder,
        &format!(
            "req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj {subject}{more}"
        ),
    )?;
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copy -days {DAYS} -out {name}.crt"
        ),
    )
}

/// It talks about every step; that is shown only when it fails.
fn openssl(folder: &Path, args: &str) -> Result<()> {
    let mut command = Command::new("openssl");
    command.args(args.split(' ')).current_dir(folder);
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("start `openssl`")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`openssl {args}` failed:\n{said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_vouches_for_a_server() {
        let folder = std::env::temp_dir().join(format!("weir-certs-{}", std::process::id()));
        authority(&folder, "a").unwrap();
        let names = Some("DNS:localhost,IP:127.0.0.1");
        issue(&folder, "server", "/CN=localhost", names).unwrap();
        openssl(
            &folder,
            "verify -CAfile ca.crt -verify_ip 127.0.0.1 server.crt",
        )
        .unwrap();
        assert!(
            openssl(
                &folder,
                "verify -CAfile ca.crt -verify_ip 127.0.0.2 server.crt"
            )
            .is_err()
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}

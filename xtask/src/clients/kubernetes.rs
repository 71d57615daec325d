//! Kubernetes' own API machinery: an API server for custom resources, its storage, and certificates for one client.

use crate::{packages, process, stamp};
use anyhow::{Context as _, Result};
use std::{fs, path::Path, process::Command};

/// The API server, which is a Go module that installs by itself.
const API_SERVER: &str = "k8s.io/apiextensions-apiserver@v0.37.2";
/// Its storage.
const STORAGE: [&str; 1] = ["etcd-server"];
/// How long the certificates are good.
const DAYS: &str = "3650";

/// Makes sure that all of it is in `target`.
pub(super) fn ensure(target: &Path) -> Result<()> {
    packages::ensure_program("go", "golang-go")?;
    packages::ensure_program("openssl", "openssl")?;
    stamp::ensure(target, &format!("{API_SERVER} {STORAGE:?} {DAYS}"), || {
        packages::unpack(&STORAGE, target)?;
        println!("go: building {API_SERVER}");
        let mut install = Command::new("go");
        install.args(["install", "-ldflags=-s -w", API_SERVER]);
        process::run(install.env("GOBIN", target.join("bin")))?;
        certificates(&target.join("certificates"))
    })
}

/// An authority, and a client that it vouches for as an administrator.
fn certificates(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        process::quiet(command.args(args.split(' ')).current_dir(folder))
    };
    openssl(&format!(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=test-ca -days {DAYS}"
    ))?;
    openssl(
        "req -newkey rsa:2048 -nodes -keyout client.key -out client.csr -subj /O=system:masters/CN=admin",
    )?;
    openssl(&format!(
        "x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {DAYS} -out client.crt"
    ))
}

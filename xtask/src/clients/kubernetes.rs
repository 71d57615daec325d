//! Kubernetes' own API machinery: an API server for custom resources, its storage, and certificates for one client.

use crate::{
    certificates::{self, DAYS},
    packages, process, stamp,
};
use anyhow::Result;
use std::{path::Path, process::Command};

/// The API server, which is a Go module that installs by itself.
const API_SERVER: &str = "k8s.io/apiextensions-apiserver@v0.37.2";
/// Its storage.
const STORAGE: [&str; 1] = ["etcd-server"];

/// Makes sure that all of it is in `target`.
pub(super) fn ensure(target: &Path) -> Result<()> {
    packages::ensure_program("go", "golang-go")?;
    stamp::ensure(target, &format!("{API_SERVER} {STORAGE:?} {DAYS}"), || {
        packages::unpack(&STORAGE, target)?;
        println!("go: building {API_SERVER}");
        let mut install = Command::new("go");
        install.args(["install", "-ldflags=-s -w", API_SERVER]);
        process::run(install.env("GOBIN", target.join("bin")))?;
        certificates_of_the_client(&target.join("certificates"))
    })
}

/// An authority, and a client that it vouches for as an administrator.
fn certificates_of_the_client(folder: &Path) -> Result<()> {
    certificates::authority(folder, "test-ca")?;
    certificates::issue(folder, "client", "/O=system:masters/CN=admin", None)
}

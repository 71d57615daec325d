//! The API of Kubernetes for the agent of the trial: a scripted one, over TLS, for whoever has the token.

use super::{network::GATEWAY, until};
use crate::process;
use anyhow::{Context as _, Result};
use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
};

const SERVER: &str = include_str!("api.py");
/// Makes an authority and a certificate that it signed.
const CERTIFICATES: &str = r#"set -eu
exec 2> openssl.log
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out account/ca.crt -subj /CN=trial -days 2
openssl req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=api
printf 'subjectAltName=IP:%s\nbasicConstraints=CA:FALSE\n' "$1" > api.ext
openssl x509 -req -in api.csr -CA account/ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile api.ext -out api.crt
cat api.crt api.key > server.pem
"#;

/// A server that runs, and what a pod needs to ask it.
pub(super) struct Api {
    child: Child,
    account: PathBuf,
}

impl Api {
    pub(super) fn start(folder: &Path, token: &str) -> Result<Self> {
        let account = folder.join("account");
        fs::create_dir_all(&account)?;
        for (name, text) in [("token", token), ("namespace", "logging")] {
            fs::write(account.join(name), text)?;
        }
        fs::write(folder.join("token"), token)?;
        let mut make = Command::new("sh");
        make.args(["-c", CERTIFICATES, "sh", GATEWAY]);
        make.current_dir(folder)
            .stderr(File::create(folder.join("openssl.log"))?);
        process::quiet(&mut make).context("make certificates")?;
        let script = folder.join("api.py");
        fs::write(&script, SERVER)?;
        let mut server = Command::new("python3");
        server.arg(script).arg(GATEWAY).arg(folder);
        server.stderr(File::create(folder.join("api.log"))?);
        let api = Self {
            child: server.spawn().context("start the scripted API")?,
            account,
        };
        until("the scripted API listens", || {
            Ok(TcpStream::connect((GATEWAY, 443)).is_ok())
        })?;
        Ok(api)
    }

    /// What the kubelet mounts into a pod with a token.
    pub(super) fn account(&self) -> &Path {
        &self.account
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // It ends with the trial at the latest.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

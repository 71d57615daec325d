//! How commands reach a router by the forward protocol: their arguments, and the output that these come to.

use std::{
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, ValueEnum};
use sdk::{
    config::{ConfigErrors, Interval, Secret},
    output::Output,
    plugin::{BuildCx, Kind},
};
use serde_json::{Value, json};

use super::{complain, exit};
use crate::{
    cat::{self, Again, CatError, Counts, Message},
    plugins::PLUGINS,
};

/// The output that speaks the forward protocol.
const OUTPUT: &str = "forward";
/// Where the key is when no argument has it.
pub(super) const KEY_VARIABLE: &str = "WEIR_SHARED_KEY";
/// Where the password is when no argument has it.
const PASSWORD_VARIABLE: &str = "WEIR_PASSWORD";

/// Arguments about the way to a router.
#[derive(Debug, Args)]
pub(super) struct ReachArgs {
    /// How long a connection, a handshake, sending and an acknowledgement may take, each
    #[arg(long, value_name = "TIME", default_value = "60s")]
    timeout: Interval,
    /// Compress
    #[arg(long, value_enum, value_name = "METHOD")]
    compress: Option<CompressArg>,
    /// Speak TLS
    #[arg(long)]
    tls: bool,
    /// Trust the authorities or the certificate in this PEM file, too; means --tls
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// Show the certificate in this PEM file; means --tls
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of --tls-cert, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Trust anybody who answers; means --tls
    #[arg(long)]
    tls_insecure: bool,
    /// The key that the router asks for. Other users may see it; better write it into a file
    #[arg(long, value_name = "KEY", conflicts_with = "shared_key_file")]
    shared_key: Option<Secret>,
    /// A file with the key
    #[arg(long, value_name = "FILE")]
    shared_key_file: Option<PathBuf>,
    /// Our name in the handshake. Default: weir-COMMAND.HOST, with the name of this host
    #[arg(long, value_name = "NAME")]
    self_hostname: Option<String>,
    /// The user to name in the handshake
    #[arg(long)]
    username: Option<String>,
    /// A file with the password of --username
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
}

/// `--compress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompressArg {
    Gzip,
    Zstd,
}

/// A router.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct To {
    pub(super) host: String,
    pub(super) port: u16,
    /// The key that it asks for, where that is known.
    pub(super) shared_key: Option<Secret>,
    /// How TLS is spoken with it, where that is known.
    pub(super) tls: Option<Value>,
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Reads `HOST:PORT`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn to(text: &str) -> Result<To, String> {
    let bad =
        || format!("{text:?} is not HOST:PORT, such as logs.example.com:24224 or [::1]:24224");
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_open = bare.is_none() && host.contains([':', '[', ']']);
    let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?;
    let host = bare.unwrap_or(host);
    if host.is_empty() || is_open {
        return Err(bad());
    }
    Ok(To {
        host: host.to_owned(),
        port,
        ..To::default()
    })
}

/// What is not an argument of every command.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) to: &'a To,
    /// Whether to ask for acknowledgements.
    pub(super) ack: bool,
    pub(super) time_as_integer: bool,
    /// Our name in the handshake, unless an argument has it.
    pub(super) name: String,
}

/// What must not be shown.
#[derive(Debug, Default)]
pub(super) struct Secrets {
    pub(super) shared_key: Option<Secret>,
    pub(super) password: Option<Secret>,
}

/// Something wrong with the arguments.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArgsError {
    #[error("cannot read {}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is empty", .0.display())]
    Empty(PathBuf),
    #[error("--username has no use without a key")]
    UserWithoutKey,
}

impl ArgsError {
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::File { .. } => "name a file that can be read",
            Self::Empty(_) => "write the secret into it, on one line",
            Self::UserWithoutKey => {
                "a router asks for both: add --shared-key-file, or set WEIR_SHARED_KEY"
            }
        }
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Empty(_) => exit::IO,
            Self::UserWithoutKey => exit::USAGE,
        }
    }
}

/// A secret in a file; the end of its line does not belong to it.
fn secret_file(path: &Path) -> Result<Secret, ArgsError> {
    let text = fs::read_to_string(path).map_err(|source| ArgsError::File {
        path: path.to_owned(),
        source,
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(ArgsError::Empty(path.to_owned()));
    }
    Ok(Secret::new(text))
}

impl ReachArgs {
    /// Sends messages, with acknowledgements. What is wrong is said to `err`.
    ///
    /// # Errors
    /// The exit code.
    pub(super) fn deliver(
        &self,
        to: &To,
        messages: impl IntoIterator<Item = Message>,
        command: &str,
        err: &mut impl Write,
    ) -> Result<Counts, u8> {
        let secrets = self
            .secrets(to, |name| std::env::var(name).ok())
            .map_err(|error| {
                complain(err, &error.to_string(), error.help());
                error.code()
            })?;
        let way = Way {
            to,
            ack: true,
            time_as_integer: false,
            name: format!("weir-{}.{}", command.replace(' ', "-"), hostname()),
        };
        let output = output(self.table(&way, &secrets), command).map_err(|errors| {
            refused(err, &errors, command);
            exit::USAGE
        })?;
        let (counts, ended) = cat::deliver(output, None, messages, |again| warn(err, again));
        match ended {
            Ok(()) => Ok(counts),
            Err(error) => {
                complain(err, &format!("{to}: {error}"), error.help());
                Err(match error {
                    CatError::Start(_) => exit::IO,
                    _ => exit::FAILED,
                })
            }
        }
    }

    /// The key and the password, from where they are. `env` is asked for variables of the environment.
    ///
    /// # Errors
    /// [`ArgsError`].
    pub(super) fn secrets(
        &self,
        to: &To,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secrets, ArgsError> {
        let from_file = |path: &Option<PathBuf>| path.as_deref().map(secret_file).transpose();
        let from_env = |name| env(name).filter(|value| !value.is_empty()).map(Secret::new);
        let key = self.shared_key.clone();
        let shared_key = key
            .or(from_file(&self.shared_key_file)?)
            .or_else(|| from_env(KEY_VARIABLE))
            .or_else(|| to.shared_key.clone());
        let password = from_file(&self.password_file)?.or_else(|| from_env(PASSWORD_VARIABLE));
        if self.username.is_some() && shared_key.is_none() {
            return Err(ArgsError::UserWithoutKey);
        }
        Ok(Secrets {
            shared_key,
            password: password.filter(|_| self.username.is_some()),
        })
    }

    /// The table of the output, as a configuration would have it.
    pub(super) fn table(&self, way: &Way<'_>, secrets: &Secrets) -> Value {
        let timeout = self.timeout.to_string();
        let server = present([
            ("host", Some(json!(way.to.host))),
            ("port", Some(json!(way.to.port))),
            ("username", self.username.as_ref().map(|name| json!(name))),
            ("password", secrets.password.as_ref().map(exposed)),
        ]);
        let name = self.self_hostname.as_ref().unwrap_or(&way.name);
        let security = secrets
            .shared_key
            .as_ref()
            .map(|key| json!({ "self_hostname": name, "shared_key": exposed(key) }));
        let method = self.compress.map(|method| match method {
            CompressArg::Gzip => json!("gzip"),
            CompressArg::Zstd => json!("zstd"),
        });
        present([
            ("server", Some(json!([server]))),
            ("security", security),
            ("tls", self.tls_table().or_else(|| way.to.tls.clone())),
            ("require_ack_response", Some(json!(way.ack))),
            ("connect_timeout", Some(json!(timeout))),
            ("hard_timeout", Some(json!(timeout))),
            ("send_timeout", Some(json!(timeout))),
            ("ack_response_timeout", Some(json!(timeout))),
            ("heartbeat_type", Some(json!("none"))),
            ("compress", method),
            ("time_as_integer", Some(json!(way.time_as_integer))),
        ])
    }

    fn tls_table(&self) -> Option<Value> {
        let files = [&self.tls_ca, &self.tls_cert];
        let is_wanted = self.tls || self.tls_insecure || files.iter().any(|file| file.is_some());
        is_wanted.then(|| {
            let file = |path: &Option<PathBuf>| path.as_ref().map(|path| json!(path));
            present([
                ("ca_cert_path", file(&self.tls_ca)),
                ("client_cert_path", file(&self.tls_cert)),
                ("client_private_key_path", file(&self.tls_key)),
                ("insecure_mode", Some(json!(self.tls_insecure))),
            ])
        })
    }
}

fn exposed(secret: &Secret) -> Value {
    json!(secret.expose())
}

/// An object of what is there.
fn present<const N: usize>(pairs: [(&str, Option<Value>); N]) -> Value {
    let there = pairs.into_iter();
    there
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// The name of this host.
pub(super) fn hostname() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

/// The output with this table.
///
/// # Errors
/// What the plugin says of the table.
pub(super) fn output(table: Value, id: &str) -> Result<Arc<dyn Output>, ConfigErrors> {
    PLUGINS
        .iter()
        .find(|plugin| plugin.kind() == Kind::Output && plugin.answers_to(OUTPUT))
        .ok_or_else(Vec::new)
        .and_then(|plugin| cat::output(plugin, table, &BuildCx::detached(id)))
}

/// Says what the plugin said.
pub(super) fn refused(err: &mut impl Write, errors: &ConfigErrors, command: &str) {
    for error in errors {
        let place = error.path.trim_start_matches('/');
        let place = if place.is_empty() { OUTPUT } else { place };
        let see = format!("see `weir {command} --help`");
        let help = error.help.as_deref().unwrap_or(&see);
        complain(err, &format!("{place}: {}", error.message), help);
    }
}

/// Says that a message is tried again.
pub(super) fn warn(err: &mut impl Write, Again { failure, wait }: Again<'_>) {
    let secs = wait.as_secs();
    drop(writeln!(
        err,
        "warning: {}; trying again in {secs} s",
        failure.message
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("logs.example.com:24224", "logs.example.com", 24224),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:24224", "::1", 24224),
        ] {
            let read = to(text).unwrap();
            assert_eq!((&*read.host, read.port), (host, port));
            assert_eq!(read.to_string(), text);
        }
        for bad in [
            "",
            "host",
            "host:",
            ":24224",
            "host:0",
            "host:70000",
            "::1",
            "[::1]",
            "a:b:1",
        ] {
            assert!(to(bad).unwrap_err().contains("is not HOST:PORT"), "{bad}");
        }
    }
}

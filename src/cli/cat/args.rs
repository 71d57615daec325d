//! The arguments of `weir cat`, and the table that they come to.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::{ArgAction, Args, ValueEnum};
use sdk::{
    config::{Interval, Secret},
    event::{TAG_LEN_MAX, Time},
};
use serde_json::{Value, json};

use super::super::exit;
use crate::cat::{Format, Reading};

/// Where the key is when no argument has it.
const KEY_VARIABLE: &str = "WEIR_SHARED_KEY";
/// Where the password is when no argument has it.
const PASSWORD_VARIABLE: &str = "WEIR_PASSWORD";

const AFTER_HELP: &str = "\
Examples:
  echo '{\"message\":\"hello\"}' | weir cat app.test
  tail -F app.log | weir cat --none app.log
  weir cat --host logs.example.com --tls-ca ca.pem --shared-key-file key app.test < records.ndjson

It ends with 0 when every record was acknowledged, which means stored, and says on standard error
how many were. At the first line that is no record it ends with 1: what stands before it was sent,
what comes behind it was not.

Environment:
  WEIR_SHARED_KEY, WEIR_PASSWORD  the key and the password, when no argument has them";

/// Arguments of `weir cat`: those of fluent-cat, and what it lacks.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub(in crate::cli) struct CatArgs {
    /// The tag of the records
    #[arg(value_parser = tag)]
    pub(super) tag: String,
    /// The name or address of the router
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,
    /// Its port
    #[arg(short, long, default_value_t = 24224, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// What standard input is: one JSON object per line; MessagePack; or lines, each of which becomes a record
    #[arg(short, long, value_enum, default_value_t, group = "input")]
    format: FormatArg,
    /// The same as -f json
    #[arg(long, group = "input")]
    json: bool,
    /// The same as -f msgpack
    #[arg(long, group = "input")]
    msgpack: bool,
    /// The same as -f none
    #[arg(long, group = "input")]
    none: bool,
    /// The field in which -f none puts a line
    #[arg(long, value_name = "KEY", default_value = "message")]
    message_key: String,
    /// The time of every record, such as 2026-01-31T12:00:00Z; without it, when it is read
    #[arg(long, visible_alias = "time", value_name = "TIME")]
    event_time: Option<Time>,
    /// Send whole seconds, for Fluentd before 0.14
    #[arg(long)]
    time_as_integer: bool,
    /// Ask for no acknowledgements, so that it is not known what arrives
    #[arg(long, overrides_with = "ack")]
    pub(super) no_ack: bool,
    /// Wait until everything is acknowledged; this is the default
    #[arg(long)]
    ack: bool,
    /// How often to try again. Default: 5 once something has arrived, 0 before
    #[arg(long, value_name = "N")]
    pub(super) retry_limit: Option<u32>,
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
    /// Our name in the handshake. Default: weir-cat.HOST, with the name of this host
    #[arg(long, value_name = "NAME")]
    self_hostname: Option<String>,
    /// The user to name in the handshake
    #[arg(long)]
    username: Option<String>,
    /// A file with the password of --username
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    #[default]
    Json,
    Msgpack,
    None,
}

/// `--compress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompressArg {
    Gzip,
    Zstd,
}

fn tag(text: &str) -> Result<String, String> {
    if text.len() > TAG_LEN_MAX {
        return Err(format!("a router drops tags above {TAG_LEN_MAX} bytes"));
    }
    Ok(text.to_owned())
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

impl CatArgs {
    pub(super) fn secrets(
        &self,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Secrets, ArgsError> {
        let from_file = |path: &Option<PathBuf>| path.as_deref().map(secret_file).transpose();
        let from_env = |name| env(name).filter(|value| !value.is_empty()).map(Secret::new);
        let key = self.shared_key.clone();
        let shared_key = key
            .or(from_file(&self.shared_key_file)?)
            .or_else(|| from_env(KEY_VARIABLE));
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
    pub(super) fn table(&self, secrets: &Secrets, hostname: &str) -> Value {
        let timeout = self.timeout.to_string();
        let server = present([
            ("host", Some(json!(self.host))),
            ("port", Some(json!(self.port))),
            ("username", self.username.as_ref().map(|name| json!(name))),
            ("password", secrets.password.as_ref().map(exposed)),
        ]);
        let name = self.self_hostname.clone();
        let name = name.unwrap_or_else(|| format!("weir-cat.{hostname}"));
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
            ("tls", self.tls_table()),
            ("require_ack_response", Some(json!(!self.no_ack))),
            ("connect_timeout", Some(json!(timeout))),
            ("hard_timeout", Some(json!(timeout))),
            ("send_timeout", Some(json!(timeout))),
            ("ack_response_timeout", Some(json!(timeout))),
            ("heartbeat_type", Some(json!("none"))),
            ("compress", method),
            ("time_as_integer", Some(json!(self.time_as_integer))),
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

    pub(super) fn reading(&self) -> Reading {
        let format = match self.format {
            _ if self.none => Format::None,
            _ if self.msgpack => Format::Msgpack,
            FormatArg::Json => Format::Json,
            FormatArg::Msgpack => Format::Msgpack,
            FormatArg::None => Format::None,
        };
        Reading {
            format,
            message_key: self.message_key.clone(),
            event_time: self.event_time,
        }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[derive(Debug, clap::Parser)]
    #[command(disable_help_flag = true)]
    struct Line {
        #[command(flatten)]
        args: CatArgs,
    }

    pub(in crate::cli::cat) fn parse(args: &[&str]) -> Result<CatArgs, String> {
        let line: Result<Line, _> = clap::Parser::try_parse_from([&["cat"], args].concat());
        line.map(|line| line.args)
            .map_err(|error| error.to_string())
    }

    #[track_caller]
    fn table(args: &[&str], secrets: &Secrets) -> Value {
        parse(args).unwrap().table(secrets, "here")
    }

    fn plain() -> Value {
        json!({
            "server": [{ "host": "127.0.0.1", "port": 24224 }],
            "require_ack_response": true,
            "connect_timeout": "1m",
            "hard_timeout": "1m",
            "send_timeout": "1m",
            "ack_response_timeout": "1m",
            "heartbeat_type": "none",
            "time_as_integer": false,
        })
    }

    /// The plain table with these changes.
    fn but(changes: &Value) -> Value {
        let mut table = plain();
        let all = table.as_object_mut().unwrap();
        all.extend(changes.as_object().unwrap().clone());
        table
    }

    #[test]
    fn without_arguments_it_is_fluentds_port_on_this_host_with_acknowledgements() {
        assert_eq!(table(&["app"], &Secrets::default()), plain());
    }

    #[test]
    fn arguments_become_parameters() {
        let server = json!({ "server": [{ "host": "logs", "port": 5 }] });
        for args in [
            &["-h", "logs", "-p", "5", "app"][..],
            &["app", "--host=logs", "--port", "5"],
        ] {
            assert_eq!(table(args, &Secrets::default()), but(&server));
        }
        let cases = [
            (&["--no-ack"][..], json!({ "require_ack_response": false })),
            (&["--no-ack", "--ack"], json!({})),
            (&["--compress", "zstd"], json!({ "compress": "zstd" })),
            (&["--time-as-integer"], json!({ "time_as_integer": true })),
            (&["--tls"], json!({ "tls": { "insecure_mode": false } })),
            (
                &["--tls-insecure"],
                json!({ "tls": { "insecure_mode": true } }),
            ),
            (
                &["--tls-ca", "a", "--tls-cert", "b", "--tls-key", "c"],
                json!({ "tls": {
                    "ca_cert_path": "a",
                    "client_cert_path": "b",
                    "client_private_key_path": "c",
                    "insecure_mode": false,
                } }),
            ),
        ];
        for (args, changes) in cases {
            let args = [args, &["app"]].concat();
            assert_eq!(table(&args, &Secrets::default()), but(&changes), "{args:?}");
        }
    }

    #[test]
    fn secrets_become_parameters_and_are_not_shown() {
        let secrets = Secrets {
            shared_key: Some(Secret::new("key")),
            password: Some(Secret::new("word")),
        };
        let expected = but(&json!({
            "server": [{ "host": "127.0.0.1", "port": 24224, "username": "me", "password": "word" }],
            "security": { "self_hostname": "weir-cat.here", "shared_key": "key" },
        }));
        assert_eq!(table(&["app", "--username", "me"], &secrets), expected);
        let args = parse(&["app", "--shared-key", "quiet"]).unwrap();
        assert!(!format!("{args:?}{secrets:?}").contains("quiet"));
    }

    #[test]
    fn a_secret_comes_from_an_argument_a_file_or_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "of the file\n").unwrap();
        let file = path.to_str().unwrap();
        let env = |name: &str| (name == KEY_VARIABLE).then(|| "of the environment".to_owned());
        let key = |args: &[&str]| {
            let secrets = parse(args).unwrap().secrets(env).unwrap();
            secrets.shared_key.unwrap().expose().to_owned()
        };
        assert_eq!(key(&["app"]), "of the environment");
        assert_eq!(key(&["app", "--shared-key-file", file]), "of the file");
        assert_eq!(key(&["app", "--shared-key", "said"]), "said");
        let args = ["app", "--username", "me", "--password-file", file];
        let secrets = parse(&args).unwrap().secrets(env).unwrap();
        assert_eq!(secrets.password.unwrap().expose(), "of the file");
    }

    #[test]
    fn missing_secrets_are_said() {
        let none = |_: &str| None;
        let user = parse(&["app", "--username", "me"]).unwrap().secrets(none);
        assert_eq!(user.unwrap_err().code(), exit::USAGE);
        let args = ["app", "--shared-key-file", "no/such/file"];
        let file = parse(&args).unwrap().secrets(none).unwrap_err();
        assert_eq!(file.code(), exit::IO);
        assert!(file.to_string().starts_with("cannot read no/such/file: "));
    }

    #[test]
    fn formats_have_fluent_cats_names() {
        let cases = [
            (&[][..], Format::Json),
            (&["--json"], Format::Json),
            (&["-f", "msgpack"], Format::Msgpack),
            (&["--msgpack"], Format::Msgpack),
            (&["--format", "none"], Format::None),
            (&["--none"], Format::None),
        ];
        for (args, format) in cases {
            let args = [args, &["app"]].concat();
            assert_eq!(parse(&args).unwrap().reading().format, format, "{args:?}");
        }
        for name in ["--event-time", "--time"] {
            let args = parse(&["app", name, "1970-01-01T00:00:07Z"]).unwrap();
            assert_eq!(args.reading().event_time, Some(Time::from_secs(7)));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let long = "x".repeat(1025);
        for args in [
            &["app", "--json", "--none"][..],
            &["app", "--tls-cert", "a"],
            &["app", "--tls-key", "a"],
            &["app", "--password-file", "a"],
            &["app", "--shared-key", "a", "--shared-key-file", "b"],
            &["app", "--port", "0"],
            &["app", "--timeout", "soon"],
            &["app", "--event-time", "yesterday"],
            &[&long],
            &[],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}

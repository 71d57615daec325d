//! Tests of the arguments.

use std::fs;

use sdk::config::Secret;
use serde_json::json;

use super::{
    super::super::{exit, reach::KEY_VARIABLE},
    *,
};

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
        let secrets = parse(args)
            .unwrap()
            .reach
            .secrets(&To::default(), env)
            .unwrap();
        secrets.shared_key.unwrap().expose().to_owned()
    };
    assert_eq!(key(&["app"]), "of the environment");
    assert_eq!(key(&["app", "--shared-key-file", file]), "of the file");
    assert_eq!(key(&["app", "--shared-key", "said"]), "said");
    let args = ["app", "--username", "me", "--password-file", file];
    let secrets = parse(&args)
        .unwrap()
        .reach
        .secrets(&To::default(), env)
        .unwrap();
    assert_eq!(secrets.password.unwrap().expose(), "of the file");
}

#[test]
fn missing_secrets_are_said() {
    let none = |_: &str| None;
    let user = parse(&["app", "--username", "me"]).unwrap();
    let user = user.reach.secrets(&To::default(), none);
    assert_eq!(user.unwrap_err().code(), exit::USAGE);
    let args = ["app", "--shared-key-file", "no/such/file"];
    let file = parse(&args)
        .unwrap()
        .reach
        .secrets(&To::default(), none)
        .unwrap_err();
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

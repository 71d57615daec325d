//! `weir cat`: builds the output `forward` from arguments, sends, and says what became of it.

mod args;

use std::io::{self, Write};

use sdk::{
    config::ConfigErrors,
    event::Tag,
    plugin::{BuildCx, Kind},
};

pub(super) use self::args::CatArgs;
use super::exit;
use crate::{
    cat::{self, Again, CatError, Counts, Job},
    plugins::PLUGINS,
};

/// The output that speaks the forward protocol.
const OUTPUT: &str = "forward";

/// Sends; the number is the exit code.
pub(super) fn run(args: &CatArgs, err: &mut impl Write) -> u8 {
    let secrets = match args.secrets(|name| std::env::var(name).ok()) {
        Ok(secrets) => secrets,
        Err(error) => {
            complain(err, &error.to_string(), error.help());
            return error.code();
        }
    };
    let uname = rustix::system::uname();
    let hostname = uname.nodename().to_string_lossy();
    let table = args.table(&secrets, &hostname);
    let output = PLUGINS
        .iter()
        .find(|plugin| plugin.kind() == Kind::Output && plugin.answers_to(OUTPUT))
        .ok_or_else(Vec::new)
        .and_then(|plugin| cat::output(plugin, table, &BuildCx::detached("cat")));
    let output = match output {
        Ok(output) => output,
        Err(errors) => {
            refused(err, &errors);
            return exit::USAGE;
        }
    };
    let job = Job {
        output,
        tag: Tag::new(&args.tag),
        reading: args.reading(),
        retry_limit: args.retry_limit,
    };
    let (counts, ended) = cat::run(job, io::stdin(), |again| warn(err, again));
    finish(args, counts, &ended, err)
}

fn finish(
    args: &CatArgs,
    counts: Counts,
    ended: &Result<(), CatError>,
    err: &mut impl Write,
) -> u8 {
    let code = match ended {
        Ok(()) => exit::OK,
        Err(CatError::Read(_) | CatError::Start(_)) => exit::IO,
        Err(_) => exit::FAILED,
    };
    if let Err(error) = ended {
        complain(err, &error.to_string(), error.help());
    }
    // Nobody to tell is no reason to fail.
    drop(writeln!(err, "{}", summary(counts, args.no_ack)));
    code
}

/// Only what arrived is known to be somewhere.
fn summary(Counts { sent, arrived }: Counts, no_ack: bool) -> String {
    let records = |count: u64| format!("{count} {}", if count == 1 { "record" } else { "records" });
    if no_ack {
        return format!(
            "{} sent, no acknowledgement was asked for",
            records(arrived)
        );
    }
    let known = format!("{} sent, {arrived} acknowledged", records(sent));
    if arrived < sent {
        return format!("{known}; {} may be stored or not", records(sent - arrived));
    }
    known
}

fn warn(err: &mut impl Write, Again { failure, wait }: Again<'_>) {
    let secs = wait.as_secs();
    drop(writeln!(
        err,
        "warning: {}; trying again in {secs} s",
        failure.message
    ));
}

fn refused(err: &mut impl Write, errors: &ConfigErrors) {
    for error in errors {
        let place = error.path.trim_start_matches('/');
        let place = if place.is_empty() { OUTPUT } else { place };
        let help = error.help.as_deref().unwrap_or("see `weir cat --help`");
        complain(err, &format!("{place}: {}", error.message), help);
    }
}

/// Nobody to tell is no reason to fail: the exit code says it too.
fn complain(err: &mut impl Write, message: &str, help: &str) {
    drop(write!(err, "error: {message}\n  help: {help}\n"));
}

#[cfg(test)]
mod tests {
    use sdk::config::Secret;

    use super::{
        args::{Secrets, tests::parse},
        *,
    };

    #[test]
    fn the_output_takes_the_table() {
        let plugin = PLUGINS
            .iter()
            .find(|plugin| plugin.kind() == Kind::Output && plugin.answers_to(OUTPUT))
            .unwrap();
        let build = |args: &[&str]| {
            let secrets = Secrets {
                shared_key: Some(Secret::new("key")),
                password: None,
            };
            cat::output(
                plugin,
                parse(args).unwrap().table(&secrets, "here"),
                &BuildCx::detached("cat"),
            )
        };
        assert!(build(&["app"]).is_ok());
        let all = [
            "app",
            "--tls",
            "--tls-cert",
            "a",
            "--tls-key",
            "b",
            "--compress",
            "gzip",
            "--username",
            "me",
        ];
        assert!(build(&all).is_ok());
        let Err(errors) = build(&["app", "--timeout", "10ms"]) else {
            panic!("10 ms are too short");
        };
        let mut said = Vec::new();
        refused(&mut said, &errors);
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.starts_with("error: ack_response_timeout: 10ms is too short"),
            "{said}"
        );
    }

    #[test]
    fn the_last_line_says_what_is_known() {
        let check = |sent, arrived, no_ack, expected: &str| {
            assert_eq!(summary(Counts { sent, arrived }, no_ack), expected);
        };
        check(0, 0, false, "0 records sent, 0 acknowledged");
        check(1, 1, false, "1 record sent, 1 acknowledged");
        let some = "5 records sent, 3 acknowledged; 2 records may be stored or not";
        check(5, 3, false, some);
        let unknown = "5 records sent, no acknowledgement was asked for";
        check(5, 5, true, unknown);
    }
}

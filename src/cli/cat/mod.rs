//! `weir cat`: builds the output `forward` from arguments, sends, and says what became of it.

mod args;

use std::io::{self, Write};

use sdk::event::Tag;

pub(super) use self::args::CatArgs;
use super::{complain, exit, reach};
use crate::cat::{self, CatError, Counts, Job};

/// Sends; the number is the exit code.
pub(super) fn run(args: &CatArgs, err: &mut impl Write) -> u8 {
    let secrets = match args
        .reach
        .secrets(&args.to(), |name| std::env::var(name).ok())
    {
        Ok(secrets) => secrets,
        Err(error) => {
            complain(err, &error.to_string(), error.help());
            return error.code();
        }
    };
    let table = args.table(&secrets, &reach::hostname());
    let output = match reach::output(table, "cat") {
        Ok(output) => output,
        Err(errors) => {
            reach::refused(err, &errors, "cat");
            return exit::USAGE;
        }
    };
    let job = Job {
        output,
        tag: Tag::new(&args.tag),
        reading: args.reading(),
        retry_limit: args.retry_limit,
    };
    let (counts, ended) = cat::run(job, io::stdin(), |again| reach::warn(err, again));
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

#[cfg(test)]
mod tests {
    use sdk::config::Secret;

    use super::{args::tests::parse, reach::Secrets, *};

    #[test]
    fn the_output_takes_the_table() {
        let build = |args: &[&str]| {
            let secrets = Secrets {
                shared_key: Some(Secret::new("key")),
                password: None,
            };
            reach::output(parse(args).unwrap().table(&secrets, "here"), "cat")
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
        reach::refused(&mut said, &errors, "cat");
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

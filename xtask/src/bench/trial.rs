//! One run: a load through a router to a server that counts.

use std::{
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    arrivals::Arrivals,
    bulk_server, forward_server,
    load::Load,
    measure::{self, Router, median},
};

/// Connections that ask for acknowledgements.
pub(super) const CONNECTIONS: usize = 8;
/// Records of the measured part of a run, and of the part before it.
pub(super) const RECORDS: u64 = 1_500_000;
const WARM_UP_RECORDS: u64 = 200_000;

/// What is run.
#[derive(Clone, Copy)]
pub(super) struct Setup {
    pub(super) message_bytes: usize,
    pub(super) way: Way,
    pub(super) durability: &'static str,
}

/// What was measured in one run.
pub(super) struct Row {
    cpu_us: f64,
    tree_us: f64,
    idle_mib: f64,
    peak_mib: f64,
    records_per_second: f64,
}

/// Where the records go.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// As documents into a bulk server.
    Bulk,
    /// As they came to another forward server.
    Forward,
}

/// Prints the medians; returns the CPU time per record.
pub(super) fn print_row(message_bytes: usize, what: &str, rows: &[Row]) -> f64 {
    let of = |value: fn(&Row) -> f64| median(rows.iter().map(value).collect());
    let (cpu, tree) = (of(|row| row.cpu_us), of(|row| row.tree_us));
    println!(
        "{:>4} KiB   {what:<15} {cpu:>13.2} {tree:>19.2} {:>6.1}x {:>11.0} {:>10.1} {:>10.1}",
        message_bytes >> 10,
        tree / cpu,
        of(|row| row.records_per_second),
        of(|row| row.idle_mib),
        of(|row| row.peak_mib),
    );
    cpu
}

pub(super) fn one_run(binary: &Path, setup: Setup) -> anyhow::Result<Row> {
    let Setup {
        message_bytes,
        way,
        durability,
    } = setup;
    let server = Arrivals::start(match way {
        Way::Bulk => bulk_server::serve,
        Way::Forward => forward_server::serve,
    })?;
    let home = measure::scratch_dir("bench")?;
    let (forward, admin) = (free_port()?, free_port()?);
    let config = home.join("bench.toml");
    std::fs::write(
        &config,
        config_text(
            &home,
            forward,
            admin,
            durability,
            &way.output(server.port()),
        ),
    )?;
    let router = Router::start(binary, &config, admin)?;
    let idle_mib = router.resident_mib("VmRSS")?;

    let load = Load::new(forward, message_bytes);
    load.send(WARM_UP_RECORDS, CONNECTIONS)?;
    server.wait_for(load.sent(), Duration::from_mins(1))?;
    let (cpu_before, began) = (router.cpu()?, Instant::now());
    let before = load.sent();
    load.send(RECORDS, CONNECTIONS)?;
    server.wait_for(load.sent(), Duration::from_mins(2))?;
    let (cpu, took) = (router.cpu()?.saturating_sub(cpu_before), began.elapsed());
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of records in a float for a ratio"
    )]
    let measured = (load.sent() - before) as f64;
    let row = Row {
        cpu_us: cpu.as_secs_f64() * 1e6 / measured,
        tree_us: measure::tree_us_per_record(&load)?,
        idle_mib,
        peak_mib: router.resident_mib("VmHWM")?,
        records_per_second: measured / took.as_secs_f64(),
    };
    router.stop()?;
    std::fs::remove_dir_all(&home)?;
    Ok(row)
}

pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Way {
    /// The table of the output, for the server at `port`.
    fn output(self, port: u16) -> String {
        match self {
            Self::Bulk => format!(
                r#"
type = "elasticsearch"
hosts = ["http://127.0.0.1:{port}"]
index = "logs-%Y.%m.%d"
compression = "none"
"#
            ),
            Self::Forward => format!(
                r#"
type = "forward"
[[match.server]]
host = "127.0.0.1"
port = {port}
"#
            ),
        }
    }
}

/// A router with one source and one output with a file buffer. `output` may end with keys of the buffer's table.
pub(super) fn config_text(
    home: &Path,
    forward: u16,
    admin: u16,
    durability: &str,
    output: &str,
) -> String {
    let home = home.display();
    format!(
        r#"
[service]
data_dir = "{home}/data"
[service.admin]
listen = "127.0.0.1:{admin}"
[[source]]
type = "forward"
listen = "127.0.0.1:{forward}"
[[match]]
id = "out"
tag = "**"
{output}
[match.buffer]
type = "file"
durability = "{durability}"
total_limit_size = "8GiB"
"#
    )
}

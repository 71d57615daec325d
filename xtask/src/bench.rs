//! `cargo xtask bench`: CPU time per record from socket to bulk request, and from socket to socket, beside a decoded tree
//! in the same run.

mod arrivals;
mod bulk_server;
mod forward_server;
mod load;
mod measure;
mod records;

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use self::{
    arrivals::Arrivals,
    load::Load,
    measure::{Router, median},
};

/// Runs of each row; the median is printed.
const RUNS: usize = 5;
/// Connections that ask for acknowledgements.
const CONNECTIONS: usize = 8;
/// Records of the measured part of a run, and of the part before it.
const RECORDS: u64 = 1_500_000;
const WARM_UP_RECORDS: u64 = 200_000;
/// Aims of this row: CPU microseconds per record, and memory in MiB.
const AIM_US: f64 = 1.5;
const AIM_IDLE_MIB: f64 = 30.0;
const AIM_PEAK_MIB: f64 = 100.0;

/// What was measured in one run.
struct Row {
    cpu_us: f64,
    tree_us: f64,
    idle_mib: f64,
    peak_mib: f64,
    records_per_second: f64,
}

/// Where the records go.
#[derive(Clone, Copy)]
enum Way {
    /// As documents into a bulk server.
    Bulk,
    /// As they came to another forward server.
    Forward,
}

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> anyhow::Result<()> {
    let runs = match args.first() {
        Some(text) => text.parse().context("the argument is the number of runs")?,
        None => RUNS,
    };
    let binary = build()?;
    // The router has the first core to itself; the load and the bulk server share the others.
    measure::pin_self_to_other_cores()?;
    println!("forward -> disk buffer (commit) -> server; {CONNECTIONS} acking connections;");
    println!(
        "{RECORDS} Kubernetes-shaped records a run, Weir on one core, median of {runs} runs\n"
    );
    println!(
        "message    to              CPU us/record   tree + serde_json   ratio   records/s   idle MiB   peak MiB"
    );
    let mut dearer = Vec::new();
    for message_bytes in [64 << 10, 256 << 10] {
        let (mut bulk, mut passed) = (Vec::new(), Vec::new());
        // Turn by turn, so that what else the machine does meets both.
        for _ in 0..runs {
            bulk.push(one_run(&binary, message_bytes, Way::Bulk)?);
            passed.push(one_run(&binary, message_bytes, Way::Forward)?);
        }
        let bulk = print_row(message_bytes, "Elasticsearch", &bulk);
        let passed = print_row(message_bytes, "forward", &passed);
        println!("passing through costs {:.2} of it\n", passed / bulk);
        if passed >= bulk {
            dearer.push(message_bytes >> 10);
        }
    }
    println!(
        "aims: {AIM_US} us/record, idle under {AIM_IDLE_MIB} MiB, peak under {AIM_PEAK_MIB} MiB"
    );
    println!(
        "tree + serde_json is the encoding alone: MessagePack decoded to a tree, printed as bulk lines"
    );
    ensure!(
        dearer.is_empty(),
        "passing through costs more than Elasticsearch with messages of {dearer:?} KiB"
    );
    Ok(())
}

/// Prints the medians; returns the CPU time per record.
fn print_row(message_bytes: usize, to: &str, rows: &[Row]) -> f64 {
    let of = |value: fn(&Row) -> f64| median(rows.iter().map(value).collect());
    let (cpu, tree) = (of(|row| row.cpu_us), of(|row| row.tree_us));
    println!(
        "{:>4} KiB   {to:<15} {cpu:>13.2} {tree:>19.2} {:>6.1}x {:>11.0} {:>10.1} {:>10.1}",
        message_bytes >> 10,
        tree / cpu,
        of(|row| row.records_per_second),
        of(|row| row.idle_mib),
        of(|row| row.peak_mib),
    );
    cpu
}

fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--bin", "weir"])
        .status()?;
    ensure!(status.success(), "cargo build --release failed");
    Ok(PathBuf::from("target/release/weir"))
}

fn one_run(binary: &Path, message_bytes: usize, way: Way) -> anyhow::Result<Row> {
    let server = Arrivals::start(match way {
        Way::Bulk => bulk_server::serve,
        Way::Forward => forward_server::serve,
    })?;
    let home = measure::scratch_dir("bench")?;
    let (forward, admin) = (free_port()?, free_port()?);
    let config = home.join("bench.toml");
    std::fs::write(
        &config,
        config_text(&home, forward, admin, &way.output(server.port())),
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

fn free_port() -> anyhow::Result<u16> {
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

fn config_text(home: &Path, forward: u16, admin: u16, output: &str) -> String {
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
durability = "commit"
"#
    )
}

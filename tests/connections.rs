//! Many connections: idle ones beside busy ones, ones that dawdle inside a message, ones that come and go, and more of
//! them than there is room for. `cargo xtask campaign connections` runs the same at full size, set by the environment.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};
use rmpv::Value;
use tokio::time::timeout;

use crate::{
    delivery::{SERVICE, TO_FILES},
    harness::{
        Weir,
        crowd::{Client, Job, Latencies, runtime, some_at_a_time},
        eventually, forward, holds,
        weir::{BINARY, Home},
    },
};

/// More than any test opens.
const MANY: usize = 15_000;

/// A router for so many connections.
fn config(max_connections: usize) -> String {
    let durable = "type = \"file\"\ndurability = \"commit\"\n";
    format!("{SERVICE}max_connections = {max_connections}\n{TO_FILES}{durable}")
}

/// Connections that the router may still have from those who asked the admin port, and files of the buffer.
const DESCRIPTORS_MORE: usize = 8;

/// A number of the environment, or the one for the test command.
fn size(name: &str, usual: usize) -> usize {
    env::var(format!("WEIR_CONNECTIONS_{name}"))
        .map_or(usual, |text| text.parse().expect("a number"))
}

/// What each busy connection does: 50 records a second.
fn job() -> Job {
    Job {
        messages: size("MESSAGES", 20),
        records: 10,
        every: Duration::from_millis(200),
    }
}

/// Numbers of records in the order in which they are taken.
struct Numbers(u64);

impl Numbers {
    fn take(&mut self, count: u64) -> u64 {
        let first = self.0;
        self.0 += count;
        first
    }
}

/// The router before it has connections.
struct Stage {
    home: Home,
    weir: Weir,
    sockets: usize,
    descriptors: usize,
    memory_kib: u64,
    cpu: Duration,
    begun: Instant,
    numbers: Numbers,
}

impl Stage {
    fn new() -> Self {
        let home = Home::new(&config(MANY));
        let weir = home.start();
        let (sockets, descriptors) = weir.descriptors();
        Self {
            sockets,
            descriptors,
            memory_kib: weir.memory_kib("VmRSS"),
            cpu: weir.cpu(),
            begun: Instant::now(),
            numbers: Numbers(0),
            home,
            weir,
        }
    }

    fn address(&self) -> SocketAddr {
        self.weir.listens("in")
    }

    /// Says what it took, and holds it against the limits.
    fn judge(&self, what: &str, latencies: &Latencies) {
        let peak = self.weir.memory_kib("VmHWM") >> 10;
        let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
        println!("{what}");
        println!(
            "result connections: memory_before_mib={} memory_peak_mib={peak} acks={} p50_ms={:.1} p99_ms={:.1} cpu_s={:.1} \
             elapsed_s={:.1}",
            self.memory_kib >> 10,
            latencies.len(),
            p50.as_secs_f64() * 1e3,
            p99.as_secs_f64() * 1e3,
            self.weir.cpu().saturating_sub(self.cpu).as_secs_f64(),
            self.begun.elapsed().as_secs_f64(),
        );
        let memory_max = size("MEMORY_MIB", 96) as u64;
        assert!(peak < memory_max, "peak {peak} MiB of {memory_max}");
        let p99_max = Duration::from_millis(size("P99_MS", 5_000) as u64);
        assert!(p99 < p99_max, "p99 {p99:?} of {p99_max:?}");
    }

    /// Every connection is closed: nothing of them stays, and each record arrived once.
    fn ends(self) {
        eventually("sockets are closed", 60, || {
            (self.weir.descriptors().0 <= self.sockets).then_some(())
        });
        let descriptors = self.weir.descriptors().1;
        assert!(
            descriptors <= self.descriptors + DESCRIPTORS_MORE,
            "{} descriptors became {descriptors}",
            self.descriptors
        );
        self.weir.settles(60);
        assert!(self.weir.stop().success());
        arrived_once(&self.home, self.numbers.0);
    }
}

/// Looks for the records `0..total`, each once and no others, without holding them all.
fn arrived_once(home: &Home, total: u64) {
    let mut seen = vec![0_u32; usize::try_from(total).expect("a count")];
    for entry in fs::read_dir(home.path().join("out")).expect("the folder") {
        let file = fs::File::open(entry.expect("an entry").path()).expect("a file");
        for line in BufReader::new(file).lines() {
            let record: serde_json::Value =
                serde_json::from_str(&line.expect("text")).expect("a record");
            let number = record["n"].as_u64().expect("a number");
            seen[usize::try_from(number).expect("an index")] += 1;
        }
    }
    let missing = seen.iter().filter(|count| **count == 0).count();
    let twice = seen.iter().filter(|count| **count > 1).count();
    assert_eq!((missing, twice), (0, 0), "of {total} records");
}

/// Lets each client send one record and wait for its acknowledgement.
async fn each_delivers(clients: Vec<Client>, first: u64) -> Vec<Client> {
    let work = |(number, mut client): (u64, Client)| async move {
        client.deliver("idle.app", first + number, 1).await;
        client
    };
    some_at_a_time((0..).zip(clients).map(work)).await
}

#[test]
fn idle_connections_beside_busy_ones() {
    let (idle, busy) = (size("IDLE", 2_000), size("BUSY", 200));
    let mut stage = Stage::new();
    let (address, runtime) = (stage.address(), runtime());
    // Half of those that are idle later have said something before.
    let fresh = runtime.block_on(Client::connect_all(address, 0..idle / 2));
    let mut spoken = runtime.block_on(Client::connect_all(address, idle / 2..idle));
    let first = stage.numbers.take(spoken.len() as u64);
    spoken = runtime.block_on(each_delivers(spoken, first));
    let working = runtime.block_on(Client::connect_all(address, idle..idle + busy));
    let first = stage.numbers.take(busy as u64 * job().total());
    let (working, latencies) = runtime.block_on(job().share(working, first));
    stage.judge(&format!("{idle} idle and {busy} busy"), &latencies);
    // Those that were idle are as good as others.
    let idle = spoken.into_iter().chain(fresh).collect::<Vec<_>>();
    let first = stage.numbers.take(idle.len() as u64);
    let idle = runtime.block_on(each_delivers(idle, first));
    drop((idle, working, runtime));
    stage.ends();
}

/// The beginnings of messages at which a sender stops to hurry, each with what it drips from then on.
fn dawdlers() -> Vec<(Vec<u8>, Vec<u8>)> {
    let entries = forward::numbered(0, 1_000);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&entries).expect("memory");
    let option = vec![("compressed".into(), "gzip".into())];
    let compressed = forward::encode(&Value::Array(vec![
        "slow.app".into(),
        Value::Binary(gzip.finish().expect("memory")),
        Value::Map(option),
    ]));
    let plain = forward::packed("slow.app", &entries, Some("slow"));
    let json = format!(
        "[\"slow.app\",1764000000,{{\"text\":\"{}\"",
        "x".repeat(4_000)
    );
    [
        (&plain, 0),
        (&plain, 20),
        (&plain, plain.len() / 2),
        (&compressed, compressed.len() / 2),
        (&json.into_bytes(), 100),
    ]
    .into_iter()
    .map(|(message, at)| (message[..at].to_vec(), message[at..].to_vec()))
    .collect()
}

/// Sends a byte now and then, and never comes to the end of the message.
async fn dawdle(address: SocketAddr, number: usize, begin: Vec<u8>, drips: Vec<u8>) {
    let mut client = Client::connect(address, number).await;
    client.send(&begin).await;
    for byte in drips {
        client.send(&[byte]).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    unreachable!("the message is longer than the test");
}

#[test]
fn slow_senders_do_not_stop_busy_ones() {
    let (slow, busy) = (size("SLOW", 400), size("SLOW_BUSY", 50));
    let mut stage = Stage::new();
    let (address, runtime) = (stage.address(), runtime());
    let kinds = dawdlers();
    let tasks: Vec<_> = (0..slow)
        .zip(kinds.into_iter().cycle())
        .map(|(number, (begin, drips))| runtime.spawn(dawdle(address, number, begin, drips)))
        .collect();
    let all = f64::from(u32::try_from(slow).expect("a count"));
    holds("the slow ones are connected", 60, &all, || {
        stage.weir.metrics().sum("weir_forward_connections", &[])
    });
    let working = runtime.block_on(Client::connect_all(address, 0..busy));
    let first = stage.numbers.take(busy as u64 * job().total());
    let (working, latencies) = runtime.block_on(job().share(working, first));
    assert!(tasks.iter().all(|task| !task.is_finished()));
    stage.judge(&format!("{slow} slow and {busy} busy"), &latencies);
    drop((working, tasks));
    runtime.shutdown_timeout(Duration::from_secs(10));
    stage.ends();
}

#[test]
fn connections_that_come_and_go() {
    let count = size("CHURN", 1_000);
    let mut stage = Stage::new();
    let (address, runtime) = (stage.address(), runtime());
    let first = stage.numbers.take(count as u64);
    let work = |number: usize| async move {
        let mut client = Client::connect(address, number).await;
        client.deliver("churn.app", first + number as u64, 1).await
    };
    let took = runtime.block_on(some_at_a_time((0..count).map(work)));
    stage.judge(
        &format!("{count} one after the other"),
        &Latencies::of(took),
    );
    drop(runtime);
    stage.ends();
}

/// Floods the router with more connections than it can have, `room` of them at least, and looks whether those that
/// it has go on, whether it spins, and whether it takes connections afterwards.
fn flood(home: &Home, weir: &Weir, room: usize) {
    const FLOOD: usize = 1_200;
    const HONEST: usize = 10;
    const RECOVERY: Duration = Duration::from_secs(30);
    let (address, runtime) = (weir.listens("in"), runtime());
    let honest = runtime.block_on(Client::connect_all(address, 0..HONEST));
    let job = Job {
        messages: 20,
        records: 1,
        every: Duration::from_millis(100),
    };
    let (honest, _) = runtime.block_on(job.share(honest, 0));
    let crowd = runtime.block_on(Client::connect_all(address, 0..FLOOD));
    let (cpu, begun) = (weir.cpu(), Instant::now());
    let (honest, _) = runtime.block_on(job.share(honest, HONEST as u64 * job.total()));
    let (cpu, took) = (weir.cpu().saturating_sub(cpu), begun.elapsed());
    assert!(cpu < took / 4, "{cpu:?} of CPU time in {took:?}");
    assert_eq!(weir.probe("/livez").0, 200);
    let closed = runtime.block_on(async {
        let looks = crowd.into_iter().map(|mut client| async move {
            let closed = client.is_closed().await;
            (client, closed)
        });
        some_at_a_time(looks).await
    });
    let open = closed.iter().filter(|(_, closed)| !closed).count();
    println!("{open} of {FLOOD} let in; {cpu:?} of CPU time in {took:?}");
    assert!((room - HONEST..FLOOD).contains(&open), "{open} let in");
    drop(closed);
    let first = 2 * HONEST as u64 * job.total();
    let recovers = async {
        // Room comes when the router has seen that the others are gone.
        let mut late = Client::connect(address, 0).await;
        while late.is_closed().await {
            late = Client::connect(address, 0).await;
        }
        late.deliver("late.app", first, 1).await
    };
    let recovered = runtime.block_on(async { timeout(RECOVERY, recovers).await });
    recovered.expect("it takes connections again");
    drop((honest, runtime));
    weir.settles(20);
    arrived_once(home, first + 1);
}

#[test]
fn a_flood_beyond_max_connections() {
    let home = Home::new(&config(100));
    let weir = home.start();
    flood(&home, &weir, 100);
    let label = ["reason=\"too_many\""];
    eventually("the surplus is counted", 20, || {
        let closed = weir
            .metrics()
            .sum("weir_forward_connections_closed_total", &label);
        (closed >= 1_000.0).then_some(())
    });
    assert!(weir.stop().success());
}

#[test]
fn a_flood_beyond_the_descriptors_of_the_process() {
    let home = Home::new(&config(MANY));
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 512; exec \"$0\" run -c \"$1\"", BINARY])
        .arg(home.config());
    let weir = Weir::spawn(command, home.path());
    weir.wait_ready();
    flood(&home, &weir, 300);
    assert!(weir.stop().success());
}

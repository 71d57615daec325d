//! What Prometheus clients say about their process: the standard `process_*` series, read from `/proc`.

use std::sync::OnceLock;

/// What tells how much of the heap is in use.
static LIVE_HEAP: OnceLock<fn() -> Option<usize>> = OnceLock::new();

/// Clock ticks per second in `/proc/self/stat`; 100 on every Linux that is in use.
const TICKS_PER_SECOND: f64 = 100.0;

/// From now on the exposition tells what this function does: bytes that the allocator gave out and has not got back.
pub fn watch_heap(live_heap: fn() -> Option<usize>) {
    // There is one allocator, so whoever comes second says the same.
    LIVE_HEAP.get_or_init(|| live_heap);
}

/// The series in the text format, with counters named as `openmetrics` or the older format wants them. Empty where
/// there is no `/proc`.
pub fn exposition() -> String {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}"));
    let (Ok(stat), Ok(limits), Ok(system)) = (
        read("stat"),
        read("limits"),
        std::fs::read_to_string("/proc/stat"),
    ) else {
        return String::new();
    };
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let page = rustix::param::page_size();
    let in_use = LIVE_HEAP.get().and_then(|live_heap| live_heap());
    let mut all = describe(&stat, &limits, &system, open, page).unwrap_or_default();
    all.extend(in_use.map(|bytes| {
        let help = "Bytes of the heap that are in use";
        #[expect(clippy::cast_precision_loss, reason = "a heap is below 2^52 bytes")]
        text(("weir_heap_live_bytes", "gauge", help, bytes as f64))
    }));
    all
}

/// The soft limit on open files; infinite where there is none.
fn descriptors_max(limits: &str) -> f64 {
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(f64::INFINITY)
}

fn describe(
    stat: &str,
    limits: &str,
    system: &str,
    open: usize,
    page_bytes: usize,
) -> Option<String> {
    // The name of the program may have spaces and brackets, so what counts begins behind its last bracket.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<f64> = fields
        .split_whitespace()
        .map(|field| field.parse().unwrap_or_default())
        .collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default();
    let booted: f64 = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    let most = descriptors_max(limits);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a page size and a count of descriptors are small"
    )]
    let (page, open) = (page_bytes as f64, open as f64);
    let started = booted + field(19) / TICKS_PER_SECOND;
    let cpu = (field(11) + field(12)) / TICKS_PER_SECOND;
    let mut series = vec![
        (
            "process_cpu_seconds",
            "counter",
            "Processor time, user and system",
            cpu,
        ),
        ("process_threads", "gauge", "Threads", field(17)),
        (
            "process_start_time_seconds",
            "gauge",
            "When the process started, in seconds since 1970",
            started,
        ),
        (
            "process_virtual_memory_bytes",
            "gauge",
            "Virtual memory",
            field(20),
        ),
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory",
            field(21) * page,
        ),
        ("process_open_fds", "gauge", "Open file descriptors", open),
    ];
    if most.is_finite() {
        series.push((
            "process_max_fds",
            "gauge",
            "Most file descriptors that may be open",
            most,
        ));
    }
    Some(series.into_iter().map(text).collect())
}

/// One series.
fn text((name, kind, help, value): (&str, &str, &str, f64)) -> String {
    let suffix = if kind == "counter" { "_total" } else { "" };
    format!("# HELP {name} {help}.\n# TYPE {name} {kind}\n{name}{suffix} {value}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_behind_a_name_with_brackets() {
        let stat =
            "7 (we (ir) 1) S 1 7 7 0 -1 4194304 900 0 0 0 150 50 0 0 20 0 5 0 1000 8192000 300 1\n";
        let limits = "Limit  Soft\nMax open files            1024                 4096     files\n";
        let text = describe(stat, limits, "cpu 1\nbtime 1000000\n", 12, 4096).unwrap();
        for line in [
            "process_cpu_seconds_total 2",
            "process_threads 5",
            "process_start_time_seconds 1000010",
            "process_virtual_memory_bytes 8192000",
            "process_resident_memory_bytes 1228800",
            "process_open_fds 12",
            "process_max_fds 1024",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let text = exposition();
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
    }
}

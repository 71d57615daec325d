//! Random schedules of writes, rotations, cuts, reads, refusals and restarts: every line comes, in order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    Write(u8),
    /// A line without its end; the end comes with the next write.
    Half,
    Rotate,
    Compress,
    Pass,
    /// Reads without an answer.
    PassOpen,
    Refuse,
    Answer,
    Store,
    Kill,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..20_u8).prop_map(Step::Write),
        1 => Just(Step::Half),
        3 => Just(Step::Rotate),
        2 => Just(Step::Compress),
        4 => Just(Step::Pass),
        2 => Just(Step::PassOpen),
        1 => Just(Step::Refuse),
        2 => Just(Step::Answer),
        2 => Just(Step::Store),
        2 => Just(Step::Kill),
        1 => Just(Step::Wait),
    ]
}

/// The writer, and what it has written.
#[derive(Default)]
struct Writer {
    next: u32,
    rotations: u32,
    plain: Vec<String>,
    half: bool,
    /// Passes that met no file at the path.
    missed: u32,
}

impl Writer {
    /// A path that stays empty for long is given up, so no writer that rotates leaves it so.
    fn return_in_time(&mut self, bench: &Bench, passes: u32) {
        if bench.path("a.log").exists() {
            self.missed = 0;
            return;
        }
        self.missed += passes;
        if self.missed > 3 {
            bench.append("a.log", "");
        }
    }

    fn write(&mut self, bench: &Bench, lines: u8) {
        for _ in 0..lines {
            // Every third record is in two lines.
            let end = format!("{:04} of the record\n", self.next);
            let text = match (self.half, self.next % 3) {
                (true, _) => format!(" {end}"),
                (false, 0) => format!("P {:04} a part,\n{end}", self.next),
                (false, _) => format!("{:04} whole\n", self.next),
            };
            bench.append("a.log", &text);
            self.half = false;
            self.next += 1;
        }
    }

    /// A line without its end; the end comes with the next write.
    fn half(&mut self, bench: &Bench) {
        if !self.half {
            bench.append("a.log", &format!("{:04} half", self.next));
            self.half = true;
        }
    }

    /// Moves or copies the file away. What is between a copy and the cut is lost by any tool, so nothing is written there.
    fn rotate(&mut self, bench: &Bench, by_copy: bool) {
        let has_bytes = |meta: fs::Metadata| meta.len() > 0;
        if self.half || !bench.path("a.log").metadata().is_ok_and(has_bytes) {
            return;
        }
        self.rotations += 1;
        let name = format!("a.log.20260101-{:06}", self.rotations);
        if by_copy {
            fs::copy(bench.path("a.log"), bench.path(&name)).unwrap();
            fs::write(bench.path("a.log"), "").unwrap();
        } else {
            bench.rename("a.log", &name);
        }
        self.plain.push(name);
    }
}

fn number(line: &str) -> u32 {
    line.get(..4).unwrap().parse().unwrap()
}

/// The writer, the reader, and what came in each life of the engine.
struct Run {
    bench: Bench,
    writer: Writer,
    open: Vec<Chunk>,
    lives: Vec<Vec<String>>,
    by_copy: bool,
}

impl Run {
    fn new(by_copy: bool) -> Self {
        let mut run = Self {
            bench: Bench::new(|settings| {
                settings.read_lines_limit = 7;
                settings.turn_bytes = 64;
            }),
            writer: Writer::default(),
            open: Vec::new(),
            lives: vec![Vec::new()],
            by_copy,
        };
        // So that the path is known before the first kill.
        run.writer.write(&run.bench, 1);
        run.bench.start();
        let first = run.bench.pass();
        run.bench.settle(first, true);
        run.bench.store();
        run
    }

    fn step(&mut self, step: Step) {
        let bench = &mut self.bench;
        match step {
            Step::Write(lines) => self.writer.write(bench, lines),
            Step::Half => self.writer.half(bench),
            Step::Rotate => self.writer.rotate(bench, self.by_copy),
            Step::Compress if self.writer.plain.is_empty() => {}
            Step::Compress => bench.gzip(&self.writer.plain.remove(0)),
            Step::Pass => {
                self.writer.return_in_time(bench, 1);
                self.open.extend(bench.pass());
                bench.settle(std::mem::take(&mut self.open), true);
            }
            Step::PassOpen => {
                self.writer.return_in_time(bench, 1);
                self.open.extend(bench.pass());
            }
            Step::Refuse => {
                bench.settle(std::mem::take(&mut self.open), false);
                self.next_life();
            }
            Step::Answer => bench.settle(std::mem::take(&mut self.open), true),
            Step::Store => bench.store(),
            Step::Kill => {
                self.open.clear();
                bench.kill();
                bench.start();
                self.next_life();
            }
            Step::Wait => {
                self.writer.return_in_time(bench, 9);
                bench.wait(Duration::from_mins(1));
            }
        }
    }

    /// Lines may come again from here on.
    fn next_life(&mut self) {
        let lines = std::mem::take(&mut self.bench.lines);
        self.lives.last_mut().unwrap().extend(lines);
        self.lives.push(Vec::new());
    }

    /// Reads the rest, and compares.
    fn finish(mut self) {
        self.bench.settle(std::mem::take(&mut self.open), true);
        if self.writer.half {
            self.writer.write(&self.bench, 1);
        }
        self.bench.wait(Duration::from_mins(1));
        let rest = self.bench.drain();
        self.lives.last_mut().unwrap().extend(rest);
        let mut seen = BTreeSet::new();
        for life in &self.lives {
            let numbers: Vec<u32> = life.iter().map(|line| number(line)).collect();
            let follows = |pair: &[u32]| pair[0] + 1 == pair[1];
            assert!(
                numbers.windows(2).all(follows),
                "not in order: {:?}",
                self.lives
            );
            for (line, number) in life.iter().zip(numbers) {
                let parts = line.matches(&format!("{number:04}")).count();
                assert!(
                    line.ends_with("whole") || parts == 2,
                    "{line:?} is not whole"
                );
                seen.insert(number);
            }
        }
        let expected: BTreeSet<u32> = (0..self.writer.next).collect();
        assert_eq!(seen, expected, "{:?}", self.lives);
        assert_eq!(self.bench.counters.lost_bytes.get(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_line_comes_in_order(steps in prop::collection::vec(step(), 1..60), by_copy: bool) {
        let mut run = Run::new(by_copy);
        for step in steps {
            run.step(step);
        }
        run.finish();
    }
}

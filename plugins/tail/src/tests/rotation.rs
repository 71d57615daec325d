//! Rotation in each of its forms, restarts, and what is lost.

use super::*;

fn started() -> Bench {
    let mut bench = Bench::new(|_| {});
    bench.append("a.log", "1\n2\n");
    bench.start();
    assert_eq!(bench.drain(), ["1", "2"]);
    bench
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    let mut bench = started();
    bench.append("a.log", "3\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "5\n");
    bench.append("a.log.1", "4\n");
    assert_eq!(bench.drain(), ["3", "4", "5"]);
    assert_eq!(bench.counters.rotated.get(), 1);
    bench.append("a.log", "6\n");
    assert_eq!(bench.drain(), ["6"]);
    assert_eq!(bench.counters.lost_bytes.get(), 0);
}

#[test]
fn lines_that_come_late_to_a_moved_file_are_read() {
    let mut bench = started();
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "4\n");
    let chunks = bench.pass();
    bench.settle(chunks, true);
    bench.append("a.log.1", "3\n");
    assert_eq!(bench.drain(), ["4", "3"]);
}

#[test]
fn several_rotations_between_two_looks_lose_nothing() {
    let mut bench = started();
    bench.append("a.log", "3\n");
    bench.rename("a.log", "a.log.20260101-000001");
    bench.append("a.log", "4\n");
    bench.rename("a.log", "a.log.20260101-000002");
    bench.gzip("a.log.20260101-000001");
    bench.append("a.log", "5\n");
    bench.rename("a.log", "a.log.20260101-000003");
    bench.gzip("a.log.20260101-000002");
    bench.append("a.log", "6\n");
    assert_eq!(bench.drain(), ["3", "4", "5", "6"]);
    assert_eq!(bench.counters.reconciled.get(), 2);
    assert_eq!(bench.counters.lost_bytes.get(), 0);
}

#[test]
fn after_a_stop_rotated_and_compressed_files_are_read_first() {
    let mut bench = started();
    bench.kill();
    bench.append("a.log", "3\n");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "4\n");
    bench.gzip("a.log.1");
    bench.rename("a.log.1.gz", "a.log.2.gz");
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "5\n");
    bench.start();
    assert_eq!(bench.drain(), ["3", "4", "5"]);
    bench.kill();
    bench.start();
    assert_eq!(bench.drain(), [""; 0]);
}

#[test]
fn a_cut_file_is_read_from_its_copy_and_then_anew() {
    let mut bench = started();
    bench.append("a.log", "3\n");
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    fs::write(bench.path("a.log"), "").unwrap();
    bench.append("a.log", "4\n");
    assert_eq!(bench.drain(), ["3", "4"]);
    assert_eq!(bench.counters.truncated.get(), 1);
}

#[test]
fn a_cut_file_that_has_grown_beyond_the_old_position_is_noticed() {
    let mut bench = started();
    fs::write(bench.path("a.log"), "").unwrap();
    bench.append("a.log", "3 is longer\n4\n");
    assert_eq!(bench.drain(), ["3 is longer", "4"]);
    assert_eq!(bench.counters.truncated.get(), 1);
    assert_eq!(bench.counters.lost_bytes.get(), 0);
}

#[test]
fn what_was_cut_away_without_a_copy_is_counted() {
    let mut bench = started();
    bench.append("a.log", "three\n");
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 0;
    assert!(bench.pass().is_empty());
    fs::write(bench.path("a.log"), "4\n").unwrap();
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 1 << 20;
    assert_eq!(bench.drain(), ["4"]);
    assert_eq!(bench.counters.lost_bytes.get(), 6);
}

#[test]
fn what_was_removed_unread_is_counted_exactly() {
    let mut bench = started();
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 0;
    for n in 1..=6 {
        bench.append("a.log", &format!("line {n}\n"));
        assert!(bench.pass().is_empty());
        bench.rename("a.log", &format!("a.log.20260101-00000{n}"));
        bench.append("a.log", "");
        assert!(bench.pass().is_empty());
        if n > 3 {
            bench.remove(&format!("a.log.20260101-00000{}", n - 3));
        }
    }
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 1 << 20;
    // The first one is held open, the two after it are gone.
    assert_eq!(bench.drain(), ["line 1", "line 4", "line 5", "line 6"]);
    assert_eq!(bench.counters.lost_bytes.get(), 14);
    assert_eq!(bench.counters.lost_files.get(), 2);
}

/// What is read behind a gap belongs to another record than what was held before it.
#[test]
fn a_part_whose_rest_is_lost_is_not_joined_with_what_comes_behind() {
    let mut bench = started();
    bench.append("a.log", "P first part, \n");
    assert_eq!(bench.drain(), Vec::<String>::new());
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 0;
    bench.append("a.log", "its rest\nP second, \n");
    assert!(bench.pass().is_empty());
    fs::write(bench.path("a.log"), "4\n").unwrap();
    bench.engine.as_mut().unwrap().settings.in_flight_bytes = 1 << 20;
    assert_eq!(bench.drain(), ["first part, ", "4"]);
    assert_eq!(bench.counters.lost_bytes.get(), 20);
}

#[test]
fn what_was_removed_during_a_stop_is_counted_as_far_as_it_was_known() {
    let mut bench = started();
    bench.append("a.log", "three\n");
    let chunks = bench.pass();
    assert_eq!(chunks.len(), 1);
    bench.store();
    bench.kill();
    bench.remove("a.log");
    bench.append("a.log", "4\n");
    bench.start();
    assert_eq!(bench.drain(), ["4"]);
    assert_eq!(bench.counters.lost_bytes.get(), 6);
}

#[test]
fn a_symbolic_link_that_leads_elsewhere_is_a_rotation() {
    let mut bench = Bench::new(|_| {});
    bench.append("real-1", "1\n");
    std::os::unix::fs::symlink(bench.path("real-1"), bench.path("a.log")).unwrap();
    bench.start();
    assert_eq!(bench.drain(), ["1"]);
    bench.append("real-1", "2\n");
    bench.append("real-2", "3\n");
    bench.remove("a.log");
    std::os::unix::fs::symlink(bench.path("real-2"), bench.path("a.log")).unwrap();
    assert_eq!(bench.drain(), ["2", "3"]);
    bench.append("real-2", "4\n");
    bench.rename("real-2", "real-2.1");
    bench.append("real-2", "5\n");
    bench.gzip("real-2.1");
    assert_eq!(bench.drain(), ["4", "5"]);
}

#[test]
fn a_file_that_is_removed_is_read_to_its_end_and_let_go() {
    let mut bench = started();
    bench.append("a.log", "3\n4");
    bench.remove("a.log");
    assert_eq!(bench.drain(), ["3", "4"]);
    let engine = bench.engine.as_ref().unwrap();
    assert!(engine.streams.is_empty() && engine.by_path.is_empty());
    bench.append("a.log", "5\n");
    bench.wait(Duration::from_mins(1));
    assert_eq!(bench.drain(), ["5"]);
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = started();
    bench.kill();
    // Written in place, it keeps its inode, as a new file in a busy folder may get an old one.
    fs::write(bench.path("a.log"), "other 3\nother 4\n").unwrap();
    bench.start();
    assert_eq!(bench.drain(), ["other 3", "other 4"]);
}

#[test]
fn what_is_not_stored_is_read_again_in_order() {
    let mut bench = started();
    bench.append("a.log", "3\n");
    let first = bench.pass();
    bench.append("a.log", "4\n");
    let second = bench.pass();
    assert_eq!((first.len(), second.len()), (1, 1));
    bench.settle(second, true);
    bench.store();
    bench.settle(first, false);
    bench.lines.clear();
    assert_eq!(bench.drain(), ["3", "4"]);
}

#[test]
fn a_position_moves_only_with_the_receipt() {
    let mut bench = started();
    bench.append("a.log", "3\n");
    let open = bench.pass();
    assert_eq!(open.len(), 1);
    bench.store();
    bench.kill();
    bench.start();
    assert_eq!(bench.drain(), ["3"]);
}

#[test]
fn no_position_moves_beyond_a_line_that_is_held_also_across_a_rotation() {
    let mut bench = started();
    bench.append("a.log", "3\nP four ");
    bench.append("a.log", "\n");
    assert_eq!(bench.drain(), ["3"]);
    bench.rename("a.log", "a.log.1");
    bench.append("a.log", "and its end\n");
    bench.kill();
    bench.start();
    assert_eq!(bench.drain(), ["four and its end"]);
    bench.kill();
    bench.start();
    assert_eq!(bench.drain(), [""; 0]);
}

#[test]
fn lines_that_are_held_too_long_are_written() {
    let mut bench = Bench::new(|settings| settings.flush_interval = Some(Duration::from_secs(5)));
    bench.append("a.log", "1\nP half\n");
    bench.start();
    assert_eq!(bench.drain(), ["1", "half"]);
}

#[test]
fn a_long_line_is_cut_or_left_out() {
    let long = "x".repeat(10_000);
    let text = format!("1\n{long}\n2\n{long}");
    let mut bench = Bench::new(|settings| settings.max_line_bytes = 5_000);
    bench.append("a.log", &text);
    bench.start();
    let kept = "x".repeat(5_000);
    assert_eq!(bench.drain(), ["1", &kept, "2", &kept]);
    bench.append("a.log", "yyy\n3\n");
    assert_eq!(bench.drain(), ["3"]);
    assert_eq!(bench.counters.oversize_lines.get(), 2);
    let mut bench = Bench::new(|settings| {
        settings.max_line_bytes = 5_000;
        settings.turn_bytes = 4_096;
        settings.oversize_action = crate::OversizeAction::Drop;
    });
    bench.append("a.log", &text);
    bench.start();
    assert_eq!(bench.drain(), ["1", "2"]);
}

#[test]
fn files_take_turns() {
    let mut bench = Bench::new(|settings| settings.read_lines_limit = 1);
    bench.append("a.log", "a1\na2\na3\n");
    bench.append("b.log", "b1\n");
    bench.start();
    assert_eq!(bench.drain(), ["a1", "b1", "a2", "a3"]);
}

#[test]
fn without_a_position_a_file_is_begun_at_its_end_and_a_later_one_at_its_head() {
    let mut bench = Bench::new(|settings| settings.read_from_head = false);
    bench.append("a.log", "old\n");
    bench.append("a.log.1", "older\n");
    bench.start();
    assert_eq!(bench.drain(), [""; 0]);
    bench.append("a.log", "1\n");
    bench.append("b.log", "2\n");
    bench.wait(Duration::from_mins(1));
    let mut lines = bench.drain();
    lines.sort_unstable();
    assert_eq!(lines, ["1", "2"]);
}

#[test]
fn positions_of_fluentd_are_taken_up() {
    use std::os::unix::fs::MetadataExt as _;
    let mut bench = Bench::new(|settings| {
        settings.pos_files = vec![settings.state_dir.with_file_name("fluentd.pos")];
    });
    bench.append("a.log", "1\n2\n3\n");
    let ino = fs::metadata(bench.path("a.log")).unwrap().ino();
    let path = bench.path("a.log");
    bench.append(
        "fluentd.pos",
        &format!("{}\t{:016x}\t{ino:016x}\n", path.display(), 4),
    );
    bench.start();
    assert_eq!(bench.drain(), ["3"]);
}

#[test]
fn a_damaged_file_with_positions_repeats_lines_and_loses_none() {
    let mut bench = started();
    bench.kill();
    let path = bench.path("state/positions.jsonl");
    let text = fs::read(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    bench.start();
    assert_eq!(bench.drain(), ["1", "2"]);
}

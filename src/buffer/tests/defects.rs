//! Every deliberate defect of the buffer is noticed by a campaign, in its short form.
//!
//! A defect is chosen for a whole process, so each campaign runs in one of its own: this very binary, with one test.

use std::{
    process::{Command, Output},
    sync::Mutex,
    thread,
};

/// Each defect, and the campaign that notices it.
const DEFECTS: [(&str, &str); 11] = [
    ("ack_before_sync", POWER),
    ("skip_dir_sync", POWER),
    ("enospc_is_success", CALLS),
    ("lose_last_frame", MODEL),
    ("leak_room", MODEL),
    ("reuse_sequence", MODEL),
    ("forget_done", MODEL),
    ("count_done_twice", MODEL),
    ("drop_segment_early", MODEL),
    ("trust_without_checksum", DAMAGE),
    ("deliver_quarantined", DAMAGE),
];

const POWER: &str = "io::a_kill_or_a_power_cut_may_come_before_any_call";
const CALLS: &str = "io::every_call_may_fail";
const MODEL: &str = "model::equals_its_model";
const DAMAGE: &str = "damage::damage_anywhere_costs_what_it_hits_and_nothing_else";

/// What keeps the campaigns short.
const SHORT: [(&str, &str); 3] = [
    ("WEIR_MODEL_STORIES", "400"),
    ("WEIR_MODEL_SHRINKS", "0"),
    ("WEIR_IO_STEP", "20"),
];

/// How long something may take that a defect keeps from coming, in seconds.
const DEADLINE_SECS: &str = "4";
/// How many run at once. Most of the time they wait.
const AT_ONCE: usize = 6;

fn run(campaign: &str, defect: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("buffer::tests::{campaign}")])
        .args(["--nocapture"])
        .envs(SHORT)
        .env_remove("WEIR_DEFECT")
        .env("RUST_BACKTRACE", "0");
    if let Some(defect) = defect {
        command.env("WEIR_DEFECT", defect);
        command.env("WEIR_DEADLINE_SECS", DEADLINE_SECS);
    }
    command.output().unwrap()
}

/// What is wrong with the answer of a campaign, if something is.
fn judge(campaign: &str, defect: Option<&str>, output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let has_run = text.contains("running 1 test");
    // A campaign that could not begin notices nothing.
    let is_right = has_run && output.status.success() == defect.is_none();
    let errors = String::from_utf8_lossy(&output.stderr);
    (!is_right).then(|| format!("{campaign} with {defect:?}: {text}\n{errors}"))
}

#[test]
fn each_is_noticed_and_nothing_else_is() {
    let sound = [POWER, CALLS, MODEL, DAMAGE].map(|campaign| (None, campaign));
    let defects = DEFECTS.map(|(defect, campaign)| (Some(defect), campaign));
    let all = Mutex::new(sound.into_iter().chain(defects));
    let wrong = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = all.lock().unwrap().next();
            let Some((defect, campaign)) = next else {
                return;
            };
            let start = std::time::Instant::now();
            let output = run(campaign, defect);
            println!("{campaign}, {defect:?}: {:?}", start.elapsed());
            wrong
                .lock()
                .unwrap()
                .extend(judge(campaign, defect, &output));
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

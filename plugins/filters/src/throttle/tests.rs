//! `throttle` with a clock that only the test moves.

use std::time::Duration;

use proptest::prelude::*;
use sdk::{metrics::Metrics, testing::Driver};
use serde_json::{Value, json};

use super::*;

fn driver(params: Value) -> (Driver, Metrics) {
    let cx = BuildCx::detached("test");
    (Driver::new(build(params, &cx).unwrap()), cx.metrics)
}

fn events(group: &str, count: usize) -> Vec<Value> {
    vec![json!({ "k": { "name": group } }); count]
}

/// How many of so many events of a group pass.
fn passed(driver: &mut Driver, group: &str, count: usize) -> usize {
    let seen = driver.feed("app", &events(group, count));
    assert_eq!(seen.passed.len() as u64 + seen.dropped, count as u64);
    assert_eq!((driver.held(), driver.unanswered()), (0, 0));
    seen.passed.len()
}

#[test]
fn a_group_has_its_limit_in_each_period() {
    let params = json!({
        "group_key": "k.name", "group_bucket_period_s": 10, "group_bucket_limit": 5, "group_reset_rate_s": -1,
    });
    let (mut driver, _) = driver(params);
    assert_eq!(passed(&mut driver, "a", 7), 5);
    assert_eq!(passed(&mut driver, "b", 3), 3);
    driver.wait(Duration::from_secs(9));
    assert_eq!(passed(&mut driver, "a", 1), 0);
    assert_eq!(passed(&mut driver, "b", 3), 2);
    driver.wait(Duration::from_secs(1));
    assert_eq!(passed(&mut driver, "a", 7), 5);
}

#[test]
fn a_group_over_its_limit_waits_until_its_rate_is_low_again() {
    let params = json!({
        "group_key": "k.name", "group_bucket_period_s": 10, "group_bucket_limit": 20, "group_reset_rate_s": 1,
    });
    let (mut driver, _) = driver(params);
    assert_eq!(passed(&mut driver, "a", 30), 20);
    for second in 1..=25 {
        driver.wait(Duration::from_secs(1));
        assert_eq!(passed(&mut driver, "a", 4), 0, "second {second}");
    }
    driver.wait(Duration::from_secs(1));
    assert_eq!(
        passed(&mut driver, "a", 1),
        0,
        "the rate is that of the second before"
    );
    driver.wait(Duration::from_secs(1));
    assert_eq!(passed(&mut driver, "a", 1), 1);
}

#[test]
fn a_rate_fills_up_again_and_allows_a_burst() {
    let params = json!({ "group_key": "k.name", "rate": 2, "burst": 5 });
    let (mut driver, _) = driver(params);
    assert_eq!(passed(&mut driver, "a", 9), 5);
    driver.wait(Duration::from_millis(1_500));
    assert_eq!(passed(&mut driver, "a", 9), 3);
    driver.wait(Duration::from_mins(1));
    assert_eq!(passed(&mut driver, "a", 9), 5);
}

#[test]
fn what_is_over_the_limit_is_counted_by_group_within_a_bound() {
    let params =
        json!({ "group_key": ["k.name", "none"], "rate": 1, "burst": 1, "max_metric_groups": 2 });
    let (mut driver, metrics) = driver(params);
    for (group, count) in [("a", 3), ("b", 2), ("c", 5), ("d", 4), ("a", 1)] {
        passed(&mut driver, group, count);
    }
    let text = metrics.encode();
    let count = |group: &str| {
        let series = format!("weir_filter_throttled_records_total{{group=\"{group}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map(|count| count.parse::<u64>().unwrap())
    };
    assert_eq!(
        (count("a,"), count("b,"), count("c,"), count("(other)")),
        (Some(3), Some(1), None, Some(7))
    );
}

#[test]
fn without_dropping_everything_passes_and_is_counted() {
    let params = json!({ "group_key": "k.name", "rate": 1, "group_drop_logs": false });
    let (mut driver, metrics) = driver(params);
    assert_eq!(passed(&mut driver, "a", 3), 3);
    assert!(metrics.encode().contains("{group=\"a\"} 2"));
}

#[test]
fn the_group_that_was_silent_longest_is_forgotten() {
    let params = json!({ "group_key": "k.name", "rate": 0.001, "max_groups": 2 });
    let (mut driver, _) = driver(params);
    for group in ["a", "b", "a", "c"] {
        passed(&mut driver, group, 1);
    }
    assert_eq!(passed(&mut driver, "a", 1), 0);
    assert_eq!(passed(&mut driver, "b", 1), 1);
}

#[test]
fn what_cannot_be_meant_is_refused_at_its_place() {
    let refused = |params: Value| -> Vec<String> {
        let errors = build(params, &BuildCx::detached("test")).err().unwrap();
        errors.into_iter().map(|error| error.path).collect()
    };
    assert_eq!(
        refused(json!({ "group_key": ["a", "b..c"] })),
        ["/group_key/1"]
    );
    assert_eq!(refused(json!({ "burst": 3 })), ["/burst"]);
    assert_eq!(refused(json!({ "rate": 0 })), ["/rate"]);
    assert_eq!(
        refused(json!({ "group_reset_rate_s": 101 })),
        ["/group_reset_rate_s"]
    );
    assert_eq!(
        refused(json!({ "group_reset_rate_s": -2 })),
        ["/group_reset_rate_s"]
    );
    assert_eq!(
        refused(json!({ "group_bucket_limit": 0 })),
        ["/group_bucket_limit"]
    );
}

proptest! {
    /// However the events come: never more than the burst and what the rate gives in the time.
    #[test]
    fn a_rate_is_never_exceeded(steps in prop::collection::vec((0_usize..20, 0_u64..2_000), 1..40)) {
        let (mut driver, _) = driver(json!({ "group_key": [], "rate": 10, "burst": 15 }));
        let (mut total, mut millis) = (0, 0);
        for (count, pause) in steps {
            total += passed(&mut driver, "a", count);
            prop_assert!(total as u64 * 1_000 <= 15_000 + 10 * millis + 1);
            driver.wait(Duration::from_millis(pause));
            millis += pause;
        }
    }
}

//! Tests of `exclude`.

use std::sync::Arc;

use super::*;
use crate::pod::{Namespace, Pod};

fn known(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Known {
    let words = |pairs: &[(&str, &str)]| {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    };
    Known {
        pod: Pod {
            labels: words(labels),
            annotations: words(annotations),
            ..Pod::default()
        },
        namespace: Some(Arc::new(Namespace::default())),
    }
}

#[test]
fn every_convention_is_heard() {
    let check = |annotation: (&str, &str), container: &str, stream: &str, expected: bool| {
        let known = known(&[], &[annotation]);
        let excluded = is_excluded(&known, container, Some(stream));
        assert_eq!(excluded, expected, "{annotation:?} {container} {stream}");
    };
    check(("logs.weir/exclude", "true"), "web", "stdout", true);
    check(("logs.weir/exclude", "false"), "web", "stdout", false);
    check(("logs.weir/exclude", "web, cron"), "cron", "stdout", true);
    check(("logs.weir/exclude", "stderr"), "web", "stdout", false);
    check(("fluentbit.io/exclude", "true"), "web", "stdout", true);
    check(
        ("fluentbit.io/exclude_stderr", "true"),
        "web",
        "stdout",
        false,
    );
    check(
        ("fluentbit.io/exclude_stdout-web", "true"),
        "web",
        "stdout",
        true,
    );
    check(
        ("fluentbit.io/exclude-web", "true"),
        "cron",
        "stdout",
        false,
    );
    check(
        ("vector.dev/exclude-containers", "a,web"),
        "web",
        "stdout",
        true,
    );
    check(("co.elastic.logs/enabled", "false"), "web", "stdout", true);
    check(
        ("co.elastic.logs.web/enabled", "true"),
        "web",
        "stdout",
        false,
    );
    check(
        ("io.opentelemetry.discovery.logs/enabled", "false"),
        "web",
        "stdout",
        true,
    );
    check(
        ("io.opentelemetry.discovery.logs.cron/enabled", "false"),
        "web",
        "stdout",
        false,
    );
}

#[test]
fn a_container_of_its_own_wins_and_labels_count() {
    let both = known(
        &[],
        &[
            ("co.elastic.logs/enabled", "false"),
            ("co.elastic.logs.web/enabled", "true"),
        ],
    );
    assert!(!is_excluded(&both, "web", None));
    assert!(is_excluded(&both, "cron", None));
    let labelled = known(&[("vector.dev/exclude", "true")], &[]);
    assert!(is_excluded(&labelled, "web", None));
}

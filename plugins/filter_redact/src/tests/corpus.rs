//! Lines as logs have them, with what each detector must find in them and what it must not.

use std::{fs, path::Path};

use super::*;
use crate::detectors::DETECTORS;

/// Below this a detector fails, for precision and for recall.
const LEAST: f64 = 0.99;

/// The text of a line without its marks, and the texts between the marks.
fn unmarked(line: &str) -> (String, Vec<&str>) {
    let (mut text, mut values, mut rest) = (String::new(), Vec::new(), line);
    while let Some((before, after)) = rest.split_once("<<") {
        let (value, behind) = after.split_once(">>").unwrap();
        // `<<<a>>>` is a value in angle brackets.
        let (open, value) = value
            .strip_prefix('<')
            .map_or(("", value), |value| ("<", value));
        text.extend([before, open, value]);
        values.push(value);
        rest = behind;
    }
    text.push_str(rest);
    (text, values)
}

fn lines(name: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let file = fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    file.lines().map(str::to_owned).collect()
}

/// What was found rightly, what wrongly, and what was missed.
#[derive(Default)]
struct Score(u32, u32, u32);

impl Score {
    fn add(&mut self, filter: &Arc<dyn Filter>, name: &str, line: &str) {
        let marked = line
            .strip_prefix("+ ")
            .or_else(|| line.strip_prefix("- "))
            .unwrap();
        let (text, values) = unmarked(marked);
        assert_eq!(line.starts_with('+'), !values.is_empty(), "{line}");
        let mark = format!("[REDACTED:{name}]");
        let mut expected = text.clone();
        for value in &values {
            // The first time it stands behind what was replaced already.
            let from = expected.rfind(&mark).map_or(0, |at| at + mark.len());
            let rest = expected.split_at(from).1;
            let at = from + rest.find(value).unwrap();
            expected.replace_range(at..at + value.len(), &mark);
        }
        let applied = apply(
            Arc::clone(filter),
            "app",
            &[json!({ "n": 1, "log": text, "z": "end" })],
        );
        let found = records(&applied.batch.events)[0]["log"]
            .as_str()
            .unwrap()
            .to_owned();
        let count = |text: &str| u32::try_from(text.matches(&mark).count()).unwrap();
        if found == expected {
            self.0 += count(&expected);
        } else {
            println!("{name}: {line}\n  gives {found}");
            self.1 += count(&found);
            self.2 += count(&expected);
        }
    }
}

#[test]
fn every_detector_finds_what_it_must_and_nothing_else() {
    let (ordinary, mut all, mut weak) = (lines("ordinary"), ordinary_count(), Vec::new());
    for detector in DETECTORS {
        let own = lines(detector.name);
        all += own.len();
        let filter = filter(json!({ "detect": detector.name, "keys": [] }));
        let mut score = Score::default();
        for line in own.iter().chain(&ordinary) {
            score.add(&filter, detector.name, line);
        }
        let Score(right, wrong, missed) = score;
        let precision = f64::from(right) / f64::from((right + wrong).max(1));
        let recall = f64::from(right) / f64::from((right + missed).max(1));
        let name = detector.name;
        println!(
            "{name:18} precision {precision:.3} recall {recall:.3} ({right} values, {} lines)",
            own.len()
        );
        if precision < LEAST || recall < LEAST {
            weak.push(name);
        }
    }
    println!("{all} lines");
    assert!(all >= 375, "{all}");
    assert_eq!(weak, [""; 0]);
}

fn ordinary_count() -> usize {
    lines("ordinary").len()
}

/// With everything on, an ordinary line stays as it is, and no marked value stays.
#[test]
fn all_detectors_together_leave_no_value_and_no_ordinary_line_changed() {
    let filter = filter(json!({ "detect": "default" }));
    for detector in DETECTORS.iter().filter(|one| one.by_default) {
        for line in lines(detector.name) {
            let (text, values) = unmarked(line.split_at(2).1);
            let applied = apply(Arc::clone(&filter), "app", &[json!({ "log": text })]);
            let found = records(&applied.batch.events)[0]["log"]
                .as_str()
                .unwrap()
                .to_owned();
            for value in values.iter().filter(|value| value.len() > 2) {
                assert!(!found.contains(value), "{}: {line}\n{found}", detector.name);
            }
        }
    }
    for line in lines("ordinary") {
        let record = json!({ "log": line.split_at(2).1 });
        let applied = apply(Arc::clone(&filter), "app", std::slice::from_ref(&record));
        assert_eq!(records(&applied.batch.events), [record]);
    }
}

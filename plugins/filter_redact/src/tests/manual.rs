//! The page names every detector and what it validates.

use crate::detectors::DETECTORS;

#[test]
fn the_page_has_every_detector_with_its_sentence() {
    let page = include_str!("../../README.md");
    for detector in DETECTORS {
        let default = if detector.by_default { "yes" } else { "no" };
        let row = format!("| `{}` | {default} | {} |", detector.name, detector.about);
        assert!(page.contains(&row), "the page has no line\n{row}");
    }
}

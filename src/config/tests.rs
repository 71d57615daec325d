//! Tests of the whole way from text to configuration, with made-up plugins.

use std::{fs, path::Path};

use proptest::prelude::*;

use super::{made_up::PLUGINS, *};

struct Nothing;

impl Surroundings for Nothing {
    fn env(&self, name: &str) -> Option<String> {
        (name == "PORT").then(|| "4".to_owned())
    }

    fn read(&self, _: &Path) -> std::io::Result<String> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[track_caller]
fn good(text: &str) -> Config {
    let loaded = load(text, PLUGINS, &Nothing);
    let report = Report::new("good.toml", text, &loaded.findings).for_people(Look::Plain);
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// Every broken configuration beside its report as an operator sees it. `CONTRIBUTING.md` says how to change one.
#[test]
fn broken_configurations_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/broken");
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../../tests/config/broken");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|suffix| suffix != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let loaded = load(&text, PLUGINS, &Process::new(&folder));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(loaded.config.is_none(), "{name} is not broken");
        let helpless: Vec<_> = loaded
            .findings
            .iter()
            .filter(|finding| finding.help.is_none())
            .collect();
        assert!(helpless.is_empty(), "{name}: {helpless:?}");
        let report = Report::new(name, &text, &loaded.findings).for_people(Look::Plain);
        let stem = path.file_stem().unwrap().to_str().unwrap();
        settings.bind(|| insta::assert_snapshot!(stem, report));
        count += 1;
    }
    assert!(count >= 30, "{count} configurations");
}

//! Every configuration that is shown to a user, in `config/` and in the manuals of the plugins, is checked and run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::harness::{
    Sender, Weir, forward, holds,
    servers::Server,
    weir::{BINARY, Home},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The configurations of `config/`.
fn samples() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("config")).expect("config/");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "toml"))
        .collect()
}

/// The configurations in the manual of each plugin: its `toml` blocks.
fn manuals() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root().join("plugins")).expect("plugins/") {
        let path = entry.expect("an entry").path().join("README.md");
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, block) in text.split("```toml\n").skip(1).enumerate() {
            let block = block.split("```").next().expect("the block ends");
            found.push((
                format!("{} example {}", path.display(), number + 1),
                block.to_owned(),
            ));
        }
    }
    found
}

/// The line with a certificate of the tests in place of the one that a manual names.
fn certificate(line: &str) -> Option<String> {
    let certs = root().join("plugins/in_forward/src/tests/certs");
    [
        ("cert_path", "server.pem"),
        ("private_key_path", "server.key"),
        ("ca_path", "authority.pem"),
    ]
    .into_iter()
    .find(|(key, _)| line.starts_with(&format!("{key} =")))
    .map(|(key, file)| format!("{key} = \"{}\"", certs.join(file).display()))
}

/// The same configuration on free ports, with the real server and short waits.
fn on_free_ports(text: &str, url: &str) -> String {
    let mut lines = Vec::new();
    let mut service = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("listen") {
            lines.push("listen = \"127.0.0.1:0\"".to_owned());
        } else if trimmed.starts_with("hosts") {
            lines.push(format!("hosts = [\"{url}\"]"));
        } else if let Some(file) = certificate(trimmed) {
            lines.push(file);
        } else if [
            "drain_delay",
            "data_dir",
            "user ",
            "password",
            "api_key",
            "ca_file",
        ]
        .iter()
        .any(|key| trimmed.starts_with(key))
        {
            // Of the machine that the example speaks of, not of this one.
        } else {
            lines.push(line.to_owned());
        }
        if trimmed.starts_with("[service]") {
            service = true;
            lines.push("drain_delay = \"0s\"".to_owned());
        }
    }
    let mut text = lines.join("\n");
    if !service {
        text = format!("[service]\ndrain_delay = \"0s\"\n{text}");
    }
    if !text.contains("[service.admin]") {
        text.push_str("\n[service.admin]\nlisten = \"127.0.0.1:0\"\n");
    }
    text
}

fn check(name: &str, path: &Path) {
    let output = Command::new(BINARY)
        .args(["check", "-c"])
        .arg(path)
        .env("ELASTICSEARCH_URL", "http://127.0.0.1:9200")
        .stdin(Stdio::null())
        .output()
        .expect("weir check");
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{name}:\n{}",
        String::from_utf8_lossy(&said)
    );
}

fn run(name: &str, text: &str) -> (Home, Weir) {
    let server = Server::elasticsearch();
    println!("{name}");
    let home = Home::new(&on_free_ports(text, &server.url));
    check(name, &home.config());
    let weir = home.spawn(&[("ELASTICSEARCH_URL", &server.url)]);
    weir.wait_ready();
    (home, weir)
}

#[test]
fn every_sample_is_checked_and_runs() {
    let samples = samples();
    assert!(samples.len() >= 3, "{samples:?}");
    for path in samples {
        let name = path.display().to_string();
        check(&name, &path);
        let (_home, weir) = run(&name, &fs::read_to_string(&path).expect("a file"));
        assert!(weir.stop().success(), "{name}");
    }
}

#[test]
fn every_manual_has_an_example_that_is_checked_and_runs() {
    let manuals = manuals();
    assert!(manuals.len() >= 8, "{} examples", manuals.len());
    for (name, text) in manuals {
        let (_home, weir) = run(&name, &text);
        assert!(weir.stop().success(), "{name}");
    }
}

/// The main job of the README, word for word but for the ports.
#[test]
fn the_quick_start_writes_day_files() {
    let text = fs::read_to_string(root().join("config/quickstart.toml")).expect("a file");
    let (home, weir) = run("config/quickstart.toml", &text);
    let source = weir.log().iter().find_map(|line| {
        line["message"]
            .as_str()?
            .starts_with("listening on")
            .then(|| line["source"].as_str().map(str::to_owned))?
    });
    let mut sender = Sender::connect(weir.listens(&source.expect("a source")));
    sender.send(&forward::packed(
        "app.hello",
        &forward::numbered(1, 3),
        Some("c"),
    ));
    sender.expect_ack("c");
    holds("three lines in the day file", 20, &3, || {
        home.records("data/logs").len()
    });
    let mut names = fs::read_dir(home.path().join("data/logs"))
        .expect("day files")
        .flatten();
    let name = names
        .next()
        .expect("one")
        .file_name()
        .into_string()
        .expect("text");
    assert!(
        name.contains("2025-11-24"),
        "the day is the day of the records: {name}"
    );
    assert!(weir.stop().success());
}

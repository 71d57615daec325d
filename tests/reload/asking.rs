//! Who may ask for a reload, and how: signals, the admin port, and a file that changes.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, thread};

use serde_json::json;

use super::kit::{SERVICE, TO_FILES, TOKEN, put, reload, taken};
use crate::harness::{
    Sender, Weir, eventually, forward, holds, http,
    weir::{BINARY, Home},
};

fn marked(value: &str) -> String {
    format!(
        "{SERVICE}[[filter]]\nid = \"mark\"\ntype = \"record_transformer\"\ntag = \"**\"\n[filter.record]\nmark = \"{value}\"\n{TO_FILES}"
    )
}

fn reloads(weir: &Weir, result: &str) -> f64 {
    let label = format!("result=\"{result}\"");
    weir.metrics().sum("weir_config_reloads_total", &[&label])
}

#[test]
fn signals_ask_for_it() {
    let home = Home::new(&marked("0"));
    let weir = home.start();
    for (number, signal) in (1_u32..).zip(["HUP", "USR2", "HUP"]) {
        put(&home, &marked(&number.to_string()));
        weir.signal(signal);
        holds("it was read again", 20, &f64::from(number), || {
            reloads(&weir, "success")
        });
    }
    put(&home, "nonsense = ");
    weir.signal("HUP");
    holds("it was refused", 20, &1.0, || reloads(&weir, "failure"));
    assert!(weir.stop().success());
}

#[test]
fn a_request_needs_the_token() {
    let home = Home::new(&marked("0"));
    let weir = home.start();
    let url = format!("http://{}/api/config/reload", weir.admin());
    for wrong in [None, Some(""), Some("open sesam"), Some("open sesame!")] {
        let (status, answer) = http::post(&url, wrong);
        assert_eq!(status, 401, "{answer}");
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|text| text.contains("Authorization: Bearer"))
        );
    }
    assert_eq!(http::get(&url).0, 405, "looking changes nothing");
    assert_eq!(reloads(&weir, "success"), 0.0);
    // A reload may change the token; the next request needs the new one.
    put(&home, &marked("0").replace(TOKEN, "another"));
    taken(&weir);
    assert_eq!(reload(&weir).0, 401);
    assert_eq!(http::post(&url, Some("another")).0, 200);
    assert!(
        !weir.log_text().contains("another"),
        "a secret is in the log"
    );
    assert!(weir.stop().success());

    let home = Home::new(&marked("0").replace(&format!("token = \"{TOKEN}\""), ""));
    let weir = home.start();
    let (status, answer) = reload(&weir);
    assert_eq!(status, 403);
    assert!(
        answer["message"]
            .as_str()
            .is_some_and(|text| text.contains("[service.admin] token"))
    );
    assert!(weir.stop().success());
}

#[test]
fn the_paths_of_fluentd_are_there_where_they_are_asked_for() {
    let home = Home::new(&marked("0"));
    let weir = home.start();
    let paths = ["/api/config.reload", "/api/config.gracefulReload"];
    let ask = |weir: &Weir, path: &str, token| {
        http::post(&format!("http://{}{path}", weir.admin()), token)
    };
    for path in paths {
        assert_eq!(ask(&weir, path, Some(TOKEN)).0, 404);
    }
    assert!(weir.stop().success());
    let text = marked("0").replace("[service.admin]", "[service.admin]\ncompat = [\"fluentd\"]");
    let home = Home::new(&text);
    let weir = home.start();
    for path in paths {
        assert_eq!(ask(&weir, path, None).0, 401);
        let (status, answer) = ask(&weir, path, Some(TOKEN));
        assert_eq!((status, &answer["ok"]), (200, &json!(true)));
    }
    assert_eq!(reloads(&weir, "success"), 2.0);
    assert!(weir.stop().success());
}

#[test]
fn a_second_request_during_a_reload_is_told_so() {
    let home = Home::new(&marked("0"));
    let weir = home.start();
    let mut sender = Sender::connect(weir.listens("in"));
    let message = forward::packed("a", &forward::numbered(0, 100), Some("c"));
    // Half a message: a source that changes waits a moment for the rest.
    sender.send(&message[..message.len() / 2]);
    holds("it is being read", 20, &1.0, || {
        weir.metrics().sum("weir_forward_connections", &[])
    });
    put(
        &home,
        &marked("0").replace("id = \"in\"", "id = \"in\"\ntag = \"x\""),
    );
    thread::scope(|scope| {
        let first = scope.spawn(|| taken(&weir));
        eventually("the first is under way", 20, || {
            let log = weir.log();
            log.iter().any(|line| line["reload"] == 1).then_some(())
        });
        let (status, answer) = reload(&weir);
        assert_eq!((status, &answer["reload"]), (409, &json!(1)));
        // One that was asked for by signal meanwhile comes behind it.
        weir.signal("HUP");
        assert_eq!(
            first.join().expect("it was taken")["changed"],
            json!(["in"])
        );
    });
    holds("both were carried out", 20, &2.0, || {
        reloads(&weir, "success")
    });
    assert_eq!(reload(&weir).0, 200);
    assert!(weir.stop().success());
}

/// A folder as the kubelet makes it: files behind a link that is turned to another version.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn turn(&self, version: &str, config: &str, secret: &str) {
        let folder = self.0.join(version);
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("weir.toml"), config).expect("a file");
        fs::write(folder.join("secret"), secret).expect("a file");
        let link = self.0.join("..data_tmp");
        symlink(version, &link).expect("a link");
        fs::rename(link, self.0.join("..data")).expect("the same folder");
    }
}

#[test]
fn a_file_behind_a_turned_link_is_read_when_its_content_changes() {
    let home = Home::new("");
    let mounted = Mounted(home.path());
    let config = marked("${file:secret}");
    mounted.turn("..v1", &config, "one");
    for name in ["weir.toml", "secret"] {
        let path = home.path().join(name);
        drop(fs::remove_file(&path));
        symlink(format!("..data/{name}"), path).expect("a link");
    }
    let mut command = Command::new(BINARY);
    command.args(["run", "--watch", "-c"]).arg(home.config());
    let weir = Weir::spawn(command, home.path());
    weir.wait_ready();
    let mut sender = Sender::connect(weir.listens("in"));
    let mut expect = |n: u64, mark: &str| {
        let chunk = format!("c{n}");
        sender.send(&forward::packed(
            "a",
            &forward::numbered(n, 1),
            Some(&chunk),
        ));
        sender.expect_ack(&chunk);
        holds("it is marked", 20, &Some(json!(mark)), || {
            let records = home.records("out");
            let record = records.iter().find(|record| record["n"] == n);
            record.map(|record| record["mark"].clone())
        });
    };
    expect(1, "one");
    // What the configuration names is watched, too.
    mounted.turn("..v2", &config, "two");
    holds("it was read again", 20, &1.0, || reloads(&weir, "success"));
    expect(2, "two");
    let plain = marked("three");
    mounted.turn("..v3", &plain, "two");
    holds("it was read again", 20, &2.0, || reloads(&weir, "success"));
    expect(3, "three");
    mounted.turn("..v4", "[[source]]\ntype = \"forwrd\"\n", "two");
    holds("it was tried", 20, &1.0, || reloads(&weir, "failure"));
    expect(4, "three");
    // The same content in new files is no change; the next change is noticed all the same.
    mounted.turn("..v5", &plain, "two");
    holds("it was read again", 20, &3.0, || reloads(&weir, "success"));
    mounted.turn("..v6", &plain, "other");
    mounted.turn("..v7", &marked("four"), "other");
    holds("it was read again", 20, &4.0, || reloads(&weir, "success"));
    expect(5, "four");
    assert_eq!(reloads(&weir, "failure"), 1.0);
    assert!(weir.stop().success());
}

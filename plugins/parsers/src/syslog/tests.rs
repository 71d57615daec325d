//! `syslog` on messages as they occur.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::testing::{check, parse, parser, refused, try_parser};

fn old(pri: bool) -> Value {
    json!({ "type": "syslog", "with_priority": pri, "utc": true })
}

fn new() -> Value {
    json!({ "type": "syslog", "with_priority": true, "message_format": "rfc5424" })
}

fn auto() -> Value {
    json!({ "type": "syslog", "with_priority": true, "message_format": "auto", "utc": true })
}

#[test]
fn rfc_3164_is_read() {
    check(
        old(false),
        "Feb 28 12:00:00 192.168.0.1 fluentd[11111]: [error] Syslog test",
        "2025-02-28T12:00:00Z",
        json!({ "host": "192.168.0.1", "ident": "fluentd", "pid": "11111", "message": "[error] Syslog test" }),
    );
    check(
        old(true),
        "<34>Jan 10 11:59:59 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
        "2026-01-10T11:59:59Z",
        json!({ "pri": 34, "host": "mymachine", "ident": "su", "message": "'su root' failed for lonvick on /dev/pts/8" }),
    );
    check(
        old(true),
        "<13>Jan  9 01:02:03.456 host postfix/smtpd[2049]:   two blanks more",
        "2026-01-09T01:02:03.456Z",
        json!({ "pri": 13, "host": "host", "ident": "postfix/smtpd", "pid": "2049", "message": "  two blanks more" }),
    );
    check(
        old(true),
        "<13>2026-01-09T01:02:03.456789+09:00 host systemd[1]: Started.\n",
        "2026-01-08T16:02:03.456789Z",
        json!({ "pri": 13, "host": "host", "ident": "systemd", "pid": "1", "message": "Started." }),
    );
    check(
        old(false),
        "Jan  1 00:00:00 host kernel without a colon: here",
        "2026-01-01T00:00:00Z",
        json!({ "host": "host", "ident": "kernel", "message": "without a colon: here" }),
    );
    check(
        json!({ "type": "syslog", "support_colonless_ident": false, "timezone": "+01:00" }),
        "Jan  1 00:00:00 host kernel without a colon: here",
        "2025-12-31T23:00:00Z",
        json!({ "host": "host", "message": "kernel without a colon: here" }),
    );
    check(
        json!({ "type": "syslog", "time_format": "%Y/%m/%d %H:%M:%S %z", "keep_time_key": true, "types": "pid:integer" }),
        "2026/01/02 03:04:05 +0900 host app[7]:",
        "2026-01-01T18:04:05Z",
        json!({ "host": "host", "ident": "app", "pid": 7, "message": "", "time": "2026/01/02 03:04:05 +0900" }),
    );
    check(
        old(false),
        "<34>Jan 10 11:59:59 host app: the priority is stepped over",
        "2026-01-10T11:59:59Z",
        json!({ "host": "host", "ident": "app", "message": "the priority is stepped over" }),
    );
    check(
        old(false),
        "Jan 10 11:59:59 host [no ident",
        "2026-01-10T11:59:59Z",
        json!({ "host": "host", "message": "[no ident" }),
    );
}

#[test]
fn rfc_5424_is_read() {
    check(
        new(),
        "<16>1 2017-02-06T13:14:15.003Z 192.168.0.1 fluentd - - - Hi, from Fluentd!",
        "2017-02-06T13:14:15.003Z",
        json!({ "pri": 16, "host": "192.168.0.1", "ident": "fluentd", "pid": "-", "msgid": "-", "extradata": "-", "message": "Hi, from Fluentd!" }),
    );
    check(
        new(),
        r#"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 [exampleSDID@32473 iut="3" eventSource="App\]lication" eventID="1011"][b@1 c="d]e"] BOMAn event"#,
        "2003-10-11T22:14:15.003Z",
        json!({
            "pri": 165, "host": "mymachine.example.com", "ident": "evntslog", "pid": "-", "msgid": "ID47",
            "extradata": r#"[exampleSDID@32473 iut="3" eventSource="App\]lication" eventID="1011"][b@1 c="d]e"]"#,
            "message": "BOMAn event",
        }),
    );
    check(
        new(),
        "<34>1 2003-10-11T22:14:15+09:00 h su 77 - - \u{feff}two\nlines",
        "2003-10-11T13:14:15Z",
        json!({ "pri": 34, "host": "h", "ident": "su", "pid": "77", "msgid": "-", "extradata": "-", "message": "two\nlines" }),
    );
    check(
        new(),
        "<34>1 - h su - - -",
        "",
        json!({ "pri": 34, "host": "h", "ident": "su", "pid": "-", "msgid": "-", "extradata": "-" }),
    );
    check(
        json!({ "type": "syslog", "message_format": "rfc5424", "keep_time_key": true }),
        "2003-10-11T22:14:15.5Z h su 1 id - text",
        "2003-10-11T22:14:15.5Z",
        json!({ "host": "h", "ident": "su", "pid": "1", "msgid": "id", "extradata": "-", "message": "text", "time": "2003-10-11T22:14:15.5Z" }),
    );
    assert!(
        refused(new(), "<34>1 2003-10-11T22:14:15Z h su - - [open text")
            .contains("structured data")
    );
    assert!(refused(new(), "<34>1 2003-10-11T22:14:15Z h su - - [a]x").contains("follows"));
    assert!(refused(new(), "<34>1 yesterday h su - - - x").contains("rfc5424_time_format"));
    assert!(refused(new(), "<34>1 2003-10-11T22:14:15Z h").contains("ends before"));
}

#[test]
fn auto_looks_at_each_message() {
    check(
        auto(),
        "<34>Jan 10 11:59:59 h su: old",
        "2026-01-10T11:59:59Z",
        json!({ "pri": 34, "host": "h", "ident": "su", "message": "old" }),
    );
    check(
        auto(),
        "<34>1 2026-01-10T11:59:59Z h su - - - new",
        "2026-01-10T11:59:59Z",
        json!({ "pri": 34, "host": "h", "ident": "su", "pid": "-", "msgid": "-", "extradata": "-", "message": "new" }),
    );
}

#[test]
fn other_texts_are_refused() {
    assert!(refused(old(true), "Jan 10 11:59:59 h su: x").contains("priority"));
    assert!(refused(old(true), "<x>Jan 10 11:59:59 h su: x").contains("priority"));
    assert!(refused(old(true), "<34>Jan 10 11:59:59").contains("before its host"));
    assert!(refused(old(false), "Foo 10 11:59:59 h su: x").contains("time_format"));
    let errors = try_parser(json!({ "type": "syslog", "rfc5424_time_format": "%K" }))
        .err()
        .unwrap();
    assert_eq!(errors[0].path, "/rfc5424_time_format");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(head in "(<[0-9]{0,4}>)?(1 )?[A-Z0-9a-z :\\[\\]\"\\\\-]{0,40}", tail in prop::collection::vec(any::<u8>(), 0..40)) {
        let text = [head.as_bytes(), &tail].concat();
        for table in [old(true), old(false), new(), auto()] {
            let _any = parse(&*parser(table), &text);
        }
    }
}

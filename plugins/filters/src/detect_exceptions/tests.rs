//! Stack traces as each language writes them, between lines that belong to nobody.

use std::time::Duration;

use proptest::prelude::*;
use sdk::testing::{Driver, Seen};
use serde_json::{Value, json};

use super::*;

fn driver(params: Value) -> Driver {
    Driver::new(build(params, &BuildCx::detached("test")).unwrap())
}

fn records(lines: &[&str]) -> Vec<Value> {
    lines.iter().map(|line| json!({ "log": line })).collect()
}

fn texts(seen: &Seen) -> Vec<String> {
    let text = |record: Value| record["log"].as_str().unwrap().to_owned();
    seen.records().into_iter().map(text).collect()
}

/// The trace is one event, alone, for its language and for all of them, with and without line feeds.
#[track_caller]
fn check(language: &str, trace: &str) {
    for languages in [language, "all"] {
        for end in ["", "\n", "\r\n"] {
            let mut lines = vec!["INFO before\n".to_owned()];
            lines.extend(trace.lines().map(|line| format!("{line}{end}")));
            lines.push("INFO behind\n".to_owned());
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mut driver = driver(json!({ "languages": languages }));
            let seen = driver.feed("app", &records(&lines));
            let between = if end.is_empty() { "\n" } else { "" };
            let joined = lines[1..lines.len() - 1].join(between);
            let expected = [lines[0], joined.as_str(), lines[lines.len() - 1]];
            assert_eq!(texts(&seen), expected, "{languages}, ends {end:?}");
            assert_eq!((driver.held(), driver.unanswered()), (0, 0));
        }
    }
}

#[test]
fn traces_of_the_jvm_are_joined() {
    check(
        "java",
        "\
Exception in thread \"main\" java.lang.IllegalStateException: order 17 has no customer
\tat com.example.shop.OrderService.load(OrderService.java:82)
\tat com.example.shop.OrderController.lambda$show$0(OrderController.java:31)
\tat java.base/java.lang.Thread.run(Thread.java:833)
\tSuppressed: java.io.IOException: Stream closed
\t\tat java.base/java.io.BufferedInputStream.getBufIfOpen(BufferedInputStream.java:168)
\t\t... 3 more
Caused by: org.postgresql.util.PSQLException: Connection to localhost:5432 refused.
\tat org.postgresql.core.v3.ConnectionFactoryImpl.openConnectionImpl(ConnectionFactoryImpl.java:319)
\t... 23 common frames omitted
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 31 more",
    );
    check(
        "java",
        "\
javax.servlet.ServletException: Something bad happened
    at com.example.myproject.OpenSessionInViewFilter.doFilter(OpenSessionInViewFilter.java:60)
    at org.mortbay.jetty.servlet.ServletHandler$CachedChain.doFilter(ServletHandler.java:1157)
Caused by: com.example.myproject.MyProjectServletException
    at com.example.myproject.MyServlet.doPost(MyServlet.java:169)
    ... 27 more",
    );
    check(
        "java",
        "\
java.rmi.ServerException: RemoteException occurred in server thread; nested exception is:\x20
\tjava.rmi.UnmarshalException: error unmarshalling arguments; nested exception is:\x20
\tjava.lang.ClassNotFoundException: com.example.Thing
\tat sun.rmi.server.UnicastServerRef.dispatch(UnicastServerRef.java:336)",
    );
}

#[test]
fn traces_of_javascript_are_joined() {
    check(
        "js",
        "\
TypeError: Cannot read properties of undefined (reading 'id')
    at getUser (/srv/app/users.js:12:17)
    at async /srv/app/routes.js:44:20
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)",
    );
    check(
        "javascript",
        "\
Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'left-pad'
    at new NodeError (node:internal/errors:405:5)
    at eval (eval at foo (bar.js:1:1), <anonymous>:1:1) {
  code: 'ERR_MODULE_NOT_FOUND',
  [cause]: Error: connect ECONNREFUSED 127.0.0.1:5432
      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
}",
    );
}

#[test]
fn traces_of_dotnet_are_joined() {
    check(
        "csharp",
        "\
Unhandled exception. System.InvalidOperationException: Order failed
 ---> System.AggregateException: One or more errors occurred.
 ---> System.Net.Http.HttpRequestException: Connection refused (localhost:5000)
   at System.Net.Http.HttpConnectionPool.ConnectAsync(HttpRequestMessage request)
   --- End of inner exception stack trace ---
   at Shop.Client.Get(String url) in /src/Client.cs:line 41
--- End of stack trace from previous location ---
   at Shop.Program.Main(String[] args) in /src/Program.cs:line 12",
    );
}

#[test]
fn traces_of_python_are_joined() {
    check(
        "python",
        "\
Traceback (most recent call last):
  File \"/srv/app/main.py\", line 20, in <module>
    run(order)
    ~~~^^^^^^^
  File \"<frozen importlib._bootstrap>\", line 1007, in _find_and_load
  File \"/srv/app/shop.py\", line 7, in run
    return {
        \"total\": order.total(),
    }
  [Previous line repeated 996 more times]
RecursionError: maximum recursion depth exceeded",
    );
    check(
        "python",
        "\
Traceback (most recent call last):
  File \"/srv/app/db.py\", line 3, in connect
    sock.connect(address)
ConnectionRefusedError: [Errno 111] Connection refused

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/srv/app/main.py\", line 9, in <module>
    connect()
app.errors.StartupError",
    );
    check(
        "py",
        "\
  + Exception Group Traceback (most recent call last):
  |   File \"/srv/app/main.py\", line 3, in <module>
  |     raise ExceptionGroup(\"two\", [ValueError(1), TypeError(2)])
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: 2
    +------------------------------------",
    );
}

#[test]
fn traces_of_php_are_joined() {
    check(
        "php",
        "\
PHP Fatal error:  Uncaught Exception: no such order in /srv/app/Order.php:17
Stack trace:
#0 /srv/app/index.php(5): Order->load(17)
#1 {main}

Next RuntimeException: request failed in /srv/app/index.php:9
Stack trace:
#0 {main}
  thrown in /srv/app/index.php on line 9",
    );
    check(
        "php",
        "\
[2026-01-02 03:04:05] production.ERROR: no such order {\"exception\":\"[object] (App\\\\NoOrder(code: 0): no such order at /srv/app/Order.php:17)
[stacktrace]
#0 /srv/vendor/laravel/framework/src/Illuminate/Routing/Controller.php(54): App\\\\Http\\\\OrderController->show()
#1 {main}
\"}",
    );
}

#[test]
fn traces_of_go_are_joined() {
    check(
        "go",
        "\
panic: runtime error: invalid memory address or nil pointer dereference [recovered]
\tpanic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x18 pc=0x49d3a5]

goroutine 18 [running]:
panic({0x4a1f20, 0x55a0c0})
\t/usr/local/go/src/runtime/panic.go:884 +0x213
github.com/example/shop/orders.(*Store).Load(0x0, {0xc0000b6000, 0x5})
\t/src/orders/store.go:41 +0x25
main.main.func1[...](...)
\t/src/main.go:12
created by main.main in goroutine 1
\t/src/main.go:11 +0x85

goroutine 1 [chan receive, 2 minutes]:
main.main()
\t/src/main.go:20 +0x9b",
    );
    check(
        "go",
        "\
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [chan receive]:
main.main()
\t/src/main.go:5 +0x3a",
    );
    check(
        "go",
        "\
2026/01/02 03:04:05 http: panic serving 127.0.0.1:41234: boom
goroutine 35 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1850 +0xbf",
    );
}

#[test]
fn traces_of_ruby_are_joined() {
    check(
        "ruby",
        "\
app.rb:3:in `divide': divided by 0 (ZeroDivisionError)
\tfrom app.rb:3:in `/'
\tfrom app.rb:7:in `<main>'",
    );
    check(
        "rb",
        "\
[0f2c] ActionController::RoutingError (No route matches [GET] \"/favicon.ico\"):
\x20\x20
actionpack (7.0.4) lib/action_dispatch/middleware/debug_exceptions.rb:28:in `call'
  app/middleware/trace.rb:12:in 'Trace#call'",
    );
    check(
        "ruby",
        "\
Traceback (most recent call last):
\t2: from app.rb:7:in `<main>'
\t1: from app.rb:3:in `divide'
app.rb:3:in `/': divided by 0 (ZeroDivisionError)",
    );
}

#[test]
fn panics_and_errors_of_rust_are_joined() {
    check(
        "rust",
        "\
thread 'main' panicked at src/main.rs:4:5:
assertion `left == right` failed
  left: 1
 right: 2
stack backtrace:
   0: rust_begin_unwind
             at /rustc/9fc6b4312/library/std/src/panicking.rs:665:5
   1: shop::main
             at ./src/main.rs:4:5
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.",
    );
    check(
        "rust",
        "\
thread 'tokio-runtime-worker' panicked at 'index out of bounds: the len is 0', src/lib.rs:9:13
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    );
    check(
        "rust",
        "\
Error: failed to read the configuration

Caused by:
    0: cannot open /etc/shop.toml
    1: No such file or directory (os error 2)

Stack backtrace:
   0: anyhow::error::<impl anyhow::Error>::msg
             at /src/anyhow/src/backtrace.rs:27:14",
    );
}

#[test]
fn traces_of_dart_are_joined() {
    check(
        "dart",
        "\
Unhandled exception:
NoSuchMethodError: The method 'length' was called on null.
Receiver: null
Tried calling: length
#0      Object.noSuchMethod (dart:core-patch/object_patch.dart:51:5)
#1      main (file:///srv/app/bin/main.dart:4:9)
<asynchronous suspension>
#2      _delayEntrypointInvocation.<anonymous closure> (dart:isolate-patch/isolate_patch.dart:283:19)",
    );
    check(
        "dart",
        "\
[ERROR:flutter/lib/ui/ui_dart_state.cc(209)] Unhandled Exception: Bad state: No element
#0      ListMixin.first (dart:collection/list.dart:120:5)
#1      main (package:shop/main.dart:7:3)",
    );
}

#[test]
fn a_language_that_was_not_asked_for_is_left_alone() {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"a.py\", line 1, in <module>",
        "    x",
        "NameError: name 'x' is not defined",
    ];
    let mut driver = driver(json!({ "languages": ["go", "php"] }));
    assert_eq!(texts(&driver.feed("app", &records(&lines))), lines);
}

#[test]
fn two_traces_in_a_row_are_two_events() {
    let lines = [
        "AError: x",
        "\tat a.b(C.java:1)",
        "BError: y",
        "\tat d.e(F.java:2)",
    ];
    let mut driver = driver(json!({ "languages": "java" }));
    let first = texts(&driver.feed("app", &records(&lines)));
    assert_eq!(first, ["AError: x\n\tat a.b(C.java:1)"]);
    assert_eq!(driver.unanswered(), 1);
    let rest = texts(&driver.wait(Duration::from_secs(1)));
    assert_eq!(rest, ["BError: y\n\tat d.e(F.java:2)"]);
    assert_eq!(driver.unanswered(), 0);
}

#[test]
fn streams_and_tags_are_told_apart_and_the_prefix_is_removed() {
    let params = json!({ "stream": "s", "message": "m", "remove_tag_prefix": "raw" });
    let mut driver = driver(params);
    let line = |stream: &str, text: &str| json!({ "s": stream, "m": text });
    let lines = [
        line("out", "AError: x"),
        line("err", "BError: y"),
        line("out", "  at a"),
        line("err", "  at b"),
        line("err", "done"),
    ];
    let seen = driver.feed("raw.app", &lines);
    let expected = [line("err", "BError: y\n  at b"), line("err", "done")];
    assert_eq!(seen.records(), expected);
    assert!(seen.passed.iter().all(|(tag, _)| tag == "app"));
    let other = driver.feed("rawer.app", &[line("out", "  at c")]);
    assert_eq!(
        other.passed,
        [("rawer.app".to_owned(), line("out", "  at c"))]
    );
    let rest = driver.finish();
    assert_eq!(
        rest.passed,
        [("app".to_owned(), line("out", "AError: x\n  at a"))]
    );
}

#[test]
fn the_field_is_found_and_an_event_without_it_ends_the_trace() {
    let mut driver = driver(json!({}));
    let lines = [
        json!({ "message": "AError: x", "n": 1 }),
        json!({ "message": "  at a", "n": 2 }),
        json!({ "n": 3 }),
        json!({ "message": "  at b" }),
        json!({ "message": "AError: y" }),
        json!({ "log": "  at c" }),
    ];
    let seen = driver.feed("app", &lines);
    let expected = [
        json!({ "message": "AError: x\n  at a", "n": 1 }),
        lines[2].clone(),
        lines[3].clone(),
        lines[4].clone(),
        lines[5].clone(),
    ];
    assert_eq!(seen.records(), expected);
}

#[test]
fn a_trace_beyond_a_limit_goes_on_in_a_second_event() {
    let lines = ["AError: x", " at a", " at b", " at c", " at d", "done"];
    let mut driver = driver(json!({ "max_lines": 3, "languages": "java" }));
    let seen = texts(&driver.feed("app", &records(&lines)));
    assert_eq!(seen, ["AError: x\n at a\n at b", " at c\n at d", "done"]);
}

#[test]
fn every_rule_is_an_expression_and_every_state_can_be_reached() {
    Machine::new(&[Language::All]).unwrap();
    let rules: Vec<_> = Language::rules(&[Language::All]).collect();
    for rule in &rules {
        for from in rule.from {
            let reached = rules.iter().any(|other| other.to == *from);
            assert!(reached || *from == rules::START, "{from}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Lines of all sorts of traces, shuffled: each comes out once, in order, within the limits.
    #[test]
    fn no_line_is_lost_or_invented(
        picks in prop::collection::vec((0_usize..LINES.len(), 0_usize..2), 0..40),
        max_lines in 1_usize..6,
        max_streams in 1_usize..3,
    ) {
        let params = json!({ "stream": "s", "max_lines": max_lines, "max_streams": max_streams, "join_separator": "\n" });
        let mut driver = driver(params);
        let (mut sent, mut got) = (vec![Vec::new(); 2], vec![Vec::new(); 2]);
        let mut note = |seen: Seen| {
            for record in seen.records() {
                let lines = record["log"].as_str().unwrap().split('\n').map(str::to_owned);
                let lines: Vec<_> = lines.collect();
                assert!(lines.len() <= max_lines);
                let stream = usize::try_from(record["s"].as_u64().unwrap()).unwrap();
                got[stream].extend(lines);
            }
        };
        for (line, stream) in picks {
            sent[stream].push(LINES[line].to_owned());
            note(driver.feed("app", &[json!({ "s": stream, "log": LINES[line] })]));
        }
        note(driver.finish());
        prop_assert_eq!(got, sent);
        prop_assert_eq!((driver.held(), driver.unanswered()), (0, 0));
    }
}

const LINES: [&str; 16] = [
    "AError: x",
    "  at a (b.js:1:1) {",
    "  code: 1",
    "}",
    "Caused by: b",
    "",
    "Traceback (most recent call last):",
    "  File \"a\", line 1",
    "ValueError: 1",
    "panic: x",
    "goroutine 1 [running]:",
    "main.main()",
    "PHP Warning:  x",
    "Stack trace:",
    "#0 {main}",
    "  thrown in x",
];

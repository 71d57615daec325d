//! How the stack traces of each language look: from which line to which.
//!
//! A line is matched without its end. States are shared where two languages begin a trace alike.

use schemars::JsonSchema;
use serde::Deserialize;

/// Outside any trace.
pub(super) const START: &str = "start";
/// The line is the last one of its trace.
pub(super) const END: &str = "end";

/// From these states, a line like this leads to that state.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) from: &'static [&'static str],
    pub(super) pattern: &'static str,
    pub(super) to: &'static str,
}

/// A language, or a family whose traces look alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Every language
    All,
    /// Every language
    Any,
    /// Java, Kotlin, Scala and others of the JVM
    Java,
    /// JavaScript
    Js,
    /// JavaScript
    Javascript,
    /// C# and others of .NET
    Csharp,
    /// Python
    Python,
    /// Python
    Py,
    /// PHP
    Php,
    /// Go
    Go,
    /// Ruby
    Ruby,
    /// Ruby
    Rb,
    /// Rust
    Rust,
    /// Dart
    Dart,
}

impl Language {
    /// The rules of these languages, in the order in which they are tried.
    pub(super) fn rules(languages: &[Self]) -> impl Iterator<Item = &'static Rule> {
        let wanted = move |members: &[Self]| {
            languages.iter().any(|language| {
                matches!(language, Self::All | Self::Any) || members.contains(language)
            })
        };
        let jvm_like = &[Self::Java, Self::Js, Self::Javascript, Self::Csharp][..];
        let (python, rust) = (&[Self::Python, Self::Py][..], &[Self::Rust][..]);
        let javascript = &[Self::Js, Self::Javascript][..];
        // What is peculiar comes first: almost any language writes `Error:`, as those of the JVM do.
        let families: [(&[Self], &'static [Rule]); 10] = [
            (javascript, JAVASCRIPT),
            (python, PYTHON),
            (&[Self::Php], PHP),
            (&[Self::Go], GO),
            (&[Self::Ruby, Self::Rb], RUBY),
            (rust, RUST_PANIC),
            (&[Self::Csharp], CSHARP),
            (jvm_like, JAVA),
            (rust, RUST_ERROR),
            (&[Self::Dart], DART),
        ];
        let chosen: Vec<&'static [Rule]> = families
            .into_iter()
            .filter(|(members, _)| wanted(members))
            .map(|(_, rules)| rules)
            .collect();
        chosen.into_iter().flatten()
    }
}

macro_rules! rules {
    ($($name:ident: $([$($from:literal),+] $pattern:literal => $to:literal;)+)+) => {
        $(static $name: &[Rule] = &[
            $(Rule { from: &[$($from),+], pattern: $pattern, to: $to },)+
        ];)+
    };
}

rules! {
    JAVASCRIPT:
    ["thrown", "frames"] r"^\s+at .* \{$" => "properties";
    ["properties"] r"^\s" => "properties";
    ["properties"] r"^\}" => "frames";

    JAVA:
    ["start", "nested"] r"(?:Exception|Error|Throwable):.* nested exception is:\s*$" => "nested";
    ["start", "nested"] r"(?:Exception|Error|Throwable|V8 errors stack trace)(?: \[\w+\])?(?::|\s*$)" => "thrown";
    ["thrown"] r"^\s*nested exception is:\s*$" => "nested";
    ["thrown"] r"^\s*$" => "thrown";
    ["thrown", "frames"] r"^\s+(?:eval )?at " => "frames";
    ["thrown", "frames"] r"^\s*(?:Caused by|Suppressed|Wrapped by): ?\S" => "thrown";
    ["thrown", "frames"] r"^\s*\.\.\. \d+ (?:more|common frames omitted)" => "frames";
    ["thrown", "frames"] r"^\s*\[CIRCULAR REFERENCE:" => "frames";

    CSHARP:
    ["thrown", "frames"] r"^\s*---> " => "thrown";
    ["thrown", "frames"] r"^\s*--- End of " => "frames";

    PYTHON:
    ["start", "traceback_follows"] r"^\s*Traceback \(most recent call last\):$" => "traceback";
    ["traceback", "code"] r"^\s+File " => "code";
    ["code"] r"^\s+\S" => "traceback";
    ["traceback"] r"^\s{4,}\S" => "traceback";
    ["traceback"] r"^\s+\[Previous line repeated " => "traceback";
    ["traceback", "code"] r"^(?:[^\s.():]+\.)*[^\s.():]+:" => "raised";
    ["traceback", "code"] r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit|Warning|Iteration|Group)$" => "raised";
    ["raised"] r"^\s*$" => "gap";
    ["gap", "raised"] r"^(?:During handling of the above exception|The above exception was the direct cause)" => "traceback_follows";
    ["traceback_follows"] r"^\s*$" => "traceback_follows";
    ["start"] r"^\s*\+ Exception Group Traceback \(most recent call last\):$" => "exception_group";
    ["exception_group"] r"^\s*[|+]" => "exception_group";

    PHP:
    ["start"] r"PHP (?:Notice|Parse error|Fatal error|Warning|Deprecated):|(?:^|\] )Fatal error: " => "php";
    ["start"] r"exception '[^']+' with message '" => "php";
    ["start"] r"\(code: \S+\): .* at .*:\d+\)$" => "php";
    ["php"] r"^(?:Stack trace:|\[stacktrace\])$" => "php_frames";
    ["php"] r"^PHP Stack trace:" => "php_numbered";
    ["php_numbered"] r"^PHP\s+\d+\. " => "php_numbered";
    ["php_frames"] r"^#\d" => "php_frames";
    ["php_frames"] r"^\s*$" => "php_gap";
    ["php_frames", "php_gap"] r"^Next " => "php";
    ["php_frames"] r#"^(?:\s+thrown in |"\})"# => "end";

    GO:
    ["start"] r"\bpanic: |^fatal error: |\bpanic serving " => "panic";
    ["panic"] r"^\[signal " => "panic";
    ["panic"] r"^\s+panic: |^\[recovered" => "panic";
    ["panic", "go_frames"] r"^$" => "goroutine";
    ["panic", "goroutine", "go_frames"] r"^goroutine \d+ .*\[[^\]]+\]:$|^runtime stack:$" => "go_frames";
    ["go_frames"] r"^\.\.\..*frames elided" => "go_frames";
    ["go_frames"] r"^\S+\(.*\)$|^created by " => "go_place";
    ["go_place"] r"^\s+\S" => "go_frames";

    RUBY:
    ["start"] r"^(?:.*\s)?(?:[A-Z]\w*::)*[A-Z]\w* \(.*\):$" => "rails";
    ["rails"] r"^\s*$" => "rails_frames";
    ["rails", "rails_frames"] r"^\s*\S.*\.(?:rb|ru|erb|haml|slim|rake|jbuilder):\d+(?::in [`'].*)?$" => "rails_frames";
    ["rails_frames"] r"^Caused by:" => "rails_frames";
    ["start"] r":\d+:in [`'][^']*': .*\((?:[A-Z]\w*::)*[A-Z]\w*\)$" => "ruby_frames";
    ["ruby_frames"] r"^\s+from .*:\d+" => "ruby_frames";
    ["ruby_frames"] r"^\s+\.\.\. \d+ levels\.\.\.$" => "ruby_frames";
    ["start"] r"^Traceback \(most recent call last\):$" => "traceback";
    ["traceback", "ruby_reversed"] r"^\s+\d+: from .*:\d+" => "ruby_reversed";
    ["ruby_reversed"] r":\d+:in [`'][^']*': .*\(\S+\)$" => "end";

    RUST_PANIC:
    ["start"] r"\bthread '.*'(?: \(\d+\))? panicked at .*:\d+:\d+:$" => "rust_message";
    ["start"] r"\bthread '.*' panicked at '.*', .*:\d+" => "rust_panic";
    ["rust_message"] r"" => "rust_panic";
    ["rust_panic"] r"^\s+(?:left|right): " => "rust_panic";
    ["rust_panic", "rust_frames"] r"^note: " => "rust_panic";
    ["rust_panic"] r"^[Ss]tack backtrace:$" => "rust_frames";
    ["rust_frames"] r"^\s+(?:\d+: |at )" => "rust_frames";

    RUST_ERROR:
    ["start"] r"^Error: " => "rust_error";
    ["rust_error"] r"^\s*$" => "rust_error";
    ["rust_error", "thrown"] r"^Caused by:$" => "rust_causes";
    ["rust_causes"] r"^\s+\S" => "rust_causes";
    ["rust_causes"] r"^$" => "rust_gap";
    ["rust_gap"] r"^Location:$" => "rust_causes";
    ["rust_gap", "rust_error"] r"^[Ss]tack backtrace:$" => "rust_error_frames";
    ["rust_error_frames"] r"^\s+(?:\d+: |at )" => "rust_error_frames";

    DART:
    ["start"] r"^Unhandled exception:$" => "dart_1";
    ["start"] r"Unhandled Exception: " => "dart_5";
    ["dart_1", "dart_2", "dart_3", "dart_4", "dart_5", "dart_frames", "thrown"] r"^(?:E/flutter.*: )?#\d+\s+.+\(.+\)$" => "dart_frames";
    ["dart_1"] r"" => "dart_2";
    ["dart_2"] r"" => "dart_3";
    ["dart_3"] r"" => "dart_4";
    ["dart_4"] r"" => "dart_5";
    ["dart_frames"] r"^<asynchronous suspension>$" => "dart_frames";
}

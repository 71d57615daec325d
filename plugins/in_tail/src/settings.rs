//! What the parameters come to.

use std::{path::PathBuf, sync::Arc};

use encoding_rs::Encoding;
use sdk::{
    config::{ConfigError, ConfigErrors, Size},
    parser::Parser,
    plugin::BuildCx,
};
use tail::{Eol, Globs, GroupLimits, GroupRule, Settings};

use crate::config::{BytesLimit, Config, GROUP_PATTERN, Group, OversizeAction};

/// Shortest time between two looks.
const POLL_MIN_MS: u128 = 10;
/// The longest line that may be asked for: a batch must fit into a chunk.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// What the input is made of.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
}

/// What is done with lines.
pub(crate) struct Rules {
    pub(crate) tag: String,
    pub(crate) parser: Arc<dyn Parser>,
    pub(crate) path_key: Option<String>,
    pub(crate) emits_unmatched: bool,
    pub(crate) encoding: Option<&'static Encoding>,
    pub(crate) groups: Option<GroupLimits>,
    pub(crate) record_bytes: usize,
    pub(crate) cuts: bool,
}

impl Plan {
    pub(crate) fn new(config: Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let parser = cx.parser("/parse", &config.parse);
        let encoding = encoding(&config).map_err(|error| errors.push(error)).ok();
        check(&config, &mut errors);
        let Some(state_dir) = cx.state_dir.clone() else {
            errors.push(
                ConfigError::at("", "a source that keeps positions needs a name that stays")
                    .help("add `id = \"...\"`"),
            );
            return Err(errors);
        };
        let globs = globs(&config).map_err(|error| errors.push(error)).ok();
        let groups = groups(config.group.as_ref())
            .map_err(|error| errors.push(error))
            .ok();
        match (parser, globs, groups, encoding) {
            (Ok(parser), Some(globs), Some(groups), Some(encoding)) if errors.is_empty() => {
                Ok(Self {
                    settings: settings(&config, globs, state_dir, encoding),
                    rules: Rules {
                        tag: config.tag,
                        parser,
                        path_key: config.path_key,
                        emits_unmatched: config.emit_unmatched_lines,
                        encoding,
                        groups,
                        record_bytes: config.max_line_size.as_usize(),
                        cuts: config.max_line_size_action == OversizeAction::Truncate,
                    },
                })
            }
            (parser, ..) => {
                errors.extend(parser.err().unwrap_or_default());
                Err(errors)
            }
        }
    }
}

fn check(config: &Config, errors: &mut ConfigErrors) {
    if !config.enable_watch_timer {
        errors.push(
            ConfigError::at(
                "/enable_watch_timer",
                "without the timer nothing would be read",
            )
            .help("leave it out"),
        );
    }
    if config.poll_interval.0.as_millis() < POLL_MIN_MS {
        errors.push(
            ConfigError::at("/poll_interval", "files would be looked at all the time")
                .help(format!("write at least \"{POLL_MIN_MS}ms\"")),
        );
    }
    let Size(bytes) = config.max_line_size;
    if !(1..=LINE_BYTES_MAX).contains(&bytes) {
        errors.push(
            ConfigError::at(
                "/max_line_size",
                format!("{bytes} bytes is no limit for a line"),
            )
            .help(format!("write 1 to {}", Size(LINE_BYTES_MAX))),
        );
    }
    if config.path.0.iter().all(String::is_empty) {
        errors.push(
            ConfigError::at("/path", "no path is named").help("write path = \"/var/log/app.log\""),
        );
    }
}

fn globs(config: &Config) -> Result<Globs, ConfigError> {
    let split = |texts: &[String]| -> Vec<String> {
        texts
            .iter()
            .flat_map(|text| match config.path_delimiter.as_str() {
                "" => vec![text.as_str()],
                delimiter => split_outside_braces(text, delimiter),
            })
            .map(|path| path.trim().to_owned())
            .filter(|path| !path.is_empty())
            .collect()
    };
    Globs::new(
        split(&config.path.0),
        config.exclude_path.0.clone(),
        config.path_timezone.clone(),
    )
    .map_err(|error| ConfigError::at("/path", error.to_string()))
}

/// A comma within braces belongs to them.
fn split_outside_braces<'a>(text: &'a str, delimiter: &str) -> Vec<&'a str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    for (at, _) in text.match_indices(delimiter) {
        let part = text.get(from..at).unwrap_or_default();
        let count = |c| part.matches(c).count();
        if count('{') <= count('}') {
            parts.push(part);
            from = at + delimiter.len();
        }
    }
    parts.push(text.get(from..).unwrap_or_default());
    parts
}

fn groups(group: Option<&Group>) -> Result<Option<GroupLimits>, ConfigError> {
    let Some(group) = group else {
        return Ok(None);
    };
    let pattern = match &group.pattern {
        Some(pattern) => pattern.clone(),
        None => GROUP_PATTERN
            .parse()
            .map_err(|error: String| ConfigError::at("/group/pattern", error))?,
    };
    let names: Vec<&str> = pattern.regex().capture_names().flatten().collect();
    let mut rules = Vec::new();
    for (index, rule) in group.rule.iter().enumerate() {
        if let Some(name) = rule
            .matches
            .keys()
            .find(|name| !names.contains(&name.as_str()))
        {
            let message = format!("the pattern has no group {name:?}");
            let help = format!("write one of {}", names.join(", "));
            let path = format!("/group/rule/{index}/match/{name}");
            return Err(ConfigError::at(path, message).help(help));
        }
        rules.push(GroupRule {
            matches: rule.matches.clone().into_iter().collect(),
            limit: u64::try_from(rule.limit).ok(),
        });
    }
    Ok(Some(GroupLimits::new(pattern, group.rate_period.0, rules)))
}

/// `None` is UTF-8, which needs no work.
fn encoding(config: &Config) -> Result<Option<&'static Encoding>, ConfigError> {
    let find = |path: &str, name: &str| {
        Encoding::for_label(name.as_bytes()).ok_or_else(|| {
            ConfigError::at(path, format!("there is no encoding {name:?}"))
                .help("write a name such as \"euc-kr\", \"shift_jis\" or \"utf-16le\"")
        })
    };
    let is_plain = |name: &str| {
        let names = ["ascii-8bit", "binary", "us-ascii", "utf8", "utf-8"];
        names.iter().any(|plain| name.eq_ignore_ascii_case(plain))
    };
    match (&config.from_encoding, &config.encoding) {
        (Some(_), Some(to)) if !is_plain(to) => {
            Err(ConfigError::at("/encoding", "records are always UTF-8").help("leave it out"))
        }
        (Some(from), _) if !is_plain(from) => find("/from_encoding", from).map(Some),
        (None, Some(own)) if !is_plain(own) => find("/encoding", own).map(Some),
        _ => Ok(None),
    }
}

fn settings(
    config: &Config,
    globs: Globs,
    state_dir: PathBuf,
    encoding: Option<&'static Encoding>,
) -> Settings {
    let mut settings = Settings::new(globs, state_dir);
    settings.pos_files = config.pos_file.iter().map(PathBuf::from).collect();
    settings.refresh_interval = config.refresh_interval.0;
    settings.skip_refresh_on_startup = config.skip_refresh_on_startup;
    settings.poll_interval = config.poll_interval.0;
    settings.idle_poll_interval = settings.idle_poll_interval.max(config.poll_interval.0);
    settings.read_from_head = config.read_from_head;
    settings.rotate_wait = config.rotate_wait.0;
    settings.limit_recently_modified = config.limit_recently_modified.map(|limit| limit.0);
    settings.read_lines_limit = usize::try_from(config.read_lines_limit).unwrap_or(usize::MAX);
    settings.read_bytes_limit_per_second = match config.read_bytes_limit_per_second {
        Some(BytesLimit::Size(Size(bytes))) => Some(bytes),
        Some(BytesLimit::Number(bytes)) => u64::try_from(bytes).ok(),
        None => None,
    };
    settings.max_line_bytes = config.max_line_size.as_usize();
    settings.oversize_action = match config.max_line_size_action {
        OversizeAction::Truncate => tail::OversizeAction::Truncate,
        OversizeAction::Drop => tail::OversizeAction::Drop,
    };
    settings.eol = match encoding {
        Some(encoding) if encoding == encoding_rs::UTF_16LE => Eol::Utf16Le,
        Some(encoding) if encoding == encoding_rs::UTF_16BE => Eol::Utf16Be,
        _ => Eol::Byte,
    };
    let flush = config.multiline_flush_interval.0;
    settings.flush_interval = (!flush.is_zero()).then_some(flush);
    settings.open_on_every_update = config.open_on_every_update;
    settings.ignore_repeated_permission_error = config.ignore_repeated_permission_error;
    settings
}

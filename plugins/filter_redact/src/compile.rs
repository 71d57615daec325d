//! From the parameters to the filter, with every complaint about them.

use sdk::{
    config::{ConfigError, ConfigErrors},
    metrics::Metrics,
};

use crate::{
    Config,
    action::{Action, Deed, Key},
    detectors::DETECTORS,
    filter::{Entry, Redact},
    keys::{Keys, Rule},
    scan::Scan,
};

/// The name of what `keys` finds.
const FIELD: &str = "field";
/// Shortest key of hashes and tokens, in bytes.
const KEY_MIN: usize = 16;

pub(crate) fn compile(config: Config, metrics: &Metrics) -> Result<Redact, ConfigErrors> {
    let mut errors = Vec::new();
    let on =
        set("/detect", &config.detect.0, &mut errors) & !set("/skip", &config.skip.0, &mut errors);
    let keys = rules(&config.keys.0, &mut errors);
    check_names(&config, &mut errors);
    let entries = entries(&config, on, metrics);
    let key = key(&config, &entries, on, &mut errors);
    if on == 0 && keys.rules().is_empty() && config.pattern.0.is_empty() {
        let error = ConfigError::at("", "redact has nothing to look for, so it changes nothing");
        errors.push(error.help("write `detect`, `keys` or `pattern`"));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let patterns: Vec<_> = config
        .pattern
        .0
        .into_iter()
        .map(|custom| custom.pattern)
        .collect();
    let card = DETECTORS.iter().position(|one| one.name == "credit_card");
    Ok(Redact {
        scan: Scan::new(on, keys, !patterns.is_empty()),
        on,
        card: card.filter(|index| on & (1 << index) != 0),
        entries,
        patterns,
        allow: config.allow.0,
        key,
    })
}

/// The detectors that these names mean.
fn set(path: &str, names: &[String], errors: &mut ConfigErrors) -> u32 {
    let mut set = 0;
    for (index, name) in names.iter().enumerate() {
        let mut known = false;
        for (bit, detector) in DETECTORS.iter().enumerate() {
            let is_meant = match name.as_str() {
                "default" => detector.by_default,
                "all" => true,
                name => detector.name == name,
            };
            known |= is_meant;
            set |= u32::from(is_meant) << bit;
        }
        if !known {
            errors.push(unknown(format!("{path}/{index}"), name));
        }
    }
    set
}

fn unknown(path: String, name: &str) -> ConfigError {
    let names: Vec<_> = DETECTORS.iter().map(|detector| detector.name).collect();
    ConfigError::at(path, format!("there is no detector `{name}`"))
        .help(format!("write one of default, all, {}", names.join(", ")))
}

fn rules(names: &[String], errors: &mut ConfigErrors) -> Keys {
    let mut rules = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match Rule::parse(name) {
            Ok(rule) => rules.push(rule),
            Err(message) => {
                let message = format!("`{name}` is no name of a field: {message}");
                errors.push(ConfigError::at(format!("/keys/{index}"), message));
            }
        }
    }
    Keys::new(rules)
}

fn check_names(config: &Config, errors: &mut ConfigErrors) {
    let is_custom = |name: &str| config.pattern.0.iter().any(|custom| custom.name == name);
    let is_built_in = |name: &str| name == FIELD || DETECTORS.iter().any(|one| one.name == name);
    for name in config.actions.keys() {
        if !is_built_in(name) && !is_custom(name) {
            errors.push(unknown(format!("/actions/{name}"), name));
        }
    }
    for (index, custom) in config.pattern.0.iter().enumerate() {
        let path = format!("/pattern/{index}/name");
        let name = custom.name.as_str();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let again = config
            .pattern
            .0
            .iter()
            .take(index)
            .any(|other| other.name == name);
        if name.is_empty() || name.len() > 40 || !name.bytes().all(plain) {
            let help = "write up to 40 lower-case letters, digits and `_`, as in employee_id";
            errors.push(ConfigError::at(path, format!("`{name}` is no name")).help(help));
        } else if again || is_built_in(name) {
            let message = format!("there is a detector `{name}` already");
            errors.push(ConfigError::at(path, message).help("choose another name"));
        }
    }
}

/// One entry for each detector, then that of fields, then those of the patterns.
fn entries(config: &Config, on: u32, metrics: &Metrics) -> Vec<Entry> {
    let help = "Values that were taken out of records.";
    let entry = |name: &str, is_on: bool, own: (Option<Action>, Option<u8>)| {
        let other = config.actions.get(name);
        let deed = Deed {
            action: own
                .0
                .or(other.and_then(|one| one.action))
                .unwrap_or(config.action),
            keep_last: usize::from(
                own.1
                    .or(other.and_then(|one| one.keep_last))
                    .unwrap_or(config.keep_last),
            ),
        };
        let count = if is_on {
            metrics.counter("redactions", help, &[("detector", name)])
        } else {
            sdk::metrics::Counter::default()
        };
        Entry {
            name: name.to_owned(),
            deed,
            count,
        }
    };
    let built_in = DETECTORS.iter().enumerate();
    let built_in =
        built_in.map(|(index, one)| entry(one.name, on & (1 << index) != 0, (None, None)));
    let field = std::iter::once_with(|| entry(FIELD, !config.keys.0.is_empty(), (None, None)));
    let custom = config.pattern.0.iter();
    let custom = custom.map(|one| entry(&one.name, true, (one.action, one.keep_last)));
    built_in.chain(field).chain(custom).collect()
}

fn key(config: &Config, entries: &[Entry], on: u32, errors: &mut ConfigErrors) -> Option<Key> {
    let needs = |(index, entry): (usize, &Entry)| {
        let is_on = index >= DETECTORS.len() || on & (1 << index) != 0;
        is_on && matches!(entry.deed.action, Action::Hash | Action::Tokenize)
    };
    if let Some(id) = &config.key_id
        && (id.is_empty() || id.len() > 16 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        let help = "write up to 16 letters and digits, as in k1";
        errors.push(ConfigError::at("/key_id", format!("`{id}` is no name of a key")).help(help));
    }
    let Some(secret) = &config.key else {
        if entries.iter().enumerate().any(needs) {
            let help =
                "write key = \"${secret:redact_key}\": without a key anybody could try all values";
            errors.push(ConfigError::at("", "`hash` and `tokenize` need a `key`").help(help));
        }
        return None;
    };
    if secret.expose().len() < KEY_MIN {
        let message = format!("the key is shorter than {KEY_MIN} characters");
        errors.push(ConfigError::at("/key", message).help("write a longer one, at random"));
    }
    Key::new(secret, config.key_id.as_deref())
}

//! Types of fields: text as integer, float, truth, time or array, as Ruby reads it.

use sdk::{config::Zone, msgpack::write, plugin::BuildCx};

use times::{TimeType, Times, Wanted};

/// What a field becomes.
#[derive(Debug)]
pub(crate) enum Convert {
    String,
    Integer,
    Float,
    Bool,
    Time(Box<Times>),
    Array(Vec<u8>),
}

impl Convert {
    /// # Errors
    /// What is wrong, for the configuration.
    pub(super) fn compile(text: &str, zone: &Zone, cx: &BuildCx) -> Result<Self, String> {
        let (kind, option) = match text.split_once(':') {
            Some((kind, option)) => (kind, Some(option)),
            None => (text, None),
        };
        Ok(match kind.trim() {
            "string" => Self::String,
            "integer" => Self::Integer,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "time" => Self::Time(Box::new(times(option, zone, cx)?)),
            "array" => Self::Array(option.filter(|text| !text.is_empty()).unwrap_or(",").into()),
            other => {
                return Err(format!(
                    "there is no type {other:?}; write string, integer, float, bool, time or array"
                ));
            }
        })
    }

    /// Writes `text` as this type.
    pub(crate) fn write(&self, out: &mut Vec<u8>, text: &[u8]) {
        match self {
            Self::String => write::str_bytes(out, text),
            Self::Integer => integer(out, text),
            Self::Float => write::f64(out, float(text)),
            Self::Bool => write::bool(out, is_true(text)),
            Self::Time(times) => match times.read(text) {
                Some(time) => time.write(out),
                None => write::nil(out),
            },
            Self::Array(delimiter) => array(out, text, delimiter),
        }
    }
}

/// `FORMAT`, `ZONE:FORMAT`, `unixtime` or `float`, as Fluentd takes them apart.
fn times(option: Option<&str>, zone: &Zone, cx: &BuildCx) -> Result<Times, String> {
    let in_zone = option
        .and_then(|option| option.split_once(':'))
        .and_then(|(name, format)| Some((name.parse::<Zone>().ok()?, format)));
    let (zone, format) = match in_zone {
        Some((zone, format)) => (zone, Some(format)),
        None => (zone.clone(), option),
    };
    let (time_type, format) = match format {
        Some("unixtime") => (TimeType::Unixtime, None),
        Some("float") => (TimeType::Float, None),
        format => (TimeType::String, format),
    };
    let wanted = Wanted {
        time_type: Some(time_type),
        format,
        fallbacks: &[],
        zone,
    };
    Times::compile(&wanted, &cx.clock).map_err(|(_, message)| message)
}

/// The digits that `text` begins with, as Ruby's `to_i`; 0 when it begins with none. What 64 bits cannot hold becomes
/// a float.
fn integer(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let mut value = 0_u64;
    for digit in digits.clone() {
        let next = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')));
        let Some(next) = next else {
            return write::f64(out, float(text));
        };
        value = next;
    }
    match (negative, i64::try_from(value)) {
        (false, _) => write::uint(out, value),
        (true, Ok(value)) => write::int(out, -value),
        (true, Err(_)) if value == i64::MIN.unsigned_abs() => write::int(out, i64::MIN),
        (true, Err(_)) => write::f64(out, float(text)),
    }
}

/// The number that `text` begins with, as Ruby's `to_f`; 0 when it begins with none.
fn float(text: &[u8]) -> f64 {
    let text = text.trim_ascii_start();
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let is = |at: usize, bytes: &[u8]| text.get(at).is_some_and(|byte| bytes.contains(byte));
    let sign = usize::from(is(0, b"+-"));
    let whole = digits(sign);
    let mut end = whole;
    if is(end, b".") && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if whole > sign && is(end, b"eE") {
        let exponent = end + 1 + usize::from(is(end + 1, b"+-"));
        if digits(exponent) > exponent {
            end = digits(exponent);
        }
    }
    let number = std::str::from_utf8(text.get(..end).unwrap_or_default()).unwrap_or_default();
    number.parse().unwrap_or(0.0)
}

fn is_true(text: &[u8]) -> bool {
    [&b"true"[..], b"yes", b"1"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

/// The parts of `text`, without empty ones at the end, as Ruby's `split`.
fn array(out: &mut Vec<u8>, text: &[u8], delimiter: &[u8]) {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = memchr::memmem::find(rest, delimiter) {
        parts.push(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + delimiter.len()..).unwrap_or_default();
    }
    parts.push(rest);
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    write::array(out, u32::try_from(parts.len()).unwrap_or(u32::MAX));
    for part in parts {
        write::str_bytes(out, part);
    }
}

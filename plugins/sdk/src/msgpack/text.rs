//! Scalars as text, as Ruby's `to_s` writes them: what Fluentd compares and fills in.

use std::fmt;

use super::{RawValue, Token};
use crate::event::Time;

/// Writes a scalar as text; nil, containers and extensions as nothing, but `EventTime` as its seconds.
///
/// Floats follow Ruby: `1.0`, `1.0e+20`, `NaN`. Bytes that are not UTF-8 become U+FFFD.
///
/// # Errors
/// Only those of `out`.
pub fn write_text(value: RawValue<'_>, out: &mut impl fmt::Write) -> fmt::Result {
    match value.token() {
        Token::Str(bytes) | Token::Bin(bytes) => write_lossy(bytes, out),
        Token::Int(number) => write!(out, "{number}"),
        Token::UInt(number) => write!(out, "{number}"),
        Token::F32(number) => write_float(f64::from(number), out),
        Token::F64(number) => write_float(number, out),
        Token::Bool(truth) => write!(out, "{truth}"),
        token @ Token::Ext(..) => match Time::from_token(token) {
            Ok(time) => write!(out, "{}", time.secs),
            Err(_) => Ok(()),
        },
        Token::Nil | Token::Array(_) | Token::Map(_) => Ok(()),
    }
}

fn write_lossy(bytes: &[u8], out: &mut impl fmt::Write) -> fmt::Result {
    bytes.utf8_chunks().try_for_each(|chunk| {
        out.write_str(chunk.valid())?;
        if chunk.invalid().is_empty() {
            Ok(())
        } else {
            out.write_char(char::REPLACEMENT_CHARACTER)
        }
    })
}

/// Ruby switches to an exponent where Rust's `Debug` does, but writes it with a sign and two digits.
fn write_float(number: f64, out: &mut impl fmt::Write) -> fmt::Result {
    let size = number.abs();
    if number.is_nan() {
        out.write_str("NaN")
    } else if size.is_infinite() {
        out.write_str(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
    } else if size == 0.0 || (1e-4..1e16).contains(&size) {
        write!(out, "{number:?}")
    } else {
        write_exponent(number, out)
    }
}

fn write_exponent(number: f64, out: &mut impl fmt::Write) -> fmt::Result {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    write!(out, "{mantissa}{point}e{exponent:+03}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::msgpack::write;

    #[track_caller]
    fn check(encode: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let (mut bytes, mut text) = (Vec::new(), String::new());
        encode(&mut bytes);
        write_text(RawValue::parse(&bytes).unwrap(), &mut text).unwrap();
        assert_eq!(text, expected);
    }

    /// The expected texts are what `p x.to_s` of Ruby 3 prints.
    #[test]
    fn floats_are_written_as_ruby_does() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.000_012_5, "1.25e-05"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (1e15, "1000000000000000.0"),
            (1e16, "1.0e+16"),
            (-1.5e300, "-1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (number, expected) in cases {
            check(|out| write::f64(out, number), expected);
        }
    }

    #[test]
    fn other_scalars_are_plain_and_the_rest_is_nothing() {
        check(|out| write::str(out, "caf\u{e9}"), "caf\u{e9}");
        check(|out| write::bin(out, b"a\xff\xfeb"), "a\u{fffd}\u{fffd}b");
        check(|out| write::uint(out, u64::MAX), "18446744073709551615");
        check(|out| write::int(out, -7), "-7");
        check(|out| write::bool(out, true), "true");
        check(write::nil, "");
        check(
            |out| Time::from_secs(1_700_000_000).write(out),
            "1700000000",
        );
        check(|out| out.extend_from_slice(&[0xd4, 5, 1]), "");
        check(|out| write::array(out, 0), "");
    }
}

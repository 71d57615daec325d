//! Appending MessagePack to a byte vector, always in the shortest form.

/// nil
pub fn nil(out: &mut Vec<u8>) {
    out.push(0xc0);
}

/// true or false
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// A signed integer; values of 0 and above use the unsigned forms.
pub fn int(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        uint(out, value);
    } else if value >= -32 {
        out.extend_from_slice(&value.to_be_bytes()[7..]);
    } else if let Ok(value) = i8::try_from(value) {
        out.push(0xd0);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(0xd1);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(0xd2);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xd3);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// An unsigned integer.
pub fn uint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.extend_from_slice(&value.to_be_bytes()[7..]);
    } else if let Ok(value) = u8::try_from(value) {
        out.extend_from_slice(&[0xcc, value]);
    } else if let Ok(value) = u16::try_from(value) {
        out.push(0xcd);
        out.extend_from_slice(&value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        out.push(0xce);
        out.extend_from_slice(&value.to_be_bytes());
    } else {
        out.push(0xcf);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A 64-bit float.
pub fn f64(out: &mut Vec<u8>, value: f64) {
    out.push(0xcb);
    out.extend_from_slice(&value.to_be_bytes());
}

/// A str. Longer than 4 GiB cannot be written and is cut there.
pub fn str(out: &mut Vec<u8>, value: &str) {
    str_bytes(out, value.as_bytes());
}

/// A str of bytes that came as str and may not be UTF-8.
pub fn str_bytes(out: &mut Vec<u8>, value: &[u8]) {
    let len = clamp(value.len());
    match len {
        0..=31 => out.push(0xa0 | len.to_be_bytes()[3]),
        32..=0xff => out.extend_from_slice(&[0xd9, len.to_be_bytes()[3]]),
        0x100..=0xffff => {
            out.push(0xda);
            out.extend_from_slice(&len.to_be_bytes()[2..]);
        }
        _ => {
            out.push(0xdb);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// A bin.
pub fn bin(out: &mut Vec<u8>, value: &[u8]) {
    let len = clamp(value.len());
    match len {
        0..=0xff => out.extend_from_slice(&[0xc4, len.to_be_bytes()[3]]),
        0x100..=0xffff => {
            out.push(0xc5);
            out.extend_from_slice(&len.to_be_bytes()[2..]);
        }
        _ => {
            out.push(0xc6);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

/// The header of an array of `count` items.
pub fn array(out: &mut Vec<u8>, count: u32) {
    container(out, count, 0x90, 0xdc);
}

/// The header of a map of `count` pairs.
pub fn map(out: &mut Vec<u8>, count: u32) {
    container(out, count, 0x80, 0xde);
}

/// Any JSON value; an object becomes a map with its keys in order.
pub fn json(out: &mut Vec<u8>, value: &serde_json::Value) {
    match value {
        serde_json::Value::Null => nil(out),
        serde_json::Value::Bool(value) => bool(out, *value),
        serde_json::Value::Number(number) => {
            if let Some(value) = number.as_i64() {
                int(out, value);
            } else if let Some(value) = number.as_u64() {
                uint(out, value);
            } else {
                f64(out, number.as_f64().unwrap_or(f64::NAN));
            }
        }
        serde_json::Value::String(text) => str(out, text),
        serde_json::Value::Array(items) => {
            array(out, clamp(items.len()));
            for item in items {
                json(out, item);
            }
        }
        serde_json::Value::Object(pairs) => {
            map(out, clamp(pairs.len()));
            for (key, value) in pairs {
                str(out, key);
                json(out, value);
            }
        }
    }
}

fn container(out: &mut Vec<u8>, count: u32, fix: u8, wide: u8) {
    match count {
        0..=15 => out.push(fix | count.to_be_bytes()[3]),
        16..=0xffff => {
            out.push(wide);
            out.extend_from_slice(&count.to_be_bytes()[2..]);
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

fn clamp(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

//! What a bulk request has to be: stricter than any server, so that what passes here is taken by all of them.

use std::{collections::BTreeSet, fmt, io::Read as _};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{Action, Request};

/// Parameters of the URL that every server knows.
const QUERY: [&str; 3] = ["filter_path", "pipeline", "require_alias"];
/// Keys of metadata that every server knows.
const METADATA: [&str; 4] = ["_index", "_id", "routing", "pipeline"];
/// The path in front of all requests of some tests.
const PREFIX: &str = "prefix";
/// Longest id, in bytes.
const ID_LEN_MAX: usize = 512;
/// Longest name of an index, in bytes.
const INDEX_LEN_MAX: usize = 255;

/// Reads a request, and says what is wrong with it.
pub(super) fn check(mut request: Request, wire: Vec<u8>) -> Result<Request, String> {
    let named = check_line(&request.line)?;
    for name in ["host", "content-type", "content-length", "user-agent"] {
        let times = request
            .headers
            .iter()
            .filter(|(key, _)| key == name)
            .count();
        must(times == 1, || format!("{name} is there {times} times"))?;
    }
    let is_absent = |name: &str| request.header(name).is_none();
    must(is_absent("transfer-encoding"), || {
        "there is a length, and a transfer encoding".into()
    })?;
    let kind = request.header("content-type").unwrap_or_default();
    must(
        ["application/x-ndjson", "application/json"].contains(&kind),
        || format!("the content type {kind} is not known everywhere"),
    )?;
    request.body = match request.header("content-encoding") {
        None => wire,
        Some("gzip") => one_member(&wire)?,
        Some(other) => return Err(format!("{other} is not understood everywhere")),
    };
    request.actions = actions(&request.body, named.as_deref())?;
    Ok(request)
}

fn must(is_right: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(complaint()) }
}

/// Checks the first line; the index that stands in it.
fn check_line(line: &str) -> Result<Option<String>, String> {
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else {
        return Err(format!("{line:?} is no request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_bulk = method == "POST" && path.ends_with("/_bulk") && version == "HTTP/1.1";
    must(is_bulk, || format!("{line:?} is no bulk request"))?;
    let mut seen = BTreeSet::new();
    for (name, _) in url::form_urlencoded::parse(query.as_bytes()) {
        must(QUERY.contains(&&*name), || {
            format!("the parameter {name} is not known everywhere")
        })?;
        must(seen.insert(name.clone()), || {
            format!("the parameter {name} is there twice")
        })?;
    }
    let (before, _) = path.rsplit_once('/').unwrap_or_default();
    let Some((_, named)) = before.rsplit_once('/').filter(|(_, name)| *name != PREFIX) else {
        return Ok(None);
    };
    let named = percent_encoding::percent_decode_str(named).decode_utf8();
    let named = named.map_err(|error| error.to_string())?.into_owned();
    index(&named)?;
    Ok(Some(named))
}

/// Decodes the one member that servers read; they stop behind it.
fn one_member(wire: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut decoder = flate2::bufread::GzDecoder::new(wire);
    let read = decoder.read_to_end(&mut body);
    read.map_err(|error| format!("the gzip is broken: {error}"))?;
    let behind = decoder.into_inner().len();
    must(behind == 0, || {
        format!("{behind} bytes stand behind the first member of the gzip")
    })?;
    Ok(body)
}

/// The actions of a body, for an index that stands in the address or not.
fn actions(body: &[u8], named: Option<&str>) -> Result<Vec<Action>, String> {
    let text =
        std::str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?;
    let text = text
        .strip_suffix('\n')
        .ok_or("the last line is not ended")?;
    let mut lines = (1..).zip(text.split('\n'));
    let mut actions = Vec::new();
    while let Some((number, line)) = lines.next() {
        let at = |complaint: String| format!("line {number}, {line}: {complaint}");
        let (name, meta) = action(line, named).map_err(at)?;
        let document = if name == "delete" {
            Value::Null
        } else {
            let (number, line) = lines.next().ok_or("an action has no document")?;
            let at = |complaint: String| format!("line {number}, {line}: {complaint}");
            document(line, &name).map_err(at)?
        };
        actions.push((name, meta, document));
    }
    Ok(actions)
}

fn action(line: &str, named: Option<&str>) -> Result<(String, Map<String, Value>), String> {
    let action = object(line)?;
    must(action.len() == 1, || {
        format!("{} actions in one object", action.len())
    })?;
    let (name, meta) = action.into_iter().next().ok_or("no action")?;
    let known = ["create", "index", "update", "delete"];
    must(known.contains(&name.as_str()), || {
        format!("there is no action {name}")
    })?;
    let Value::Object(mut meta) = meta else {
        return Err("the metadata is no object".into());
    };
    for (key, value) in &meta {
        if key == "retry_on_conflict" && name == "update" {
            must(value.is_u64(), || format!("{key} is {value}"))?;
            continue;
        }
        must(METADATA.contains(&key.as_str()), || {
            format!("contains an unknown parameter [{key}]")
        })?;
        must(value.is_string(), || {
            format!("{key} is {value}, which is no text")
        })?;
    }
    if let Some(named) = named {
        let before = meta.insert("_index".into(), named.into());
        must(before.is_none(), || "the index is named twice".into())?;
    }
    let text = |key: &str| meta.get(key).and_then(Value::as_str);
    index(text("_index").ok_or("no index is named")?)?;
    if let Some(id) = text("_id") {
        let len = id.len();
        must((1..=ID_LEN_MAX).contains(&len), || {
            format!("an id of {len} bytes")
        })?;
    }
    let needs_id = ["update", "delete"].contains(&name.as_str());
    must(!needs_id || text("_id").is_some(), || {
        format!("{name} without an id")
    })?;
    Ok((name, meta))
}

fn index(name: &str) -> Result<(), String> {
    let len = name.len();
    must((1..=INDEX_LEN_MAX).contains(&len), || {
        format!("an index with a name of {len} bytes")
    })?;
    must(name == name.to_lowercase(), || {
        format!("the index {name} is not in lower case")
    })?;
    let is_bad = |c: char| r#"\/*?"<>| ,#:"#.contains(c) || c.is_control();
    must(!name.contains(is_bad), || {
        format!("the index {name} has a letter that is forbidden")
    })?;
    must(!name.starts_with(['-', '_', '+', '.']), || {
        format!("the index {name} begins wrongly")
    })
}

fn document(line: &str, action: &str) -> Result<Value, String> {
    let document = object(line)?;
    if action == "update" {
        let known = [
            "doc",
            "doc_as_upsert",
            "upsert",
            "script",
            "scripted_upsert",
            "detect_noop",
            "_source",
        ];
        for key in document.keys() {
            must(known.contains(&key.as_str()), || {
                format!("an update has no field {key}")
            })?;
        }
        let has_part = document.contains_key("doc") || document.contains_key("script");
        must(has_part, || "an update has neither doc nor script".into())?;
    } else {
        names(&document, true)?;
    }
    Ok(Value::Object(document))
}

/// Names that make a server refuse a document.
fn names(object: &Map<String, Value>, is_top: bool) -> Result<(), String> {
    for (name, value) in object {
        let parts_are_there = name.split('.').all(|part| !part.trim().is_empty());
        must(parts_are_there, || format!("a field is called {name:?}"))?;
        let is_reserved =
            is_top && ["_id", "_index", "_type", "_source", "_routing"].contains(&name.as_str());
        must(!is_reserved, || {
            format!("the field {name} belongs to the server")
        })?;
        if let Value::Object(inner) = value {
            names(inner, false)?;
        }
    }
    Ok(())
}

fn object(line: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str::<Strict>(line) {
        Ok(Strict(Value::Object(object))) => Ok(object),
        Ok(_) => Err("this is no object".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// JSON in which no key is there twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Strict, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Strict(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
        let mut values = Map::new();
        while let Some((key, Strict(value))) = map.next_entry::<String, Strict>()? {
            if values.contains_key(&key) {
                return Err(A::Error::custom(format!("Duplicate field '{key}'")));
            }
            values.insert(key, value);
        }
        Ok(Strict(values.into()))
    }
}

#[test]
fn what_any_server_would_refuse_is_refused_here() {
    let good = r#"{"create":{"_index":"a","_id":"1"}}"#;
    let with = |action: &str, document: &str| format!("{action}\n{document}\n");
    assert_eq!(
        actions(with(good, r#"{"a":{"b":[1]}}"#).as_bytes(), None)
            .unwrap()
            .len(),
        1
    );
    for (body, complaint) in [
        (format!("{good}\n{{}}"), "not ended"),
        (format!("{good}\n"), "no document"),
        (with(good, ""), "EOF"),
        (
            with(r#"{"create":{"_index":"a"},"index":{"_index":"a"}}"#, "{}"),
            "2 actions",
        ),
        (
            with(r#"{"upsert":{"_index":"a"}}"#, "{}"),
            "no action upsert",
        ),
        (
            with(r#"{"create":{"_index":"a","_type":"_doc"}}"#, "{}"),
            "unknown parameter [_type]",
        ),
        (
            with(r#"{"create":{"_index":"a","_id":1}}"#, "{}"),
            "no text",
        ),
        (with(r#"{"create":{"_index":"A"}}"#, "{}"), "lower case"),
        (
            with(r#"{"create":{"_index":".a"}}"#, "{}"),
            "begins wrongly",
        ),
        (with(r#"{"create":{"_id":"1"}}"#, "{}"), "no index"),
        (
            with(r#"{"update":{"_index":"a","_id":"1"}}"#, r#"{"a":1}"#),
            "no field a",
        ),
        (
            with(r#"{"update":{"_index":"a"}}"#, r#"{"doc":{}}"#),
            "without an id",
        ),
        (with(good, r#"{"a":1,"a":2}"#), "Duplicate field"),
        (with(good, r#"{"a":{"b":1,"\u0062":2}}"#), "Duplicate field"),
        (with(good, r#"{"a..b":1}"#), "is called"),
        (with(good, r#"{"_id":1}"#), "belongs to the server"),
        (with(good, "[]"), "no object"),
        (with(good, r#"{"a":NaN}"#), "expected"),
    ] {
        let refused = actions(body.as_bytes(), None).expect_err(&body);
        assert!(refused.contains(complaint), "{body}: {refused}");
    }
    let twice = actions(with(good, "{}").as_bytes(), Some("a")).unwrap_err();
    assert!(twice.contains("named twice"), "{twice}");
}

#[test]
fn what_is_no_bulk_request_is_refused_here() {
    for line in [
        "GET /_bulk HTTP/1.1",
        "POST /_search HTTP/1.1",
        "POST /_bulk?refreshing=1 HTTP/1.1",
        "POST /_bulk?pipeline=a&pipeline=b HTTP/1.1",
    ] {
        assert!(check_line(line).is_err(), "{line}");
    }
    let named = check_line("POST /prefix/a%C3%A9/_bulk HTTP/1.1").unwrap();
    assert_eq!(named.as_deref(), Some("a\u{e9}"));
    assert_eq!(check_line("POST /prefix/_bulk HTTP/1.1"), Ok(None));
    assert!(check_line("POST /A/_bulk HTTP/1.1").is_err());
}

#[test]
fn a_second_member_and_half_a_member_are_refused_here() {
    let member = || {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, b"x").unwrap();
        encoder.finish().unwrap()
    };
    assert_eq!(one_member(&member()).unwrap(), b"x");
    assert!(one_member(&[member(), member()].concat()).is_err());
    assert!(one_member(&member()[..10]).is_err());
}

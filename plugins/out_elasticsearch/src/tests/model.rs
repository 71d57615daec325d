//! Records and parameters by chance: the body against the same made with trees of values.

use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::{Config, Elasticsearch, document};

type Object = Map<String, Value>;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z\"\\\\\né한]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            object(inner).prop_map(Value::from),
        ]
    })
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Object> {
    let names = [
        "a",
        "b",
        "c",
        "a_b",
        "a.b",
        "b_a.c",
        "id",
        "tag",
        "long_enough_for_two_blocks",
    ];
    let pair = (prop::sample::select(names.to_vec()), value)
        .prop_map(|(name, value)| (name.to_owned(), value));
    prop::collection::vec(pair, 0..6).prop_map(Object::from_iter)
}

/// Parameters, as they are configured.
#[derive(Debug, Clone)]
struct Params {
    op_type: &'static str,
    removed: Vec<&'static str>,
    spared: Vec<&'static str>,
    flatten: bool,
    dots: &'static str,
    stamps: bool,
    wraps: bool,
}

fn params() -> impl Strategy<Value = Params> {
    let ops = ["create", "index", "update", "upsert", "delete"];
    let keys = || {
        let keys = [
            "a",
            "$.a.b",
            "$.b.c.a",
            "c",
            "a_b",
            "id",
            "tag",
            "@timestamp",
        ];
        prop::collection::vec(prop::sample::select(keys.to_vec()), 0..3)
    };
    let op = prop::sample::select(ops.to_vec());
    let flags = any::<[bool; 4]>();
    (op, keys(), keys(), flags).prop_map(|(op_type, removed, spared, flags)| {
        let is_update = ["update", "upsert"].contains(&op_type);
        Params {
            op_type,
            removed,
            spared: if is_update { spared } else { Vec::new() },
            flatten: flags[0],
            dots: if flags[1] { "underscore" } else { "keep" },
            stamps: flags[2],
            wraps: flags[3] || !is_update || flags[2],
        }
    })
}

impl Params {
    fn configured(&self) -> Value {
        json!({
            "index": "i", "id_key": "id", "document_id": "none", "op_type": self.op_type,
            "remove_keys": self.removed, "remove_keys_on_update": self.spared,
            "flatten_hashes": self.flatten, "dots": self.dots,
            "include_timestamp": self.stamps, "include_tag_key": self.stamps,
            "suppress_doc_wrap": !self.wraps,
        })
    }

    /// The lines of a record; `None`: it is refused.
    fn lines(&self, second: usize, record: &Object) -> Option<Vec<Value>> {
        let mut meta = json!({ "_index": "i" });
        let needs_id = ["update", "upsert", "delete"].contains(&self.op_type);
        match record.get("id") {
            Some(Value::String(id)) if !id.is_empty() => meta["_id"] = json!(id),
            Some(id @ (Value::Number(_) | Value::Bool(_))) => meta["_id"] = json!(id.to_string()),
            _ if needs_id => return None,
            _ => {}
        }
        let is_update = ["update", "upsert"].contains(&self.op_type);
        if is_update {
            meta["retry_on_conflict"] = json!(3);
        }
        let verb = if is_update { "update" } else { self.op_type };
        let action = json!({ verb: meta });
        if self.op_type == "delete" {
            return Some(vec![action]);
        }
        let whole = self.document(second, record, &[]);
        if !is_update {
            return Some(vec![action, whole]);
        }
        let changed = self.document(second, record, &self.spared);
        let body = match (self.wraps, self.op_type) {
            (false, _) => changed,
            (true, "update") => json!({ "doc": changed }),
            (true, _) if changed == whole => json!({ "doc": changed, "doc_as_upsert": true }),
            (true, _) => json!({ "doc": changed, "upsert": whole }),
        };
        Some(vec![action, body])
    }

    fn document(&self, second: usize, record: &Object, spared: &[&str]) -> Value {
        let mut record = record.clone();
        without(&mut record, &self.removed);
        if self.flatten {
            let mut flat = Object::new();
            flatten("", &record, &mut flat);
            record = flat;
            without(&mut record, &self.names_removed());
        }
        if self.dots == "underscore" {
            record = match undotted(&Value::Object(record)) {
                Value::Object(record) => record,
                _ => unreachable!(),
            };
        }
        if self.stamps {
            let time = format!("1970-01-01T00:00:0{second}.000000000Z");
            for (name, text) in [("@timestamp", time.as_str()), ("tag", "app")] {
                if !self.removed.contains(&name) {
                    record.insert(name.into(), json!(text));
                }
            }
        }
        without(&mut record, spared);
        Value::Object(record)
    }

    fn names_removed(&self) -> Vec<&'static str> {
        let names = self.removed.iter().filter(|key| !key.starts_with('$'));
        names.copied().collect()
    }
}

fn without(record: &mut Object, keys: &[&str]) {
    for key in keys {
        let steps: Vec<&str> = match key.strip_prefix("$.") {
            Some(path) => path.split('.').collect(),
            None => vec![key],
        };
        let (last, above) = steps.split_last().unwrap();
        let table = above.iter().try_fold(&mut *record, |table, step| {
            table.get_mut(*step)?.as_object_mut()
        });
        if let Some(table) = table {
            table.retain(|name, _| name != last);
        }
    }
}

fn flatten(before: &str, table: &Object, flat: &mut Object) {
    for (name, value) in table {
        match value {
            Value::Object(below) => flatten(&format!("{before}{name}_"), below, flat),
            value => drop(flat.insert(format!("{before}{name}"), value.clone())),
        }
    }
}

fn undotted(value: &Value) -> Value {
    match value {
        Value::Object(table) => {
            let pairs = table
                .iter()
                .map(|(name, value)| (name.replace('.', "_"), undotted(value)));
            Value::Object(pairs.collect())
        }
        Value::Array(items) => items.iter().map(undotted).collect(),
        value => value.clone(),
    }
}

proptest! {
    #[test]
    fn bodies_are_what_trees_of_values_come_to(
        params in params(),
        records in prop::collection::vec(object(value()), 1..5),
    ) {
        let config: Config = sdk::config::parse(params.configured()).unwrap();
        let output = Elasticsearch::new(&config, &BuildCx::detached("es")).unwrap();
        let values: Vec<Value> = records.iter().cloned().map(Value::Object).collect();
        let frames = [frame(7, "app", &values)];
        let chunk = ChunkView { buffer: 3, frames: &frames, live: None, attempt: 0 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let documents = runtime.block_on(document::write(&output.recipe, chunk));
        let expected: Vec<Option<Vec<Value>>> = records.iter().enumerate().map(|(second, record)| params.lines(second, record)).collect();

        let refused: Vec<usize> = (0..records.len()).filter(|index| expected[*index].is_none()).collect();
        let found: Vec<usize> = documents.refused.iter().map(|(index, _)| *index as usize).collect();
        prop_assert_eq!(found, refused);
        let body = std::str::from_utf8(&documents.body).unwrap();
        let lines: Vec<&str> = body.lines().collect();
        let expected: Vec<Value> = expected.into_iter().flatten().flatten().collect();
        prop_assert_eq!(lines.len(), expected.len());
        for (line, expected) in lines.iter().zip(&expected) {
            prop_assert_eq!(&serde_json::from_str::<Value>(line).unwrap(), expected);
            // In any order, but nothing twice.
            prop_assert_eq!(line.len(), expected.to_string().len(), "{}", line);
        }
    }
}

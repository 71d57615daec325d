//! What the server says about a bulk request, read without a tree: an answer without failures is one comparison
//! per item, and of the others only what failed is kept.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    bulk::{
        item_error::{ItemError, WireError},
        judge::is_too_large,
    },
    config::OpType,
};

/// The query that makes answers short. `status` must stay: items of which nothing is left vanish, and with them
/// the order.
pub(crate) const FILTER_PATH: &str =
    "filter_path=took,errors,items.*.status,items.*.failure_store,items.*.error";

/// What a server answered with status 200.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Items that the answer has; `None` when it has no list of them.
    pub(crate) items: Option<usize>,
    /// Items that are not plain successes, by their place in the request.
    pub(crate) failed: Vec<(usize, Item)>,
    /// Items that the failure store of a data stream took, and those that it did not take either.
    pub(crate) failure_store: [u64; 2],
}

/// An item that is not a plain success.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// Its status; 0 when it has none.
    pub(crate) status: u16,
    /// What is wrong.
    pub(crate) error: ItemError,
}

/// Why an answer cannot be believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbage {
    /// Cut off, a page of a proxy, or anything else.
    #[error("the answer is not one of a bulk request")]
    NotBulk,
    /// It says nothing or too much about some records.
    #[error("the answer has {got} items for {sent} records")]
    Count {
        /// Items.
        got: usize,
        /// Records.
        sent: usize,
    },
}

impl Answer {
    /// Records that the server had no room for now; those for which it never has any say nothing of how it keeps up.
    pub(crate) fn rejected(&self) -> usize {
        let is_rejected =
            |(_, item): &&(usize, Item)| item.status == 429 && !is_too_large(&item.error);
        self.failed.iter().filter(is_rejected).count()
    }

    /// Reads an answer to a request with `sent` records.
    ///
    /// # Errors
    /// [`Garbage`].
    pub(crate) fn read(body: &[u8], op_type: OpType, sent: usize) -> Result<Self, Garbage> {
        let answer = match plain_successes(body, op_type) {
            Some(items) => Self {
                items: Some(items),
                ..Self::default()
            },
            None => Self::read_all(body)?,
        };
        match answer.items {
            Some(got) if got != sent => Err(Garbage::Count { got, sent }),
            _ => Ok(answer),
        }
    }

    fn read_all(body: &[u8]) -> Result<Self, Garbage> {
        let Page { errors, items } = serde_json::from_slice(body).map_err(|_| Garbage::NotBulk)?;
        match items {
            Some(items) => Ok(Self {
                items: Some(items.count),
                failed: items.failed,
                failure_store: items.failure_store,
            }),
            // A server may leave out the list when nothing failed.
            None if !errors => Ok(Self::default()),
            None => Err(Garbage::NotBulk),
        }
    }
}

/// How long the server says that it took, in milliseconds. It stands before the items, so only the head is looked at.
pub(crate) fn took_ms(body: &[u8]) -> Option<u32> {
    const FIELD: &[u8] = b"\"took\":";
    let at = body
        .windows(FIELD.len())
        .take(HEAD_LEN_MAX)
        .position(|at| at == FIELD)?;
    let digits = body
        .get(at + FIELD.len()..)?
        .split(|byte| !byte.is_ascii_digit());
    let digits = digits.into_iter().next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Counts the items when every one of them is a success in its shortest form.
fn plain_successes(body: &[u8], op_type: OpType) -> Option<usize> {
    const LIST: &[u8] = b"\"items\":[";
    let body = body.trim_ascii().strip_prefix(b"{")?.strip_suffix(b"]}")?;
    let at = body
        .windows(LIST.len())
        .take(HEAD_LEN_MAX)
        .position(|at| at == LIST)?;
    let head = body.get(..at)?;
    head.split(|byte| *byte == b',')
        .find(|field| *field == b"\"errors\":false")?;
    let item = match op_type {
        OpType::Create => &b"{\"create\":{\"status\":20"[..],
        OpType::Index => b"{\"index\":{\"status\":20",
        OpType::Update | OpType::Upsert => b"{\"update\":{\"status\":20",
        OpType::Delete => b"{\"delete\":{\"status\":20",
    };
    let mut rest = body.get(at + LIST.len()..)?;
    let mut count = 0;
    while !rest.is_empty() {
        rest = match rest.strip_prefix(item)? {
            [b'0' | b'1', b'}', b'}', b',', rest @ ..] if !rest.is_empty() => rest,
            [b'0' | b'1', b'}', b'}'] => &[],
            _ => return None,
        };
        count += 1;
    }
    Some(count)
}

/// What stands before the items is shorter than this.
const HEAD_LEN_MAX: usize = 128;

#[derive(Deserialize)]
struct Page {
    errors: bool,
    #[serde(default)]
    items: Option<Items>,
}

#[derive(Default)]
struct Items {
    count: usize,
    failed: Vec<(usize, Item)>,
    failure_store: [u64; 2],
}

impl<'de> Deserialize<'de> for Items {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Items;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items, A::Error> {
                let mut items = Items::default();
                while let Some(OneKey(item, failure_store)) = list.next_element()? {
                    if let Some(counter) =
                        failure_store.and_then(|at| items.failure_store.get_mut(at))
                    {
                        *counter += 1;
                    }
                    if !(200..300).contains(&item.status) || !item.error.kind.is_empty() {
                        items.failed.push((items.count, item));
                    }
                    items.count += 1;
                }
                Ok(items)
            }
        }
        from.deserialize_seq(List)
    }
}

/// An item under the name of its action, which is not looked at: a server may write `create` for `index`.
struct OneKey(Item, Option<usize>);

impl<'de> Deserialize<'de> for OneKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = OneKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OneKey, A::Error> {
                let (mut item, mut failure_store) = (Item::default(), None);
                while map.next_key::<IgnoredAny>()?.is_some() {
                    let wire: WireItem<'_> = map.next_value()?;
                    item = Item {
                        status: wire.status.unwrap_or_default(),
                        error: wire.error.map(ItemError::from).unwrap_or_default(),
                    };
                    failure_store = wire.failure_store.and_then(|text| text.place());
                }
                Ok(OneKey(item, failure_store))
            }
        }
        from.deserialize_map(Named)
    }
}

#[derive(Deserialize)]
struct WireItem<'a> {
    status: Option<u16>,
    #[serde(borrow)]
    error: Option<WireError<'a>>,
    #[serde(borrow)]
    failure_store: Option<FailureStore<'a>>,
}

/// What the failure store of a data stream did; other values than these two say that there is none.
#[derive(Deserialize)]
#[serde(untagged)]
enum FailureStore<'a> {
    Named(Cow<'a, str>),
    Unknown(IgnoredAny),
}

impl FailureStore<'_> {
    /// Its place among the counters.
    fn place(&self) -> Option<usize> {
        match self {
            Self::Named(name) if name == "used" => Some(0),
            Self::Named(name) if name == "failed" => Some(1),
            Self::Named(_) | Self::Unknown(_) => None,
        }
    }
}

//! The parameters.

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use sdk::{
    config::{Interval, OneOrMany, Secret, Size},
    event::FieldPath,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::config::{
    Compression, ContentType, DocumentId, Dots, Endpoint, Fluentd, Level, OpType, Scheme, Sniffing,
    Ssl, Timing,
    policy::{OnAuthError, OnConflict, OnMappingConflict},
};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a parameter that Fluentd has"
)]
pub struct Config {
    /// One or several addresses: `"https://es-0:9200"`, `["es-0:9200", "es-1:9200"]`. They take turns; one that does not
    /// answer is left out for a while. Default: what `scheme`, `host`, `port` and `path` say.
    #[serde(default)]
    pub hosts: OneOrMany<String>,
    /// Fluentd's way to name one host.
    pub host: Option<String>,
    /// The port of every host that is written without one.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// `http` or `https`, for every host that is written without it.
    #[serde(default)]
    pub scheme: Scheme,
    /// A path in front of every request, for a server behind a proxy; for hosts that are written without one.
    pub path: Option<String>,
    /// The id of a deployment at Elastic Cloud, in the place of `hosts`.
    pub cloud_id: Option<String>,
    /// User and password at Elastic Cloud, as in `"user:password"`. `api_key` will do as well.
    pub cloud_auth: Option<Secret>,
    /// The longest time that a host that failed again and again is left out.
    #[serde(default = "default_resurrect_after")]
    pub resurrect_after: Interval,
    /// When the cluster is asked for its nodes, and whose turn it is.
    #[serde(flatten)]
    pub sniffing: Sniffing,
    /// Send a request for each index, which stands in its address and not in the lines of its body, for servers that
    /// allow addresses and not indexes.
    #[serde(default)]
    pub include_index_in_url: bool,
    /// The content type of requests. One that a server does not know is changed to the other by itself.
    #[serde(default)]
    pub content_type: ContentType,
    /// The user, with `password`.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<Secret>,
    /// An API key: `id:key`, or the same encoded in base64, as Elasticsearch prints it.
    pub api_key: Option<Secret>,
    /// A token for the header `Authorization: Bearer`, such as that of a service account.
    pub bearer_token: Option<Secret>,
    /// A file with the password of `user`, in the place of `password`. It is read again when the server refuses what it
    /// held, so that a new password needs no restart.
    pub password_file: Option<PathBuf>,
    /// The same for `api_key`.
    pub api_key_file: Option<PathBuf>,
    /// The same for `bearer_token`.
    pub bearer_token_file: Option<PathBuf>,
    /// Amazon OpenSearch Service: a table with where it is and who we are there. Requests are signed.
    pub endpoint: Option<Endpoint>,
    /// A file with certificates in PEM of authorities to trust besides the known ones.
    pub ca_file: Option<PathBuf>,
    /// Check the certificate of the server. `false` trusts anybody who answers.
    #[serde(default = "yes")]
    pub ssl_verify: bool,
    /// What we show to servers, and which versions of TLS are spoken.
    #[serde(flatten)]
    pub ssl: Ssl,
    /// The index, with placeholders: `logs-${tag}-%Y.%m.%d`. The time is that of the event. The name becomes lower case,
    /// `_` stands for characters that an index cannot have, and what is filled in cannot change how the name begins.
    /// Default: `fluentd`.
    pub index: Option<String>,
    /// Fluentd's name of `index`.
    pub index_name: Option<String>,
    /// A field that names the index as a whole: `index`, `meta.index` for a field of a table, `$.meta.index`. It is left
    /// out of the document. A value that can be no index, or one of the system, sends the record to the dead letter;
    /// where the field is missing, `index` counts.
    pub target_index_key: Option<String>,
    /// With `update`, `upsert` and `delete`: before a chunk is sent, search all indexes that `index` can name for the ids in
    /// it, and change each document in the oldest index that has it. A search sees what was there at the last refresh of an
    /// index, by default a second ago.
    #[serde(default)]
    pub target_index_affinity: bool,
    /// Name the index by day: `logstash_prefix`, `logstash_prefix_separator`, `logstash_dateformat`.
    #[serde(default)]
    pub logstash_format: bool,
    /// With `logstash_format`: how the name begins. It may have placeholders.
    #[serde(default = "default_prefix")]
    pub logstash_prefix: String,
    /// With `logstash_format`: what stands between prefix and date.
    #[serde(default = "default_separator")]
    pub logstash_prefix_separator: String,
    /// With `logstash_format`: the date.
    #[serde(default = "default_dateformat")]
    pub logstash_dateformat: String,
    /// Whether dates in names of indexes are in UTC; `false` takes the zone of this host.
    #[serde(default = "yes")]
    pub utc_index: bool,
    /// Add the time with nanoseconds. When the record has a field `timestamp_key` already and it is a date, it stays; when
    /// it is no date, it gets `_raw` at the end of its name.
    #[serde(default = "yes")]
    pub include_timestamp: bool,
    /// Which time that is.
    #[serde(flatten)]
    pub timing: Timing,
    /// Digits of a second in the time that is added. What is left out is not rounded.
    #[serde(default = "default_precision")]
    #[schemars(range(max = 9))]
    pub time_precision: u8,
    /// Add the tag.
    #[serde(default)]
    pub include_tag_key: bool,
    /// The field of the document with the tag. It replaces a field of the record.
    #[serde(default = "default_tag_key")]
    pub tag_key: String,
    /// `create` refuses a second document of the same id, which counts as delivered, and is the only one that data streams
    /// take. `index` replaces the first. `update` changes the fields of the document that the record has, `upsert` adds
    /// the document where there is none, `delete` removes it; these three need `id_key`. Default: `create`, or `index`
    /// where `id_key` is given.
    pub op_type: Option<OpType>,
    /// Fluentd's name of `op_type`.
    pub write_operation: Option<OpType>,
    /// Where ids of documents come from, for records without `id_key`.
    #[serde(default)]
    pub document_id: DocumentId,
    /// A field whose text or number is the id of the document: `request_id`, `$.request.id`.
    pub id_key: Option<FieldPath>,
    /// Send a record without `id_key` to the dead letter. By default it gets an id as `document_id` says, to `create` or
    /// `index` it. To `update`, `upsert` or `delete`, such a record goes to the dead letter in any case.
    #[serde(default)]
    pub emit_error_for_missing_id: bool,
    /// A field whose text or number routes the document to a shard.
    pub routing_key: Option<FieldPath>,
    /// With `op_type = "create"` and `id_key`: what becomes of a record when there is a document with its id, be it that of
    /// another record or its own from a request that was not answered. `delivered`, the default, counts it as delivered,
    /// `dead_letter` puts it aside. Records without such an id are not meant.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// What becomes of a document that the server refuses because of one field: `dead_letter`, the default, puts the record
    /// aside. `stringify` sends it once more with that field as text, `rename` also with `_conflict` at the end of the
    /// field's name, which helps where the mapping wants a number, a date or a table.
    #[serde(default)]
    pub on_mapping_conflict: OnMappingConflict,
    /// What becomes of records that these credentials may not write, when the server says so of single records: `retry`,
    /// the default, keeps them until that is mended, `dead_letter` puts them aside.
    #[serde(default)]
    pub on_auth_error: OnAuthError,
    /// With `update` and `upsert`: how often the server tries again when two change one document. Default: 3.
    pub retry_on_conflict: Option<u32>,
    /// With `update` and `upsert`: the record is the whole body of the update, with `doc` or `script` in it. Nothing is
    /// added to it, not even a time.
    #[serde(default)]
    pub suppress_doc_wrap: bool,
    /// With `update` and `upsert`: fields that are not changed, `"created,$.user.name"` or `["created"]`. A document that
    /// `upsert` adds has them. `timestamp_key` and `tag_key` can be among them.
    #[serde(default)]
    pub remove_keys_on_update: OneOrMany<String>,
    /// With `update` and `upsert`: a field with a list of names, which are then not changed, in the place of
    /// `remove_keys_on_update`. The field itself is left out.
    pub remove_keys_on_update_key: Option<FieldPath>,
    /// Fields to leave out of documents: `"a,b"`, `["a", "$.user.name"]`. What comes from them, such as the id, stays.
    /// `timestamp_key` and `tag_key` can be among them.
    #[serde(default)]
    pub remove_keys: OneOrMany<String>,
    /// Make documents flat: `{"a": {"b": 1}}` becomes `{"a_b": 1}`. Lists stay as they are, empty tables vanish. Other
    /// parameters name fields as they are before; `remove_keys` can also name one as it is then.
    #[serde(default)]
    pub flatten_hashes: bool,
    /// What stands between two names with `flatten_hashes`.
    #[serde(default = "default_flatten_separator")]
    pub flatten_hashes_separator: String,
    /// What becomes of dots in names of fields. The server reads `a.b` as the field `b` of the table `a`, and refuses a
    /// document that has `a` as text too; `underscore` makes it `a_b`.
    #[serde(default)]
    pub dots: Dots,
    /// Kinds of errors that send a record to the dead letter at once, such as `"es_rejected_execution_exception"`, where
    /// it would be sent again else. None by default: what may pass is sent again.
    #[serde(default)]
    #[schemars(extend("aliases" = ["unrecoverable_record_types"]))]
    pub unrecoverable_error_types: OneOrMany<String>,
    /// What Fluentd's plugins have, and this one does not need.
    #[serde(flatten)]
    pub fluentd: Fluentd,
    /// Obsolete: servers since Elasticsearch 7 know no types.
    pub type_name: Option<String>,
    /// Obsolete: servers since Elasticsearch 7 know no types.
    pub target_type_key: Option<String>,
    /// Has no use here: types are never sent.
    pub suppress_type_name: Option<bool>,
    /// Obsolete: servers since Elasticsearch 6 know no parents.
    pub parent_key: Option<String>,
    /// The ingest pipeline that documents go through, with placeholders; one that comes to nothing is none.
    pub pipeline: Option<String>,
    /// Ship to a data stream of this name, with placeholders. `weir` puts its template there, with a policy for its life
    /// where the server has such, and the stream. Goes without `index` and its like; `op_type` is `create`.
    pub data_stream_name: Option<String>,
    /// With `data_stream_name`: the name of its template. Default: that of the stream with `_template` at its end.
    pub data_stream_template_name: Option<String>,
    /// With `data_stream_name`: the name of the policy. Default: that of the stream with `_policy` at its end.
    pub data_stream_ilm_name: Option<String>,
    /// With `data_stream_name`: the policy. Default: as for `ilm_policy`.
    pub data_stream_ilm_policy: Option<Map<String, Value>>,
    /// With `data_stream_name`: Replace a policy that is there.
    #[serde(default)]
    pub data_stream_ilm_policy_overwrite: bool,
    /// With `data_stream_name`: whether the template is for all streams whose names begin like this one.
    #[serde(default = "yes")]
    pub data_stream_template_use_index_patterns_wildcard: bool,
    /// The name of the template in `template_file`, which is put there when it is not there yet.
    pub template_name: Option<String>,
    /// A file with a template in JSON, legacy or composable. With a life cycle or a data stream, Weir writes into it which
    /// indexes it is for and how they live.
    pub template_file: Option<PathBuf>,
    /// More templates: name and file of each.
    #[serde(default)]
    pub templates: BTreeMap<String, PathBuf>,
    /// Component templates, which composable ones refer to: name and file of each.
    #[serde(default)]
    pub component_templates: BTreeMap<String, PathBuf>,
    /// Replace templates that are there.
    #[serde(default)]
    pub template_overwrite: bool,
    /// What to put in the place of what in the files of templates, with placeholders; values become lower case.
    #[serde(default)]
    pub customize_template: BTreeMap<String, String>,
    /// Whether templates in files are legacy ones. Default: as they look; with `settings` or `mappings` at the top they are.
    pub use_legacy_template: Option<bool>,
    /// Write to an alias, and make it with its first index when it is not there yet.
    #[serde(default)]
    pub rollover_index: bool,
    /// With `rollover_index` or `enable_ilm`: the alias, with placeholders. Default: `index`, `index_separator` and
    /// `application_name`.
    pub deflector_alias: Option<String>,
    /// With `rollover_index` or `enable_ilm`: the end of the alias.
    #[serde(default = "default_application")]
    pub application_name: String,
    /// With `rollover_index` or `enable_ilm`: date math for the name of the first index; empty for none.
    #[serde(default = "default_date_pattern")]
    pub index_date_pattern: String,
    /// With `rollover_index` or `enable_ilm`: what stands between the parts of names.
    #[serde(default = "default_separator")]
    pub index_separator: String,
    /// Obsolete in Fluentd too.
    pub index_prefix: Option<String>,
    /// Have the server manage the life of the indexes: a policy, and `rollover_index`. On OpenSearch the policy is one of
    /// ISM. Default: only for a data stream of Elasticsearch.
    pub enable_ilm: Option<bool>,
    /// With `enable_ilm`: the name of the policy, with placeholders. Default: `logstash-policy`.
    pub ilm_policy_id: Option<String>,
    /// With `enable_ilm`: the policy, as the server takes it. Default: the next index after 50 GB or 30 days.
    pub ilm_policy: Option<Map<String, Value>>,
    /// With `enable_ilm`: more policies by name.
    #[serde(default)]
    pub ilm_policies: BTreeMap<String, Map<String, Value>>,
    /// With `enable_ilm`: replace policies that are there.
    #[serde(default)]
    pub ilm_policy_overwrite: bool,
    /// Look again for templates, policies, aliases and data streams so often, in case somebody removes them. Default: never.
    pub truncate_caches_interval: Option<Interval>,
    /// Compress requests. `gzip` sends about a quarter of the bytes, for about as much CPU time again as the rest of the output.
    pub compression: Option<Compression>,
    /// How hard to compress; `best_speed` by default. Given alone, it turns `compression` on, as in Fluentd.
    pub compression_level: Option<Level>,
    /// Divide a chunk into requests of at most this size, before compression. A record that is larger goes alone.
    #[serde(default = "default_bulk_max_bytes")]
    pub bulk_max_bytes: Size,
    /// Fluentd's name of `bulk_max_bytes`.
    pub bulk_message_request_threshold: Option<Size>,
    /// Most requests that are under way to one host at a time. How many there really are follows how it keeps up; never
    /// more than `flush_thread_count` of the buffer.
    #[serde(default = "default_in_flight")]
    #[schemars(range(min = 1, max = 32))]
    pub max_in_flight: usize,
    /// How long a request may take, answer included.
    #[serde(default = "default_request_timeout")]
    pub request_timeout: Interval,
    /// More headers for every request.
    #[serde(default)]
    pub custom_headers: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn default_port() -> u16 {
    9200
}

fn default_prefix() -> String {
    "logstash".into()
}

fn default_flatten_separator() -> String {
    "_".into()
}

fn default_separator() -> String {
    "-".into()
}

fn default_application() -> String {
    "default".into()
}

fn default_date_pattern() -> String {
    "now/d".into()
}

fn default_dateformat() -> String {
    "%Y.%m.%d".into()
}

fn default_precision() -> u8 {
    9
}

fn default_tag_key() -> String {
    "tag".into()
}

fn default_bulk_max_bytes() -> Size {
    Size::mib(8)
}

fn default_resurrect_after() -> Interval {
    Interval::secs(60)
}

fn default_in_flight() -> usize {
    32
}

fn default_request_timeout() -> Interval {
    Interval::secs(60)
}

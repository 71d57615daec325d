//! Parameters of Fluentd's plugins that have no use here, or another form.

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors, OneOrMany};
use serde::Deserialize;

/// Parameters that Fluentd's plugins have and this one does not need.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fluentd {
    /// Has no use here: a connection that failed is never used again.
    pub reconnect_on_error: Option<bool>,
    /// Has no use here: there is one HTTP client, and it keeps connections.
    pub http_backend: Option<String>,
    /// Has no use here: no connection blocks another.
    pub http_backend_excon_nonblock: Option<bool>,
    /// Has no use here: there is one way to write JSON.
    pub prefer_oj_serializer: Option<bool>,
    /// Has no use here: what fails is in the log with the words of the server; `log.level` says what else is.
    pub with_transporter_log: Option<bool>,
    /// Has no use here: requests are the same for every version, so none is compared.
    pub validate_client_version: Option<bool>,
    /// Has no use here: the version is asked only where it matters, and never before the start.
    #[schemars(extend("aliases" = ["verify_os_version_at_startup"]))]
    pub verify_es_version_at_startup: Option<bool>,
    /// Has no use here: see `verify_es_version_at_startup`.
    #[schemars(extend("aliases" = ["max_retry_get_os_version"]))]
    pub max_retry_get_es_version: Option<u32>,
    /// Has no use here: see `verify_es_version_at_startup`.
    #[schemars(extend("aliases" = ["fail_on_detecting_os_version_retry_exceed"]))]
    pub fail_on_detecting_es_version_retry_exceed: Option<bool>,
    /// Has no use here: what is sent is the same for every version from 7 on.
    #[schemars(extend("aliases" = ["default_opensearch_version"]))]
    pub default_elasticsearch_version: Option<u32>,
    /// Has no use here: what cannot be put there yet is tried again until it can, and documents wait for it.
    pub max_retry_putting_template: Option<u32>,
    /// Has no use here: Weir starts without the server.
    pub fail_on_putting_template_retry_exceed: Option<bool>,
    /// Has no use here: see `max_retry_putting_template`.
    pub catch_transport_exception_on_retry: Option<bool>,
    /// Has no use here: the reasons of refusals are always in the log and in the dead letter.
    #[schemars(extend("aliases" = ["log_os_400_reason"]))]
    pub log_es_400_reason: Option<bool>,
    /// Has no use here: such records are counted, and sent with the time of the event.
    pub time_parse_error_tag: Option<String>,
    /// Has no use here: what is refused always goes to the dead letter.
    pub emit_error_label_event: Option<bool>,
    /// Has no use here: what is refused always goes to the dead letter.
    pub exception_backup: Option<bool>,
    /// Obsolete: records that failed are sent again from the buffer, without those that arrived.
    pub retry_tag: Option<String>,
    /// Obsolete: no failure drops what was not refused.
    pub ignore_exceptions: OneOrMany<String>,
    /// Add what says which records were stored together: the first 18 characters of their `_id`.
    pub metadata: Option<Metadata>,
    /// What stands between the parts of a tag: only `.`.
    pub delimiter: Option<String>,
}

/// Fluentd's table `metadata`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Add it to each document.
    #[serde(default)]
    pub include_chunk_id: bool,
    /// The field for it. Default: `chunk_id`.
    pub chunk_id_key: Option<String>,
}

impl Fluentd {
    /// The field for what says which records were stored together.
    pub(crate) fn chunk_id_key(&self) -> Option<String> {
        let metadata = self.metadata.as_ref()?;
        let key = metadata.chunk_id_key.as_deref().unwrap_or("chunk_id");
        metadata.include_chunk_id.then(|| key.to_owned())
    }

    /// Complains of what would be missed if it were passed over.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        let refused = [
            (
                "retry_tag",
                self.retry_tag.is_some(),
                "`retry_tag` is obsolete: records that failed are sent again by themselves",
                "remove it, and the matches and labels that take records with this tag",
            ),
            (
                "ignore_exceptions",
                !self.ignore_exceptions.0.is_empty(),
                "`ignore_exceptions` is obsolete: there are no classes of Ruby here, and no failure drops records",
                "remove it; `buffer.retry_max_times` says when to give up, and `dead_letter` what becomes of the records",
            ),
            (
                "delimiter",
                self.delimiter.as_ref().is_some_and(|text| text != "."),
                "parts of tags are divided by `.` only",
                "remove it; `${tag_parts[1]}` is the second part",
            ),
        ];
        for (name, is_given, message, help) in refused {
            if is_given {
                errors.push(ConfigError::at(format!("/{name}"), message).help(help));
            }
        }
    }
}

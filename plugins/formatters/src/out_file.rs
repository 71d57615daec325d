//! Formatter `out_file`: time, tag and record with tabs between them, as in the files of Fluentd.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    config::{self, ConfigErrors},
    event::{RawEvent, Tag},
    formatter::{FormatError, Formatter},
    json::Lead,
    plugin::{Build, BuildCx, Descriptor, Stability},
};
use serde::Deserialize;

use crate::{
    stamp::{self, Stamp, Stamping},
    text,
};

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "out_file",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes time, tag and record with tabs between them",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Formatter(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// What stands between time, tag and record: text, or `TAB`, `SPACE` or `COMMA`.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// Write the time.
    #[serde(default = "yes")]
    pub output_time: bool,
    /// Write the tag.
    #[serde(default = "yes")]
    pub output_tag: bool,
    /// The time is ISO 8601 with whole seconds, unless these say otherwise.
    #[serde(flatten)]
    pub stamping: Stamping,
}

fn default_delimiter() -> String {
    "\t".into()
}

fn yes() -> bool {
    true
}

struct OutFile {
    delimiter: Vec<u8>,
    output_time: bool,
    output_tag: bool,
    stamp: Stamp,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Formatter>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let stamp = Stamp::compile(&config.stamping, stamp::ISO).map_err(|error| vec![error])?;
    Ok(Arc::new(OutFile {
        delimiter: text::delimiter(&config.delimiter),
        output_time: config.output_time,
        output_tag: config.output_tag,
        stamp,
    }))
}

impl Formatter for OutFile {
    fn format(
        &self,
        tag: &Tag,
        event: &RawEvent<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        if self.output_time {
            self.stamp.write(out, event.time);
            out.extend_from_slice(&self.delimiter);
        }
        if self.output_tag {
            text::tag(out, tag);
            out.extend_from_slice(&self.delimiter);
        }
        text::record(out, &Lead::new(), event)?;
        out.push(b'\n');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::{check, try_formatter};

    #[test]
    fn time_tag_and_record_stand_on_a_line() {
        let record = json!({ "a": 1 });
        check(
            json!({ "type": "out_file", "utc": true }),
            &record,
            "2023-11-14T22:13:20+00:00\tapp.web\t{\"a\":1}\n",
        );
        check(
            json!({ "type": "out_file", "output_time": false }),
            &record,
            "app.web\t{\"a\":1}\n",
        );
        check(
            json!({ "type": "out_file", "output_time": false, "output_tag": false }),
            &record,
            "{\"a\":1}\n",
        );
        check(
            json!({ "type": "out_file", "delimiter": "COMMA", "time_format": "%H:%M:%S.%L", "timezone": "+09:00" }),
            &record,
            "07:13:20.000,app.web,{\"a\":1}\n",
        );
        check(
            json!({ "type": "out_file", "time_type": "float" }),
            &record,
            "1700000000.000000005\tapp.web\t{\"a\":1}\n",
        );
        let errors = try_formatter(json!({ "type": "out_file", "time_format": "%!" }))
            .err()
            .unwrap();
        assert_eq!(errors[0].path, "/time_format");
    }
}

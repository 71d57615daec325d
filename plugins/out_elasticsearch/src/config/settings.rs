//! What the parameters come to when they are read together.

use sdk::{
    config::{ConfigError, ConfigErrors, Template, Zone},
    event::{FieldPath, PathError},
};

use crate::{
    affinity::Affinity,
    config::{Compression, Config, Endpoint, Level, Scheme},
    document::{Patch, index::IndexName, operation::Operation, shape::Shape},
    hosts::{address::Address, host::Limits, roster::Choosing},
    setup::Plan,
};

/// What the parameters come to.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) addresses: Vec<Address>,
    pub(crate) index: IndexName,
    pub(crate) target_index: Option<FieldPath>,
    pub(crate) operation: Operation,
    /// How documents that are there already are found.
    pub(crate) affinity: Option<Affinity>,
    pub(crate) shape: Option<Shape>,
    pub(crate) patch: Option<Patch>,
    /// Level of gzip; `None` sends requests as they are.
    pub(crate) gzip_level: Option<u32>,
    pub(crate) bulk_max_bytes: usize,
    pub(crate) choosing: Choosing,
    /// The pipeline of each record, where it has placeholders.
    pub(crate) pipeline: Option<Template>,
    /// What has to be at the server.
    pub(crate) plan: Option<Plan>,
    /// What it has to know of each target besides its name; `None`: not even that.
    pub(crate) texts: Option<Vec<Template>>,
}

impl Config {
    /// Reads the parameters together.
    ///
    /// # Errors
    /// Every contradiction and everything that is no address or no name of an index.
    pub(crate) fn settle(&self) -> Result<Settings, ConfigErrors> {
        let mut errors = Vec::new();
        let addresses = self.addresses(&mut errors);
        let index = self.index(&mut errors);
        self.check_credentials(&mut errors);
        self.check_cloud(&mut errors);
        self.fluentd.check(&mut errors);
        let (reload, selector) = self.sniffing.settle(&mut errors);
        self.check_obsolete(&mut errors);
        self.check_policy(&mut errors);
        one_of(
            &mut errors,
            ["op_type", "write_operation"],
            self.op_type,
            self.write_operation,
        );
        let operation = self.operation(&mut errors);
        let target_index = self.target_index(&mut errors);
        let affinity = self.affinity(operation.op_type, index.as_ref(), &mut errors);
        let shape = self.shape(target_index.as_ref(), &mut errors);
        let patch = self.patch(&mut errors);
        let pipeline = self.pipeline_of_records(&mut errors);
        let plan = self.plan(&mut errors);
        let texts = plan.as_ref().map(|plan| plan.compiled(&mut errors));
        let is_per_target = plan.as_ref().is_some_and(Plan::is_per_target);
        let bulk_max_bytes = self
            .bulk_message_request_threshold
            .unwrap_or(self.bulk_max_bytes);
        match index {
            Some(index) if errors.is_empty() => Ok(Settings {
                addresses,
                index,
                target_index,
                operation,
                affinity,
                shape,
                patch,
                gzip_level: self.gzip_level(),
                bulk_max_bytes: bulk_max_bytes.as_usize(),
                pipeline,
                choosing: Choosing {
                    selector,
                    reload,
                    limits: Limits {
                        left_out_max: self.resurrect_after.0,
                        request_len: bulk_max_bytes.as_usize(),
                        requests_max: self.max_in_flight,
                    },
                },
                plan,
                texts: texts.filter(|_| is_per_target),
            }),
            _ => Err(errors),
        }
    }

    fn addresses(&self, errors: &mut ConfigErrors) -> Vec<Address> {
        if let Some(endpoint) = &self.endpoint {
            return self.of_endpoint(endpoint, errors);
        }
        if let Some(id) = &self.cloud_id {
            return self.of_cloud(id, errors);
        }
        let named = self.hosts.0.iter().flat_map(|hosts| hosts.split(','));
        let mut texts: Vec<&str> = named
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .collect();
        let mut place = "/hosts";
        if texts.is_empty() {
            place = "/host";
            texts.push(self.host.as_deref().unwrap_or("localhost"));
        } else if self.host.is_some() {
            errors.push(
                ConfigError::at("/host", "`host` and `hosts` are both given")
                    .help("write all of them in `hosts`"),
            );
        }
        let mut addresses = Vec::new();
        for text in texts {
            match Address::parse(text, self.scheme, self.port, self.path.as_deref()) {
                Ok(address) => addresses.push(address),
                Err(message) => errors.push(
                    ConfigError::at(place, message)
                        .help("write it as in \"https://es-0.example:9200\""),
                ),
            }
        }
        addresses
    }

    /// The address at AWS, whose port is that of its scheme.
    fn of_endpoint(&self, endpoint: &Endpoint, errors: &mut ConfigErrors) -> Vec<Address> {
        endpoint.check(errors);
        if !self.hosts.0.is_empty() || self.host.is_some() {
            let message = "`endpoint` has an address of its own";
            errors.push(ConfigError::at("/endpoint", message).help("remove `hosts` and `host`"));
        }
        let url = endpoint.url.trim_end_matches('/');
        let port = if url.starts_with("http://") { 80 } else { 443 };
        let address = Address::parse(url, Scheme::Https, port, None);
        let has_login = |address: &Address| address.login.is_some();
        match address {
            Ok(address) if !has_login(&address) => vec![address],
            other => {
                let message = other.err();
                let message =
                    message.unwrap_or_else(|| "requests are signed, so there is no user".into());
                let help = "write it as in \"https://search-logs-x.eu-central-1.es.amazonaws.com\"";
                errors.push(ConfigError::at("/endpoint/url", message).help(help));
                Vec::new()
            }
        }
    }

    fn index(&self, errors: &mut ConfigErrors) -> Option<IndexName> {
        let zone = if self.utc_index {
            Zone::UTC
        } else {
            Zone::LOCAL
        };
        let given = one_of(
            errors,
            ["index", "index_name"],
            self.index.as_ref(),
            self.index_name.as_ref(),
        );
        let place = if self.index.is_some() {
            "/index"
        } else {
            "/index_name"
        };
        let (place, text) = if self.logstash_format && self.deflector_alias.is_none() {
            if given.is_some() {
                let message = "`logstash_format` names the index already";
                errors.push(ConfigError::at(place, message).help("remove one of the two"));
            }
            ("/logstash_prefix", self.logstash_name())
        } else if let Some(stream) = &self.data_stream_name {
            ("/data_stream_name", stream.clone())
        } else if self.rolls_over() {
            ("/deflector_alias", self.alias())
        } else {
            (place, given.map_or("fluentd", String::as_str).to_owned())
        };
        IndexName::new(&text, zone)
            .map_err(|message| errors.push(ConfigError::at(place, message)))
            .ok()
    }

    pub(crate) fn logstash_name(&self) -> String {
        let parts = [
            &self.logstash_prefix,
            &self.logstash_prefix_separator,
            &self.logstash_dateformat,
        ];
        parts.map(String::as_str).concat()
    }

    fn target_index(&self, errors: &mut ConfigErrors) -> Option<FieldPath> {
        let text = self.target_index_key.as_deref()?;
        let path = if text.starts_with('$') {
            text.parse()
        } else if text.split('.').any(str::is_empty) {
            Err(PathError::EmptyKey)
        } else {
            // Fluentd reads `a.b` as a path here.
            FieldPath::keys(text.split('.')).ok_or(PathError::EmptyKey)
        };
        let path = path.map_err(|error| error.to_string()).and_then(|path| {
            if path.has_index() {
                return Err("an item of an array cannot be left out of the document".into());
            }
            Ok(path)
        });
        path.map_err(|message| {
            errors.push(
                ConfigError::at("/target_index_key", message)
                    .help("write a name, or a path as in meta.index"),
            );
        })
        .ok()
    }

    fn pipeline_of_records(&self, errors: &mut ConfigErrors) -> Option<Template> {
        let text = self.pipeline.as_ref().filter(|text| text.contains("${"))?;
        let parsed = text.parse::<Template>();
        parsed
            .map_err(|error| {
                errors.push(ConfigError::at("/pipeline", format!("{text:?}: {error}")));
            })
            .ok()
    }

    fn check_obsolete(&self, errors: &mut ConfigErrors) {
        let types = "remove it; name an index for each type with `index` or `target_index_key`";
        let obsolete = [
            ("type_name", &self.type_name, "types", types),
            ("target_type_key", &self.target_type_key, "types", types),
            (
                "parent_key",
                &self.parent_key,
                "parents",
                "use a join field in the mapping, and `routing_key`",
            ),
        ];
        for (name, value, what, help) in obsolete {
            if value.is_some() {
                let message = format!("`{name}` is obsolete: servers know no {what} any more");
                errors.push(ConfigError::at(format!("/{name}"), message).help(help));
            }
        }
    }

    fn gzip_level(&self) -> Option<u32> {
        let level = match self.compression_level {
            Some(Level::NoCompression) => return None,
            Some(Level::BestSpeed) => 1,
            Some(Level::DefaultCompression) => 6,
            Some(Level::BestCompression) => 9,
            None => return (self.compression == Some(Compression::Gzip)).then_some(1),
        };
        (self.compression != Some(Compression::None)).then_some(level)
    }
}

/// The value under either name; both is a complaint.
fn one_of<T>(
    errors: &mut ConfigErrors,
    names: [&str; 2],
    ours: Option<T>,
    theirs: Option<T>,
) -> Option<T> {
    if ours.is_some() && theirs.is_some() {
        let message = format!(
            "`{}` and `{}` are two names of one parameter",
            names[0], names[1]
        );
        errors.push(ConfigError::at(format!("/{}", names[1]), message).help("remove one of them"));
    }
    ours.or(theirs)
}

//! What a new configuration changes, component by component: the kind and the id say which is which.

use std::{collections::BTreeMap, sync::Arc};

use sdk::plugin::Kind;

use super::{BufferConfig, Config, FilterSpec, OutputSpec, PluginSpec, Service};

/// What becomes of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It is new.
    Added,
    /// It is no longer there.
    Removed,
    /// Its type or one of its parameters is another.
    Changed,
    /// It is the same.
    Kept,
}

/// What a new configuration changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff(BTreeMap<(Kind, Arc<str>), Change>);

impl Diff {
    /// From one configuration to the next. Where a component stands, and which tags reach it, is no part of it.
    pub fn between(old: &Config, new: &Config) -> Self {
        let mut diff = Self::default();
        let sources = (old.sources.iter().collect(), new.sources.iter().collect());
        diff.add(Kind::Input, sources, |source| &source.plugin, PartialEq::eq);
        let filters = (old.filters(), new.filters());
        let is_same = FilterSpec::is_same_as;
        diff.add(Kind::Filter, filters, |filter| &filter.plugin, is_same);
        let outputs = (old.output_specs(), new.output_specs());
        let is_same = <OutputSpec as PartialEq>::eq;
        diff.add(Kind::Output, outputs, |output| &output.plugin, is_same);
        diff
    }

    fn add<T>(
        &mut self,
        kind: Kind,
        (old, new): (Vec<&T>, Vec<&T>),
        plugin: impl Fn(&T) -> &PluginSpec,
        is_same: impl Fn(&T, &T) -> bool,
    ) {
        for spec in &old {
            let id = &plugin(spec).id;
            let change = match new.iter().find(|other| plugin(other).id == *id) {
                None => Change::Removed,
                Some(other) if is_same(spec, other) => Change::Kept,
                Some(_) => Change::Changed,
            };
            self.0.insert((kind, Arc::clone(id)), change);
        }
        for spec in new {
            let key = (kind, Arc::clone(&plugin(spec).id));
            self.0.entry(key).or_insert(Change::Added);
        }
    }

    /// What becomes of this component; one that nobody knows is added.
    pub fn of(&self, kind: Kind, id: &Arc<str>) -> Change {
        let change = self.0.get(&(kind, Arc::clone(id)));
        change.copied().unwrap_or(Change::Added)
    }

    /// The ids of the components of which this becomes: sources, filters, outputs.
    pub fn ids(&self, change: Change) -> Vec<&Arc<str>> {
        let these = self.0.iter().filter(|(_, found)| **found == change);
        these.map(|((_, id), _)| id).collect()
    }
}

impl OutputSpec {
    /// Whether the buffer of one can be that of the other: what is in it stays in it.
    pub fn shares_buffer_with(&self, other: &Self) -> bool {
        self.plugin.id == other.plugin.id && self.buffer.is_at_home_of(&other.buffer)
    }
}

impl BufferConfig {
    /// Whether both are the same kind of buffer at the same place.
    fn is_at_home_of(&self, other: &Self) -> bool {
        use super::BufferKind::File;
        self.kind == other.kind && (self.kind != File || self.path == other.path)
    }
}

impl Service {
    /// The keys in which the other differs and which only a restart can change.
    pub fn fixed_keys_that_differ(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            data_dir,
            failure,
            workers,
            memory_max,
            watch,
            admin,
            log,
            // These are asked each time.
            drain_delay: _,
            shutdown_timeout: _,
            role: _,
            unprotected: _,
            strict: _,
        } = self;
        let keys = [
            ("data_dir", *data_dir == other.data_dir),
            ("failure", *failure == other.failure),
            ("workers", *workers == other.workers),
            ("memory_max", *memory_max == other.memory_max),
            ("watch", *watch == other.watch),
            ("admin.listen", admin.listen == other.admin.listen),
            ("admin.compat", admin.compat == other.admin.compat),
            ("log", *log == other.log),
        ];
        keys.into_iter()
            .filter(|(_, is_same)| !is_same)
            .map(|(key, _)| key)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::good, *};

    const BEFORE: &str = r#"
[[source]]
id = "in"
type = "sample"
tag = "a"
[[filter]]
id = "f"
type = "grep"
tag = "a"
exclude = [{ key = "x", pattern = "1" }]
[[match]]
id = "kept"
tag = "a"
type = "null"
[[match]]
id = "gone"
tag = "b"
type = "null"
"#;

    #[test]
    fn components_are_told_by_kind_and_id_and_compared_by_what_they_are_told() {
        let after = BEFORE
            .replace("pattern = \"1\"", "pattern = \"2\"")
            .replace("gone", "new")
            .replace(
                "id = \"kept\"\ntag = \"a\"",
                "id = \"kept\"\ntag = \"a.**\"",
            );
        let (before, after) = (good(BEFORE), good(&after));
        let diff = Diff::between(&before, &after);
        let ids = |change| {
            let ids = diff.ids(change).into_iter();
            ids.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(ids(Change::Kept), ["in", "kept"]);
        assert_eq!(ids(Change::Changed), ["f"]);
        assert_eq!(ids(Change::Added), ["new"]);
        assert_eq!(ids(Change::Removed), ["gone"]);
        assert_eq!(diff.of(Kind::Filter, &"f".into()), Change::Changed);
        assert_eq!(diff.of(Kind::Input, &"f".into()), Change::Added);
    }

    #[test]
    fn what_only_a_restart_can_change_is_named() {
        let service = Service::default();
        let mut other = service.clone();
        other.role = "agent".to_owned();
        other.drain_delay = sdk::config::Interval::secs(1);
        assert_eq!(service.fixed_keys_that_differ(&other), [""; 0]);
        other.workers = Some(7);
        other.data_dir = "elsewhere".to_owned();
        assert_eq!(
            service.fixed_keys_that_differ(&other),
            ["data_dir", "workers"]
        );
    }
}

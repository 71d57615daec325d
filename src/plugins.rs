//! THE list: one line per plugin that is compiled in. Nothing else in the engine names a plugin.

use sdk::plugin::Descriptor;

/// Every plugin, sorted by kind and name.
pub static PLUGINS: &[&Descriptor] = &[
    &filters::grep::PLUGIN,
    &filters::record_transformer::PLUGIN,
    &in_forward::PLUGIN,
    &in_sample::PLUGIN,
    &out_elasticsearch::PLUGIN,
    &out_file::PLUGIN,
    &out_forward::PLUGIN,
    &out_null::PLUGIN,
    &out_stdout::PLUGIN,
];

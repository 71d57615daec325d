//! `weir plugins`: what is compiled in, and the manual of one.

use std::io::Write;

use clap::Args;

use super::exit;
use crate::{
    config::{self, Manual},
    plugins::PLUGINS,
};

/// Columns of the manual.
const WIDTH: usize = 100;

/// Arguments of `weir plugins`.
#[derive(Debug, Args)]
pub(super) struct PluginsArgs {
    /// A plugin such as `forward` or `out_file`, or a table of the engine such as `buffer`
    name: Option<String>,
    /// Print its JSON Schema
    #[arg(long, requires = "name", conflicts_with = "markdown")]
    schema: bool,
    /// Print its parameters as a Markdown table
    #[arg(long, requires = "name")]
    markdown: bool,
}

/// Lists or explains; the number is the exit code.
pub(super) fn run(args: &PluginsArgs, out: &mut impl Write) -> u8 {
    let manuals = config::manuals(PLUGINS);
    let (code, text) = match &args.name {
        None => (exit::OK, list(&manuals)),
        Some(name) => explain(name, &manuals, args),
    };
    // Nobody to tell is no reason to fail.
    drop(out.write_all(text.as_bytes()));
    code
}

fn list(manuals: &[Manual]) -> String {
    let rows: Vec<[&str; 4]> = std::iter::once(["KIND", "NAME", "STABILITY", "SUMMARY"])
        .chain(
            manuals
                .iter()
                .map(|manual| [manual.kind, manual.name, manual.stability(), manual.summary]),
        )
        .collect();
    let widest = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.len()).max().unwrap_or(0)
    };
    let (kinds, names, stabilities) = (widest(0), widest(1), widest(2));
    let mut text = String::new();
    for [kind, name, stability, summary] in &rows {
        let row = format!("{kind:kinds$}  {name:names$}  {stability:stabilities$}  {summary}");
        text.extend([row.trim_end(), "\n"]);
    }
    text.push_str("\n`weir plugins NAME` shows the parameters.\n");
    text
}

fn explain(name: &str, manuals: &[Manual], args: &PluginsArgs) -> (u8, String) {
    let found: Vec<&Manual> = manuals
        .iter()
        .filter(|manual| manual.answers_to(name))
        .collect();
    if found.is_empty() {
        let near =
            config::nearest_name(name, manuals).map(|near| format!("; did you mean `{near}`?"));
        let help = "`weir plugins` lists what there is";
        let text = format!(
            "there is no plugin `{name}`{}\n{help}\n",
            near.unwrap_or_default()
        );
        return (exit::FAILED, text);
    }
    let page = |manual: &&Manual| {
        if args.schema {
            format!("{:#}\n", manual.schema())
        } else if args.markdown {
            manual.markdown()
        } else {
            manual.text(WIDTH)
        }
    };
    let pages: Vec<String> = found.iter().map(page).collect();
    (exit::OK, pages.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugins(name: Option<&str>, markdown: bool) -> (u8, String) {
        let args = PluginsArgs {
            name: name.map(str::to_owned),
            schema: false,
            markdown,
        };
        let mut out = Vec::new();
        let code = run(&args, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_plugin_is_listed_with_its_kind() {
        let (code, text) = plugins(None, false);
        assert_eq!(code, exit::OK);
        for plugin in PLUGINS {
            let line = text
                .lines()
                .find(|line| line.contains(plugin.summary))
                .unwrap();
            assert!(
                line.starts_with(plugin.kind().as_str()) && line.contains(plugin.name),
                "{line}"
            );
        }
    }

    #[test]
    fn every_plugin_has_a_table_in_which_every_parameter_is_explained() {
        for plugin in PLUGINS {
            let (code, table) = plugins(Some(plugin.name), true);
            assert_eq!(code, exit::OK);
            for row in table.lines().skip(2) {
                assert!(!row.ends_with("|  |"), "{}: {row}", plugin.name);
            }
        }
    }

    #[test]
    fn a_name_with_its_kind_means_the_same() {
        let plain = plugins(Some("elasticsearch"), false);
        assert_eq!(plain, plugins(Some("out_elasticsearch"), false));
        assert_eq!(plain, plugins(Some("opensearch"), false));
        assert!(
            plain.1.starts_with("elasticsearch (output, "),
            "{}",
            plain.1
        );
    }

    #[test]
    fn an_unknown_name_gets_a_suggestion() {
        let (code, text) = plugins(Some("elastcsearch"), false);
        assert_eq!(code, exit::FAILED);
        assert!(text.contains("did you mean `elasticsearch`?"), "{text}");
    }
}

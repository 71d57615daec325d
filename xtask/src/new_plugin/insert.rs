//! Putting lines into sorted lists of files that people write.

/// The list of plugins with `&path::PLUGIN,` at its place.
pub(super) fn list_entry(text: &str, rust_path: &str) -> Option<String> {
    let entry = |line: &str| {
        line.trim()
            .strip_prefix('&')?
            .strip_suffix("::PLUGIN,")
            .map(String::from)
    };
    sorted(text, &format!("    &{rust_path}::PLUGIN,"), entry)
}

/// The shelf's `lib.rs` with `pub mod name;` at its place.
pub(super) fn module(text: &str, name: &str) -> Option<String> {
    let entry = |line: &str| {
        line.strip_prefix("pub mod ")?
            .strip_suffix(';')
            .map(String::from)
    };
    sorted(text, &format!("pub mod {name};"), entry)
}

/// The root manifest with the package among the dependencies of the workspace and of the engine.
pub(super) fn manifest_lines(text: &str, package: &str) -> Option<String> {
    let is_plugin = |name: &str| name.starts_with("in_") || name.starts_with("out_");
    let by_path = |line: &str| {
        let (name, _) = line.split_once(" = { path = \"plugins/")?;
        is_plugin(name).then(|| name.to_owned())
    };
    let inherited = |line: &str| {
        let name = line.strip_suffix(".workspace = true")?;
        is_plugin(name).then(|| name.to_owned())
    };
    let text = sorted(
        text,
        &format!("{package} = {{ path = \"plugins/{package}\" }}"),
        by_path,
    )?;
    sorted(&text, &format!("{package}.workspace = true"), inherited)
}

/// `text` with `line` among the lines that `key` knows, in the order of their keys; `None` when there are none.
fn sorted(text: &str, line: &str, key: impl Fn(&str) -> Option<String>) -> Option<String> {
    let own = key(line)?;
    let mut lines: Vec<&str> = text.lines().collect();
    let keys = || {
        lines
            .iter()
            .enumerate()
            .filter_map(|(index, line)| Some((index, key(line)?)))
    };
    let (last, _) = keys().last()?;
    let next = keys()
        .find(|(_, key)| *key > own)
        .map_or(last + 1, |(index, _)| index);
    lines.insert(next, line);
    Some(lines.join("\n") + "\n")
}

/// A page with a section before the first one whose name comes later, or at the end.
pub(super) fn section(page: &str, name: &str, section: &str) -> String {
    let mut offset = 0;
    for line in page.split_inclusive('\n') {
        if line
            .strip_prefix("## ")
            .is_some_and(|heading| heading.trim_end() > name)
        {
            let (before, behind) = page.split_at(offset);
            return format!(
                "{}\n\n{}\n\n{behind}",
                before.trim_end(),
                section.trim_end()
            );
        }
        offset += line.len();
    }
    format!("{}\n\n{}\n", page.trim_end(), section.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_to_its_place() {
        let list = "[\n    &a::PLUGIN,\n    &c::PLUGIN,\n];\n";
        let expected = "[\n    &a::PLUGIN,\n    &b::PLUGIN,\n    &c::PLUGIN,\n];\n";
        assert_eq!(list_entry(list, "b").unwrap(), expected);
        assert_eq!(
            list_entry("[\n    &a::PLUGIN,\n];\n", "b").unwrap(),
            "[\n    &a::PLUGIN,\n    &b::PLUGIN,\n];\n"
        );
        assert_eq!(list_entry("[];\n", "b"), None);
        assert_eq!(
            module("pub mod b;\nfn c() {}\n", "a").unwrap(),
            "pub mod a;\npub mod b;\nfn c() {}\n"
        );
    }

    #[test]
    fn the_manifest_gets_both_lines() {
        let text = "[workspace.dependencies]\nsdk = { path = \"plugins/sdk\" }\nin_b = { path = \"plugins/in_b\" }\n\n\
            bytes = \"1\"\n\n[dependencies]\nsdk.workspace = true\nin_b.workspace = true\nbytes.workspace = true\n";
        let expected = text
            .replace(
                "plugins/in_b\" }\n",
                "plugins/in_b\" }\nout_a = { path = \"plugins/out_a\" }\n",
            )
            .replace(
                "in_b.workspace = true\n",
                "in_b.workspace = true\nout_a.workspace = true\n",
            );
        assert_eq!(manifest_lines(text, "out_a").unwrap(), expected);
    }

    #[test]
    fn a_section_goes_to_its_place() {
        let page = "# Filters\n\n## a\n\none\n\n## c\n\nthree\n";
        let expected = "# Filters\n\n## a\n\none\n\n## b\n\ntwo\n\n## c\n\nthree\n";
        assert_eq!(section(page, "b", "## b\n\ntwo\n"), expected);
        let expected = "# Filters\n\n## a\n\none\n\n## c\n\nthree\n\n## d\n\nfour\n";
        assert_eq!(section(page, "d", "## d\n\nfour\n"), expected);
    }
}

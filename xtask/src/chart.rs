//! `cargo xtask chart`: the Helm chart, linted, rendered and validated by the real tools; `--write` fills the table of
//! values in its README.

mod objects;
mod table;
mod tools;

use self::{objects::Objects, tools::Tools};
use crate::{process, tree};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where the chart is, from the root.
const CHART: &str = "helm/weir";
/// An old version of Kubernetes that is still in use, and a new one.
const KUBERNETES: [&str; 2] = ["1.31", "1.37"];
/// The default values, and files with others below the chart.
const VARIANTS: [(&str, Option<&str>); 4] = [
    ("default", None),
    ("secured", Some("ci/secured-values.yaml")),
    ("small", Some("ci/small-values.yaml")),
    ("own-config", Some("ci/own-config-values.yaml")),
];
/// The exit code of `weir check` for a configuration with a mistake.
const EXIT_CONFIG: i32 = 78;

/// Runs the command.
pub(crate) fn run(args: &[&str]) -> Result<()> {
    match args {
        [] => check(),
        ["--write"] => {
            let chart = Chart::open()?;
            let readme = chart.readme()?;
            fs::write(&readme.path, table::filled(&readme.text, &readme.table)?)?;
            Ok(())
        }
        _ => bail!("usage: cargo xtask chart [--write]"),
    }
}

/// Runs the whole check, as `cargo xtask test` does.
pub(crate) fn check() -> Result<()> {
    let chart = Chart::open()?;
    let readme = chart.readme()?;
    ensure!(
        table::filled(&readme.text, &readme.table)? == readme.text,
        "the table of values in {CHART}/README.md is old: run `cargo xtask chart --write`"
    );
    for (name, values) in VARIANTS {
        chart
            .variant(name, values)
            .with_context(|| format!("the chart with {name} values"))?;
    }
    chart.refusals()?;
    println!(
        "{} variants, Kubernetes {}",
        VARIANTS.len(),
        KUBERNETES.join(" and ")
    );
    Ok(())
}

/// The chart and what looks at it.
struct Chart {
    root: PathBuf,
    folder: PathBuf,
    /// What is rendered.
    output: PathBuf,
    tools: Tools,
}

/// The README of the chart, and the table that belongs into it.
struct Readme {
    path: PathBuf,
    text: String,
    table: String,
}

impl Chart {
    fn open() -> Result<Self> {
        let root = tree::root()?;
        let target = root.join("target/chart");
        let output = target.join("rendered");
        fs::create_dir_all(&output).with_context(|| format!("make {}", output.display()))?;
        Ok(Self {
            folder: root.join(CHART),
            tools: Tools::ensure(&target)?,
            root,
            output,
        })
    }

    fn readme(&self) -> Result<Readme> {
        let read = |name: &str| {
            let path = self.folder.join(name);
            fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
        };
        let schema: Value = serde_json::from_str(&read("values.schema.json")?)
            .context("values.schema.json is no JSON")?;
        let defaults = self.tools.values(&self.folder.join("values.yaml"))?;
        Ok(Readme {
            path: self.folder.join("README.md"),
            text: read("README.md")?,
            table: table::of(&schema, &defaults)?,
        })
    }

    /// Lints, renders, validates, and checks the configuration that comes out.
    fn variant(&self, name: &str, values: Option<&str>) -> Result<()> {
        println!("chart with {name} values");
        process::run(&mut self.helm(&["lint", "--strict", "--quiet"], values))?;
        let rendered = self.output.join(format!("{name}.yaml"));
        for version in KUBERNETES {
            let text = process::output(
                self.helm(&["template", "--namespace", "logging", "weir"], values)
                    .args(["--kube-version", version]),
            )?;
            fs::write(&rendered, text)?;
            process::run(&mut self.tools.validate(version, &rendered))?;
        }
        let objects = self.tools.objects(&rendered)?;
        objects.check()?;
        let status = self.weir_check(name, &objects, &objects.config()?)?;
        ensure!(
            status == Some(0),
            "`weir check` refuses the rendered configuration"
        );
        Ok(())
    }

    /// Helm with these words, the chart and values.
    fn helm(&self, words: &[&str], values: Option<&str>) -> Command {
        let mut command = self.tools.helm();
        command.args(words).arg(&self.folder);
        if let Some(values) = values {
            command.arg("--values").arg(self.folder.join(values));
        }
        command
    }

    /// Runs `weir check` with the variables that the init container would have; the result is the exit code.
    fn weir_check(&self, name: &str, objects: &Objects, config: &str) -> Result<Option<i32>> {
        let file = self.output.join(format!("{name}.toml"));
        fs::write(&file, config)?;
        let mut command = process::cargo();
        command.args(["run", "--quiet", "--package", "weir", "--"]);
        command.args(["check", "-c"]).arg(&file);
        command.current_dir(&self.root);
        for variable in objects.variables() {
            command.env(variable, "set");
        }
        Ok(command.status().context("start `weir check`")?.code())
    }

    /// What must be refused is: a check that accepts everything is none.
    fn refusals(&self) -> Result<()> {
        println!("what must be refused");
        for wrong in [
            "replicas=three",
            "elasticsearch.hosts={es:9200}",
            "replica=1",
            "elasticsearch.user=weir",
        ] {
            let mut lint = self.helm(&["lint", "--quiet"], None);
            let refused = fails(lint.args(["--set", wrong]))?;
            ensure!(refused, "values.schema.json accepts `{wrong}`");
        }
        let rendered = fs::read_to_string(self.output.join("default.yaml"))?;
        let broken = self.output.join("broken.yaml");
        fs::write(&broken, rendered.replace("replicas: 2", "replicas: two"))?;
        for version in KUBERNETES {
            let refused = fails(&mut self.tools.validate(version, &broken))?;
            ensure!(
                refused,
                "the validator accepts a number of replicas that is text"
            );
        }
        let objects = self.tools.objects(&self.output.join("default.yaml"))?;
        let config = objects.config()?.replace("compression", "compresion");
        let status = self.weir_check("broken", &objects, &config)?;
        ensure!(
            status == Some(EXIT_CONFIG),
            "`weir check` ends with {status:?} for a wrong parameter instead of {EXIT_CONFIG}"
        );
        Ok(())
    }
}

/// Whether a program that is expected to complain does.
fn fails(command: &mut Command) -> Result<bool> {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    Ok(!status.context("start a tool of the chart")?.success())
}

/// The path of a file below a chart, for messages.
fn named(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

//! `cargo xtask chart`: the Helm chart, linted, rendered and validated by the real tools, its configurations checked by
//! the built program; `--write` fills the table of values in its README, `--sync` copies alerts and dashboards into it,
//! `--run` runs what it renders.

mod assets;
mod flags;
mod kept;
mod objects;
mod references;
mod refusals;
mod table;
mod tools;
mod trial;
mod upgrade;

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
/// Our schemas of objects that Kubernetes does not know itself.
const OWN_SCHEMAS: &str = "helm/schemas";
/// The oldest version of Kubernetes that the chart allows, one between, and a new one.
const KUBERNETES: [&str; 3] = ["1.27.0", "1.32.0", "1.37.0"];
/// The release and its namespace.
const RELEASE: [&str; 3] = ["--namespace", "logging", "weir"];
/// The values with which each flag can be turned.
const FLAGS: &str = "ci/flags-values.yaml";

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
        ["--sync"] => assets::sync(&tree::root()?, CHART),
        ["--run"] => trial::run(&Chart::open()?),
        // What `--run` starts with a network and mounts of its own.
        ["--trial", folder] => trial::inside(Path::new(folder)),
        _ => bail!("usage: cargo xtask chart [--write | --sync | --run]"),
    }
}

/// Runs the whole check, as `cargo xtask test` does.
pub(crate) fn check() -> Result<()> {
    let chart = Chart::open()?.with_program()?;
    let readme = chart.readme()?;
    ensure!(
        table::filled(&readme.text, &readme.table)? == readme.text,
        "the table of values in {CHART}/README.md is old: run `cargo xtask chart --write`"
    );
    assets::check(&chart.root, CHART)?;
    let variants = chart.variants()?;
    let rendered = chart.render(&variants)?;
    for version in KUBERNETES {
        chart.supports(version)?;
        println!("{} variants on Kubernetes {version}", variants.len());
        process::quiet(&mut chart.validate(version, &chart.variants_folder()))?;
    }
    for (variant, objects) in variants.iter().zip(chart.tools.objects(&rendered)?) {
        objects
            .check()
            .and_then(|()| references::check(&objects))
            .and_then(|()| chart.configurations(&variant.name, &objects))
            .with_context(|| format!("the chart with {} values", variant.name))?;
    }
    upgrade::check(&chart)?;
    kept::check(&chart)?;
    refusals::check(&chart)?;
    trial::run(&chart)
}

/// The chart and what looks at it.
struct Chart {
    root: PathBuf,
    folder: PathBuf,
    /// What is rendered.
    output: PathBuf,
    tools: Tools,
    weir: PathBuf,
}

/// Values to render the chart with.
struct Variant {
    name: String,
    /// A file below the chart.
    values: String,
    /// What `--set` says besides.
    set: Option<String>,
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
            tools: Tools::ensure(&target, &KUBERNETES)?,
            weir: root.join("target/debug/weir"),
            root,
            output,
        })
    }

    /// Builds what checks configurations.
    fn with_program(self) -> Result<Self> {
        let mut build = process::cargo();
        build.args(["build", "--quiet", "--package", "weir"]);
        process::run(build.current_dir(&self.root))?;
        Ok(self)
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

    /// Each file of values, and each flag turned by itself.
    fn variants(&self) -> Result<Vec<Variant>> {
        let folder = self.folder.join("ci");
        let mut names = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        let mut variants: Vec<Variant> = names
            .iter()
            .filter_map(|name| {
                Some(Variant {
                    name: name.strip_suffix("-values.yaml")?.to_owned(),
                    values: format!("ci/{name}"),
                    set: None,
                })
            })
            .collect();
        let defaults = self.tools.values(&self.folder.join("values.yaml"))?;
        let given = self.tools.values(&self.folder.join(FLAGS))?;
        for (name, set) in flags::turned(&defaults, &given) {
            variants.push(Variant {
                name,
                values: FLAGS.to_owned(),
                set: Some(set),
            });
        }
        Ok(variants)
    }

    /// Lints and renders each variant; the result is their files.
    fn render(&self, variants: &[Variant]) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let folder = self.variants_folder();
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
        }
        fs::create_dir_all(&folder)?;
        for variant in variants {
            let render = |words: &[&str]| {
                let mut command = self.helm(words, &self.folder.join(&variant.values));
                if let Some(set) = &variant.set {
                    command.args(["--set-json", set]);
                }
                command
            };
            let name = &variant.name;
            let lint = ["lint", "--strict", "--quiet", "--kube-version", "1.31.0"];
            process::quiet(&mut render(&lint)).with_context(|| format!("{name} values"))?;
            let file = folder.join(format!("{name}.yaml"));
            let text = process::output(&mut render(&template("1.31.0")))
                .with_context(|| format!("{name} values"))?;
            fs::write(&file, text)?;
            files.push(file);
        }
        Ok(files)
    }

    /// An error unless the chart says that it runs on this version.
    fn supports(&self, version: &str) -> Result<()> {
        let values = self.folder.join("ci/minimal-values.yaml");
        process::quiet(&mut self.helm(&template(version), &values))
    }

    /// Where the variants are, and nothing else.
    fn variants_folder(&self) -> PathBuf {
        self.output.join("variants")
    }

    /// Compares a file, or the files of a folder, with the schemas.
    fn validate(&self, version: &str, manifests: &Path) -> Command {
        let own = self.root.join(OWN_SCHEMAS);
        self.tools.validate(version, &own, manifests)
    }

    /// Helm with these words, the chart and values.
    fn helm(&self, words: &[&str], values: &Path) -> Command {
        let mut command = self.tools.helm();
        command.args(words).arg(&self.folder);
        command.arg("--values").arg(values);
        command
    }

    /// Checks every configuration with the variables that its pod would have.
    fn configurations(&self, name: &str, objects: &Objects) -> Result<()> {
        for run in objects.runs()? {
            let status = self.weir_check(name, &run.role, &run.config, &run.variables)?;
            let role = run.role;
            ensure!(
                status.code == Some(0),
                "`weir check` refuses the configuration of {role}:\n{}",
                status.said
            );
        }
        Ok(())
    }

    /// Runs `weir check` on a text, with these variables and no others.
    fn weir_check(
        &self,
        name: &str,
        role: &str,
        config: &str,
        variables: &[String],
    ) -> Result<Checked> {
        let file = self.output.join(format!("{name}-{role}.toml"));
        fs::write(&file, config)?;
        let mut command = Command::new(&self.weir);
        command.args(["check", "-c"]).arg(&file).env_clear();
        for variable in variables {
            command.env(variable, "set");
        }
        checked(&mut command)
    }
}

/// What `weir check` answered.
struct Checked {
    code: Option<i32>,
    said: String,
}

fn checked(command: &mut Command) -> Result<Checked> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("start `weir check`")?;
    Ok(Checked {
        code: output.status.code(),
        said: [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat(),
    })
}

/// The words of helm that render for a version of Kubernetes.
fn template(version: &str) -> Vec<&str> {
    let [namespace, name, release] = RELEASE;
    vec![
        "template",
        "--kube-version",
        version,
        namespace,
        name,
        release,
    ]
}

//! What must be refused is: a check that accepts everything is none.

use super::{Chart, template};
use anyhow::{Context as _, Result, ensure};
use std::{
    fs,
    process::{Command, Stdio},
};

/// The exit code of `weir check` for a configuration with a mistake.
const EXIT_CONFIG: i32 = 78;
/// Values that the schema refuses.
const WRONG: [&str; 8] = [
    "aggregator.replicas=three",
    "elasticsearch.hosts={es:9200}",
    "replicas=1",
    "elasticsearch.user=weir",
    "tls.certManager.enabled=true",
    "aggregator.kind=Job",
    "agent.buffer.type=memory",
    "aggregator.inputs.syslog.protocol=http",
];
/// Values that the templates refuse, and what they say.
const SENSELESS: [(&str, &str); 5] = [
    ("elasticsearch.hosts=null", "elasticsearch.hosts is empty"),
    (
        "agent.enabled=false,aggregator.enabled=false",
        "nothing would run",
    ),
    (
        "aggregator.enabled=false,sharedKey.enabled=false",
        "forwardTo.servers is empty",
    ),
    (
        "aggregator.enabled=false,agent.forwardTo.servers={a:1}",
        "set sharedKey.existingSecret",
    ),
    (
        "aggregator.autoscaling.enabled=true,aggregator.keda.enabled=true",
        "enable one of them",
    ),
];

/// Tries each.
pub(super) fn check(chart: &Chart) -> Result<()> {
    println!("what must be refused");
    let minimal = chart.folder.join("ci/minimal-values.yaml");
    for wrong in WRONG {
        let mut lint = chart.helm(&["lint", "--quiet", "--kube-version", "1.31.0"], &minimal);
        let (refused, _) = answer(lint.args(["--set", wrong]))?;
        ensure!(refused, "values.schema.json accepts `{wrong}`");
    }
    for (values, expected) in SENSELESS {
        let mut render = chart.helm(&template("1.31.0"), &minimal);
        let (refused, said) = answer(render.args(["--set", values]))?;
        ensure!(
            refused && said.contains(expected),
            "`{values}` is answered with: {said}"
        );
    }
    manifests(chart)?;
    hook(chart)
}

/// The validator finds what is wrong, in objects of Kubernetes and of others.
fn manifests(chart: &Chart) -> Result<()> {
    let rendered = fs::read_to_string(chart.variants_folder().join("everything.yaml"))?;
    for (right, wrong) in [
        ("backoffLimit: 0", "backoffLimit: none"),
        ("minReplicaCount: 2", "minReplicas: 2"),
    ] {
        ensure!(rendered.contains(right), "nothing is rendered as `{right}`");
        let broken = chart.output.join("broken.yaml");
        fs::write(&broken, rendered.replace(right, wrong))?;
        for version in super::KUBERNETES {
            let mut validate = chart.validate(version, &broken);
            let (refused, _) = answer(&mut validate)?;
            ensure!(refused, "the validator accepts `{wrong}`");
        }
    }
    Ok(())
}

/// A configuration with a mistake makes the command of the hook fail, with a message that names the mistake.
fn hook(chart: &Chart) -> Result<()> {
    let values = chart.folder.join("ci/minimal-values.yaml");
    let mut render = chart.helm(&template("1.31.0"), &values);
    render.args([
        "--set-json",
        r#"aggregator.extraConfig="[[match]]\ntag = \"x\"\ntype = \"elasticsearchh\"""#,
    ]);
    let file = chart.output.join("mistake.yaml");
    fs::write(&file, crate::process::output(&mut render)?)?;
    let mut objects = chart.tools.objects(&[file])?;
    let objects = objects.pop().context("nothing was rendered")?;
    let runs = objects.runs()?;
    let run = runs
        .iter()
        .find(|run| run.role.starts_with("Job-weir-check-check"))
        .context("no hook checks the aggregator")?;
    ensure!(run.args == ["check", "-c", "/etc/weir/weir.toml"]);
    let checked = chart.weir_check("mistake", &run.role, &run.config, &run.variables)?;
    ensure!(
        checked.code == Some(EXIT_CONFIG) && checked.said.contains("elasticsearchh"),
        "the hook ends with {:?} for a mistake instead of {EXIT_CONFIG}, and says: {}",
        checked.code,
        checked.said
    );
    Ok(())
}

/// Whether a program that is expected to complain does, and what it says.
fn answer(command: &mut Command) -> Result<(bool, String)> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.context("start a tool of the chart")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((!output.status.success(), said))
}

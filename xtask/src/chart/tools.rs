//! The real helm and a real validator with the schemas of Kubernetes, in pinned versions, and what reads YAML.

use super::objects::Objects;
use crate::{packages, process, python, stamp};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Go programs.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";
const KUBECONFORM: &str = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0";
/// Where the schemas of Kubernetes come from, and what reads YAML.
const PYTHON: &str = "kubernetes-validate==1.37.0\npyyaml==6.0.3\n";
/// Copies the schemas of a package into a folder, with references that lead to files beside them.
const COPY_SCHEMAS: &str = r#"
import glob, json, os, sys, kubernetes_validate
target, versions = sys.argv[1], sys.argv[2:]
for version in versions:
    source = f"{os.path.dirname(kubernetes_validate.__file__)}/kubernetes-json-schema/v{version}-local-strict"
    folder = f"{target}/v{version}-strict"
    os.makedirs(folder, exist_ok=True)
    files = glob.glob(source + "/*.json")
    assert files, f"no schemas of {version}"
    for file in files:
        schema = json.loads(open(file).read().replace('"/api/_definitions.json', '"_definitions.json'))
        schema.pop("$id", None)
        json.dump(schema, open(f"{folder}/{os.path.basename(file)}", "w"))
"#;
/// Prints the documents of YAML files as one JSON array of arrays.
const TO_JSON: &str = "import json, sys, yaml; json.dump([list(yaml.load_all(open(name), \
    getattr(yaml, 'CSafeLoader', yaml.SafeLoader))) for name in sys.argv[1:]], sys.stdout)";

/// Where the tools are.
pub(super) struct Tools {
    helm: PathBuf,
    kubeconform: PathBuf,
    python: PathBuf,
    schemas: PathBuf,
}

impl Tools {
    /// Installs what is missing, with schemas of these versions of Kubernetes.
    pub(super) fn ensure(target: &Path, versions: &[&str]) -> Result<Self> {
        packages::ensure_program("go", "golang-go")?;
        let helm = go_program(target, "helm", HELM)?;
        let kubeconform = go_program(target, "kubeconform", KUBECONFORM)?;
        let python = target.join("python");
        python::ensure(&python, PYTHON)?;
        let schemas = target.join("schemas");
        stamp::ensure(&schemas, &format!("{PYTHON}{versions:?}"), || {
            let mut copy = Command::new(python.join("bin/python"));
            copy.args(["-c", COPY_SCHEMAS]).arg(&schemas).args(versions);
            process::run(&mut copy)
        })?;
        Ok(Self {
            helm,
            kubeconform,
            python: python.join("bin"),
            schemas,
        })
    }

    pub(super) fn helm(&self) -> Command {
        Command::new(&self.helm)
    }

    /// Compares manifests with the schemas of a version of Kubernetes, and with ours of what Kubernetes does not know.
    pub(super) fn validate(&self, version: &str, own: &Path, manifests: &Path) -> Command {
        let mut command = Command::new(&self.kubeconform);
        command.args(["-strict", "-summary", "-kubernetes-version", version]);
        let builtin = "{{ .NormalizedKubernetesVersion }}{{ .StrictSuffix }}/{{ .ResourceKind }}{{ .KindSuffix }}.json";
        let custom = "{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json";
        command
            .arg("-schema-location")
            .arg(self.schemas.join(builtin));
        command.arg("-schema-location").arg(own.join(custom));
        command.arg(manifests);
        command
    }

    /// The objects in rendered files, in their order.
    pub(super) fn objects(&self, manifests: &[PathBuf]) -> Result<Vec<Objects>> {
        let documents = self.documents(manifests)?;
        Ok(documents.into_iter().map(Objects::new).collect())
    }

    /// The values in a file.
    pub(super) fn values(&self, file: &Path) -> Result<Value> {
        let mut files = self.documents(&[file.to_path_buf()])?;
        let first = files
            .pop()
            .and_then(|documents| documents.into_iter().next());
        first.with_context(|| format!("{} is empty", file.display()))
    }

    fn documents(&self, files: &[PathBuf]) -> Result<Vec<Vec<Value>>> {
        let mut command = Command::new(self.python.join("python"));
        let text = process::output(command.args(["-c", TO_JSON]).args(files))?;
        let mut documents: Vec<Vec<Value>> =
            serde_json::from_str(&text).context("read rendered YAML as JSON")?;
        for file in &mut documents {
            file.retain(|document| !document.is_null());
        }
        Ok(documents)
    }
}

/// Builds a Go program unless it is there; the result is its path.
fn go_program(target: &Path, name: &str, module: &str) -> Result<PathBuf> {
    let folder = target.join(name);
    stamp::ensure(&folder, module, || {
        println!("building {module}");
        let folder = fs::canonicalize(&folder)?;
        let mut install = Command::new("go");
        install.args(["install", module]).env("GOBIN", folder);
        process::run(&mut install)
    })?;
    Ok(folder.join(name))
}

//! The real helm and a validator with the schemas of Kubernetes inside, in pinned versions.

use super::{named, objects::Objects};
use crate::{packages, process, python, stamp};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A Go program.
const HELM: &str = "helm.sh/helm/v3/cmd/helm@v3.22.0";
/// The validator, and what reads YAML for it and for us.
const PYTHON: &str = "kubernetes-validate==1.37.0\npyyaml==6.0.3\n";
/// Prints the documents of a YAML file as one JSON array.
const TO_JSON: &str =
    "import json, sys, yaml; json.dump(list(yaml.safe_load_all(open(sys.argv[1]))), sys.stdout)";

/// Where the tools are.
pub(super) struct Tools {
    helm: PathBuf,
    python: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub(super) fn ensure(target: &Path) -> Result<Self> {
        let (helm, python) = (target.join("helm"), target.join("python"));
        packages::ensure_program("go", "golang-go")?;
        stamp::ensure(&helm, HELM, || {
            println!("building {HELM}");
            let mut install = Command::new("go");
            install.args(["install", HELM]).env("GOBIN", &helm);
            process::run(&mut install)
        })?;
        python::ensure(&python, PYTHON)?;
        Ok(Self {
            helm: helm.join("helm"),
            python: python.join("bin"),
        })
    }

    pub(super) fn helm(&self) -> Command {
        Command::new(&self.helm)
    }

    /// Compares manifests with the schemas of a version of Kubernetes.
    pub(super) fn validate(&self, version: &str, manifests: &Path) -> Command {
        let mut command = Command::new(self.python.join("kubernetes-validate"));
        command.args(["--quiet", "--strict", "--kubernetes-version", version]);
        command.arg(manifests);
        command
    }

    /// The objects in a rendered file.
    pub(super) fn objects(&self, manifests: &Path) -> Result<Objects> {
        self.documents(manifests).map(Objects::new)
    }

    /// The values in a file.
    pub(super) fn values(&self, file: &Path) -> Result<Value> {
        let first = self.documents(file)?.into_iter().next();
        first.with_context(|| format!("{} is empty", named(file)))
    }

    fn documents(&self, file: &Path) -> Result<Vec<Value>> {
        let mut command = Command::new(self.python.join("python"));
        let text = process::output(command.args(["-c", TO_JSON]).arg(file))?;
        let documents: Vec<Value> =
            serde_json::from_str(&text).with_context(|| format!("read {} as JSON", named(file)))?;
        Ok(documents
            .into_iter()
            .filter(|document| !document.is_null())
            .collect())
    }
}

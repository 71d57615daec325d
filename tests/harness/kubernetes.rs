//! Kubernetes' own API machinery: etcd, an API server for custom resources, and a proxy that shows these as pods.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{clients, eventually, free_port, http};

/// The installation that `cargo xtask clients` makes.
fn installed() -> PathBuf {
    clients::installed("kubernetes")
}

/// A running cluster without nodes.
pub(crate) struct Cluster {
    folder: TempDir,
    etcd_port: u16,
    api_port: u16,
    etcd: Process,
    api: Option<Process>,
    proxy: Option<Process>,
    /// Where the proxy is: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Cluster {
    /// Starts everything and defines pods and namespaces.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("weir-kubernetes-").expect("a folder");
        let (etcd_port, api_port) = (free_port(), free_port());
        let etcd = etcd(folder.path(), etcd_port);
        let mut cluster = Self {
            folder,
            etcd_port,
            api_port,
            etcd,
            api: None,
            proxy: None,
            url: String::new(),
        };
        cluster.start_api();
        let (proxy, port) = proxy(api_port);
        cluster.proxy = Some(proxy);
        cluster.url = format!("http://127.0.0.1:{port}");
        cluster.wait_for_api();
        cluster.define("pods", "Pod", "Namespaced");
        cluster.define("namespaces", "Namespace", "Cluster");
        cluster
    }

    /// Starts the API server, after it was killed too.
    pub(crate) fn start_api(&mut self) {
        let folder = self.folder.path();
        let certificates = installed().join("certificates");
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, KUBECONFIG).expect("a file");
        let file = |path: &Path| path.to_str().expect("a plain path").to_owned();
        let mut command = Command::new(installed().join("bin/apiextensions-apiserver"));
        command
            .args(["--etcd-servers", &format!("http://127.0.0.1:{}", self.etcd_port)])
            .args(["--bind-address", "127.0.0.1", "--secure-port", &self.api_port.to_string()])
            .args(["--cert-dir", &file(&folder.join("certificates"))])
            .args(["--kubeconfig", &file(&kubeconfig)])
            .args(["--authentication-kubeconfig", &file(&kubeconfig)])
            .args(["--authorization-kubeconfig", &file(&kubeconfig)])
            .arg("--authentication-skip-lookup")
            .args(["--client-ca-file", &file(&certificates.join("ca.crt"))])
            .arg("--enable-priority-and-fairness=false")
            .arg("--disable-admission-plugins=NamespaceLifecycle,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,ValidatingAdmissionPolicy,MutatingAdmissionPolicy");
        self.api = Some(start(command));
    }

    /// Kills the API server; what it stored stays in etcd.
    pub(crate) fn kill_api(&mut self) {
        self.api = None;
    }

    /// Waits until the API server serves custom resources.
    pub(crate) fn wait_for_api(&self) {
        eventually("the API server serves custom resources", 60, || {
            let (_, body) = http::get(&format!("{}/readyz?verbose", self.url));
            body.contains("crd-informer-synced ok").then_some(())
        });
    }

    /// Tells the proxy something; `tests/clients/kubernetes/proxy.py` lists what.
    pub(crate) fn control(&self, what: &str) {
        let (status, _) = http::get(&format!("{}/_control?{what}", self.url));
        assert_eq!(status, 200, "the proxy does not answer");
    }

    /// Makes a namespace with these labels.
    pub(crate) fn namespace(&self, name: &str, labels: &Value) {
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        self.make("/api/v1/namespaces", &object);
    }

    /// Makes a pod with one container `app` on this node; returns its uid.
    pub(crate) fn pod(&self, namespace: &str, name: &str, node: &str, labels: &Value) -> String {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": namespace, "labels": labels },
            "spec": { "nodeName": node, "containers": [{ "name": "app", "image": "app:1" }] },
            "status": { "podIP": "10.0.0.7" },
        });
        let made = self.make(&format!("/api/v1/namespaces/{namespace}/pods"), &object);
        made["metadata"]["uid"].as_str().expect("a uid").to_owned()
    }

    /// Deletes a pod.
    pub(crate) fn delete_pod(&self, namespace: &str, name: &str) {
        let url = format!("{}/api/v1/namespaces/{namespace}/pods/{name}", self.url);
        let (status, body) = http::send("DELETE", &url, &json!({}));
        assert_eq!(status, 200, "{body}");
    }

    fn make(&self, path: &str, object: &Value) -> Value {
        let url = format!("{}{path}", self.url);
        // A definition that was just made is served a moment later.
        eventually("the object is made", 30, || {
            let (status, body) = http::send("POST", &url, object);
            (status == 201).then(|| serde_json::from_str(&body).expect("an object"))
        })
    }

    fn define(&self, plural: &str, kind: &str, scope: &str) {
        let text = json!({ "type": "string" });
        let mut version = json!({
            "name": "v1", "served": true, "storage": true,
            "schema": { "openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                "properties": { "spec": { "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": { "nodeName": text } } },
            } },
        });
        if kind == "Pod" {
            version["selectableFields"] = json!([{ "jsonPath": ".spec.nodeName" }]);
        }
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.mirror.weir.test"), "annotations": { "api-approved.kubernetes.io": "unapproved" } },
            "spec": {
                "group": "mirror.weir.test", "scope": scope,
                "names": { "plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List") },
                "versions": [version],
            },
        });
        self.make(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            &definition,
        );
        eventually("the resource is served", 30, || {
            let (status, _) = http::get(&format!("{}/api/v1/{plural}", self.url));
            (status == 200).then_some(())
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The API server first: without its storage it would only complain.
        self.proxy = None;
        self.api = None;
        drop(self.etcd.0.kill());
    }
}

fn etcd(folder: &Path, port: u16) -> Process {
    let data = folder.join("etcd");
    let url = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port());
    let mut command = Command::new(installed().join("root/usr/bin/etcd"));
    command
        .arg("--data-dir")
        .arg(&data)
        .args([
            "--listen-client-urls",
            &url,
            "--advertise-client-urls",
            &url,
        ])
        .args([
            "--listen-peer-urls",
            &peer,
            "--initial-advertise-peer-urls",
            &peer,
        ])
        .args(["--initial-cluster", &format!("default={peer}")])
        // It is gone after the test.
        .arg("--unsafe-no-fsync");
    let etcd = start(command);
    eventually("etcd answers", 30, || {
        (http::get(&format!("{url}/health")).0 == 200).then_some(())
    });
    etcd
}

fn proxy(api_port: u16) -> (Process, u16) {
    let mut child = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/clients/kubernetes/proxy.py"
        ))
        .arg(api_port.to_string())
        .arg(installed().join("certificates"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut line = String::new();
    let output = child.stdout.take().expect("a pipe");
    BufReader::new(output).read_line(&mut line).expect("a line");
    (Process(child), line.trim().parse().expect("a port"))
}

fn start(mut command: Command) -> Process {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Process(command.spawn().expect("the program starts"))
}

/// Names a core API server that never answers: this one serves custom resources only.
const KUBECONFIG: &str = r#"apiVersion: v1
kind: Config
clusters: [{ name: none, cluster: { server: "http://127.0.0.1:1" } }]
users: [{ name: nobody, user: {} }]
contexts: [{ name: none, context: { cluster: none, user: nobody } }]
current-context: none
"#;

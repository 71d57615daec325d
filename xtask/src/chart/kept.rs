//! Secrets that the chart makes itself: an upgrade keeps what the cluster holds, and makes a certificate anew only when its
//! names change. The cluster is scripted; helm asks it as it would ask a real one.

use super::{
    Chart,
    objects::{Objects, name},
    template,
};
use crate::process;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    thread,
};

const KEY: &str = "weir-key";
const TLS: &str = "weir-tls";

/// Installs, upgrades, and upgrades with another name, each as far as rendering goes.
pub(super) fn check(chart: &Chart) -> Result<()> {
    let first = render(chart, "kept-first", None, &[])?;
    let other = render(chart, "kept-other", None, &[])?;
    for name in [KEY, TLS] {
        ensure!(
            data(&first, name)? != data(&other, name)?,
            "two installations have the same {name}"
        );
    }
    let cluster = serve(chart, &first)?;
    let upgrade = render(chart, "kept-upgrade", Some(&cluster), &[])?;
    for name in [KEY, TLS] {
        ensure!(
            data(&first, name)? == data(&upgrade, name)?,
            "an upgrade changes {name}"
        );
    }
    let set = ["--set", "tls.extraNames={logs.example.org}"];
    let renamed = render(chart, "kept-renamed", Some(&cluster), &set)?;
    ensure!(
        data(&first, KEY)? == data(&renamed, KEY)?,
        "another name in the certificate changes the key"
    );
    ensure!(
        data(&first, TLS)? != data(&renamed, TLS)?,
        "a certificate is kept although it lacks a name"
    );
    println!("an upgrade keeps key and certificate");
    Ok(())
}

fn data<'a>(objects: &'a Objects, name: &str) -> Result<&'a Value> {
    let secret = objects.named("Secret", name)?;
    secret.pointer("/data").context("a Secret without data")
}

fn render(chart: &Chart, name: &str, cluster: Option<&PathBuf>, set: &[&str]) -> Result<Objects> {
    let values = chart.folder.join("ci/minimal-values.yaml");
    let mut helm = chart.helm(&template("1.34.0"), &values);
    if let Some(cluster) = cluster {
        helm.arg("--dry-run=server")
            .arg("--kubeconfig")
            .arg(cluster);
    }
    let file = chart.output.join(format!("{name}.yaml"));
    fs::write(&file, process::output(helm.args(set))?)?;
    let mut objects = chart.tools.objects(&[file])?;
    objects.pop().context("nothing was rendered")
}

/// A cluster that holds the Secrets of a release; the result is the file that leads helm to it.
fn serve(chart: &Chart, release: &Objects) -> Result<PathBuf> {
    let secrets = json!({
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            { "name": "secrets", "singularName": "secret", "namespaced": true, "kind": "Secret", "verbs": ["get"] },
        ],
    });
    let mut answers = HashMap::from([
        (
            "/version".to_owned(),
            json!({ "major": "1", "minor": "34", "gitVersion": "v1.34.0" }),
        ),
        (
            "/api".to_owned(),
            json!({ "kind": "APIVersions", "versions": ["v1"] }),
        ),
        (
            "/apis".to_owned(),
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [] }),
        ),
        ("/api/v1".to_owned(), secrets),
    ]);
    for secret in release.of_kind("Secret") {
        let path = format!("/api/v1/namespaces/logging/secrets/{}", name(secret));
        answers.insert(path, secret.clone());
    }
    let listener = TcpListener::bind("127.0.0.1:0").context("listen as a cluster")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // helm says what it did not get.
            drop(answer(&stream, &answers));
        }
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "scripted", "cluster": { "server": format!("http://{address}") } }],
        "users": [{ "name": "nobody", "user": {} }],
        "contexts": [{ "name": "scripted", "context": { "cluster": "scripted", "user": "nobody" } }],
        "current-context": "scripted",
    });
    let file = chart.output.join("cluster.json");
    fs::write(&file, config.to_string())?;
    Ok(file)
}

/// Answers one request, and closes.
fn answer(stream: &TcpStream, answers: &HashMap<String, Value>) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).context("no path")?;
    let path = path.split('?').next().unwrap_or(path);
    let missing = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404 });
    let (status, body) = match answers.get(path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", &missing),
    };
    let body = body.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn a_scripted_cluster_answers_what_it_has() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answers = HashMap::from([("/a".to_owned(), json!({ "b": 1 }))]);
        let server = thread::spawn(move || {
            for _ in 0..2 {
                answer(&listener.accept().unwrap().0, &answers).unwrap();
            }
        });
        for (path, expected) in [("/a?timeout=1", "200 OK"), ("/c", "404 Not Found")] {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert!(text.starts_with(&format!("HTTP/1.1 {expected}")), "{text}");
        }
        server.join().unwrap();
    }
}

//! The server with TLS and credentials. What these do not open is kept, and is there once when they do.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

use super::send;
use crate::{
    harness::{
        Sender, Weir, holds,
        servers::{Server, output},
        weir::Home,
    },
    matrix,
    reload::kit::{SERVICE, put, reload},
};

/// Records of a test.
const RECORDS: u32 = 100;
/// The password of users that tests make; the server looks at how strong it is.
const PASSWORD: &str = "Drei-graue-Gaense-7";

#[test]
fn every_operation_does_its_work() {
    matrix::every_operation(&Server::guarded());
}

#[test]
fn documents_are_written_through_an_alias() {
    matrix::an_alias(&Server::guarded());
}

#[test]
fn documents_pass_an_ingest_pipeline_and_wait_for_one_that_is_missing() {
    matrix::a_pipeline(&Server::guarded());
}

fn config(parameters: &str) -> String {
    format!("{SERVICE}{}", output("es", "**", parameters))
}

/// Sends the records with this tag.
fn load(weir: &Weir, tag: &str) {
    let records: Vec<_> = (0..RECORDS).map(|n| json!({ "n": n })).collect();
    send(&mut Sender::connect(weir.listens("in")), tag, &records);
}

/// Waits until it was tried more than once for `kind`, and sees that nothing was lost or put aside.
fn is_kept(weir: &Weir, kind: &str) {
    let label = format!("kind=\"{kind}\"");
    holds("it is tried again", 30, &true, || {
        weir.metrics().sum("weir_output_errors_total", &[&label]) > 1.0
    });
    let metrics = weir.metrics();
    assert_eq!(metrics.sum("weir_held_records", &[]), f64::from(RECORDS));
    assert_eq!(metrics.sum("weir_dead_letter_records_total", &[]), 0.0);
}

/// Runs with a configuration that does not open the server, and then with one that does: everything is there once.
fn is_kept_until_mended(kind: &str, wrong: &dyn Fn(&Server) -> String) {
    let server = Server::guarded();
    let index = server.fresh_index(kind);
    let parameters = |access: String| format!("{access}\nindex = \"{index}\"");
    let home = Home::new(&config(&parameters(wrong(&server))));
    let weir = home.start();
    load(&weir, "a");
    is_kept(&weir, kind);
    assert_eq!(server.count(&index), 0);
    put(&home, &config(&parameters(server.access())));
    let (status, answer) = reload(&weir);
    assert_eq!(status, 200, "{answer}");
    weir.settles(30);
    assert_eq!(server.count(&index), u64::from(RECORDS));
    assert!(weir.stop().success());
}

#[test]
fn a_wrong_password_loses_nothing() {
    is_kept_until_mended("auth", &|server| {
        let login = server.login.as_ref().expect("it is guarded");
        let right = format!("password = \"{}\"", login.password);
        let wrong = server.access().replace(&right, "password = \"wrong\"");
        assert_ne!(wrong, server.access());
        wrong
    });
}

#[test]
fn a_server_without_a_known_authority_is_sent_nothing() {
    is_kept_until_mended("tls", &|server| {
        let lines = server.access();
        let rest: Vec<&str> = lines
            .lines()
            .filter(|line| !line.starts_with("ca_file"))
            .collect();
        assert_eq!(rest.len() + 1, lines.lines().count());
        rest.join("\n")
    });
}

/// What opens the server for the indexes `NAME-open` only: parameters of the output.
fn restricted(server: &Server, name: &str) -> String {
    let login = server.login.as_ref().expect("it is guarded");
    let base = format!(
        "hosts = [\"{}\"]\nca_file = \"{}\"\n",
        server.url,
        login.ca_file.display()
    );
    if !server.is_opensearch() {
        let (id, key) = key(server, name, &format!("{name}-open"));
        return format!("{base}api_key = \"{id}:{key}\"");
    }
    allow(server, name, &format!("{name}-open"));
    let security = "/_plugins/_security/api";
    let user = json!({ "password": PASSWORD, "opendistro_security_roles": [name] });
    server.send("PUT", &format!("{security}/internalusers/{name}"), &user);
    format!("{base}user = \"{name}\"\npassword = \"{PASSWORD}\"")
}

/// An API key that may write to the indexes of a pattern: its id and secret.
fn key(server: &Server, name: &str, pattern: &str) -> (String, String) {
    let body = json!({ "name": name, "role_descriptors": roles(pattern) });
    let answer = server.send("POST", "/_security/api_key", &body);
    let text = |key: &str| answer[key].as_str().expect("text").to_owned();
    (text("id"), text("api_key"))
}

fn roles(pattern: &str) -> serde_json::Value {
    let indexes = json!([{ "names": [pattern], "privileges": ["create_doc", "auto_configure"] }]);
    json!({ "w": { "cluster": [], "indices": indexes } })
}

/// Lets the role of OpenSearch write to the indexes of a pattern.
fn allow(server: &Server, role: &str, pattern: &str) {
    let body = json!({
        "cluster_permissions": ["indices:data/write/bulk"],
        "index_permissions": [{
            "index_patterns": [pattern],
            "allowed_actions": ["crud", "create_index"],
        }],
    });
    server.send(
        "PUT",
        &format!("/_plugins/_security/api/roles/{role}"),
        &body,
    );
}

/// Lets what [`restricted`] made write everywhere.
fn widen(server: &Server, name: &str, parameters: &str) {
    if server.is_opensearch() {
        return allow(server, name, &format!("{name}-*"));
    }
    let (_, key) = parameters.split_once("api_key = \"").expect("a key");
    let (id, _) = key.split_once(':').expect("id and secret");
    let body = json!({ "role_descriptors": roles(&format!("{name}-*")) });
    server.send("PUT", &format!("/_security/api_key/{id}"), &body);
}

/// Of one request, the documents that the credentials may write are there at once; the others are kept until they may.
#[test]
fn what_credentials_may_not_write_is_kept_and_the_rest_delivered() {
    let server = Server::guarded();
    let name = server.fresh_index("kept");
    let access = restricted(&server, &name);
    let home = Home::new(&config(&format!("{access}\nindex = \"{name}-${{tag}}\"")));
    let weir = home.start();
    load(&weir, "shut");
    load(&weir, "open");
    holds("what is allowed arrives", 30, &u64::from(RECORDS), || {
        server.count(&format!("{name}-open"))
    });
    is_kept(&weir, "auth");
    assert_eq!(server.count(&format!("{name}-shut")), 0);
    widen(&server, &name, &access);
    weir.settles(30);
    assert_eq!(server.count(&format!("{name}-*")), u64::from(2 * RECORDS));
    assert!(weir.stop().success());
}

#[test]
fn what_credentials_may_not_write_goes_to_the_dead_letter_where_that_is_asked_for() {
    let server = Server::guarded();
    let name = server.fresh_index("aside");
    let access = restricted(&server, &name);
    let parameters =
        format!("{access}\nindex = \"{name}-${{tag}}\"\non_auth_error = \"dead_letter\"");
    let home = Home::new(&config(&parameters));
    let weir = home.start();
    load(&weir, "shut");
    load(&weir, "open");
    weir.settles(30);
    assert_eq!(server.count(&format!("{name}-*")), u64::from(RECORDS));
    let dead = home.records("data/dead");
    assert_eq!(dead.len(), RECORDS as usize);
    let is_about_security = dead[0].to_string().contains("security_exception");
    assert!(is_about_security, "{}", dead[0]);
    assert!(weir.stop().success());
}

/// Elasticsearch takes a key in both forms. OpenSearch knows none: then it is as a wrong password is.
#[test]
fn an_api_key_is_taken_raw_and_encoded() {
    let server = Server::guarded();
    if server.is_opensearch() {
        return is_kept_until_mended("auth", &|server| {
            let login = server.login.as_ref().expect("it is guarded");
            let ca_file = login.ca_file.display();
            format!(
                "hosts = [\"{}\"]\nca_file = \"{ca_file}\"\napi_key = \"a:b\"",
                server.url
            )
        });
    }
    let name = server.fresh_index("key");
    let (id, secret) = key(&server, &name, &format!("{name}-*"));
    let login = server.login.as_ref().expect("it is guarded");
    let raw = format!("{id}:{secret}");
    for (form, key) in [("raw", raw.clone()), ("encoded", STANDARD.encode(&raw))] {
        let parameters = format!(
            "hosts = [\"{}\"]\nca_file = \"{}\"\napi_key = \"{key}\"\nindex = \"{name}-{form}\"",
            server.url,
            login.ca_file.display()
        );
        let home = Home::new(&config(&parameters));
        let weir = home.start();
        load(&weir, "a");
        weir.settles(30);
        let count = server.count(&format!("{name}-{form}"));
        assert_eq!(count, u64::from(RECORDS), "{form}");
        assert!(weir.stop().success());
    }
}

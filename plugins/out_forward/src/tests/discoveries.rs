//! Servers that are found in a file and in the DNS, and lost again.

use std::{
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use forward_protocol::handshake::{Terms, User};
use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode},
    rr::{Name, RData, Record, rdata::SRV},
};
use sdk::{
    config::Secret,
    output::{Outcome, Output},
    plugin::BuildCx,
};
use serde_json::{Value, json};
use tokio::{net::UdpSocket, task::AbortHandle};

use super::{
    down, eventually, numbered, output, run,
    server::{Answers, Script, Server},
    with_context, write,
};
use crate::build;

/// Writes until the record arrived at `server`, because the others are gone or not there yet.
async fn arrives_at(server: &Server, output: &Arc<dyn Output>) {
    let before = server.messages().len();
    for n in 0..4_000 {
        if matches!(write(output, &[numbered(n)]).await, Outcome::Delivered)
            && server.messages().len() > before
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("nothing arrived at the server");
}

#[tokio::test]
async fn a_file_is_read_again_when_it_changes() {
    let (first, second) = (Server::start(Answers::Right), Server::start(Answers::Right));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("servers.yaml");
    let list =
        |server: &Server| format!("- host: 127.0.0.1\n  port: {}\n  name: it\n", server.port);
    fs::write(&path, list(&first)).unwrap();
    let more = json!({ "service_discovery": [{ "type": "file", "path": path }] });
    let cx = BuildCx::detached("test");
    let output = with_context(&[], &more, &cx);
    let failure = down(write(&output, &[numbered(0)]).await);
    assert_eq!(failure.message, "there is no server with a weight above 0");
    let running = run(&output);
    arrives_at(&first, &output).await;
    // What cannot be read changes nothing.
    fs::write(&path, "- hots: a").unwrap();
    arrives_at(&first, &output).await;
    fs::write(&path, list(&second)).unwrap();
    arrives_at(&second, &output).await;
    let taken = first.messages().len();
    arrives_at(&second, &output).await;
    assert_eq!(first.messages().len(), taken);
    assert!(
        cx.metrics
            .encode()
            .contains("weir_forward_node_up{node=\"it\"} 1\n")
    );
    fs::write(&path, "[]").unwrap();
    eventually("the server is no longer one", || {
        cx.metrics
            .encode()
            .contains("weir_forward_node_up{node=\"it\"} 0\n")
    })
    .await;
    running.stop();
}

/// A name server that knows SRV records of one name, and how often it was asked.
struct NameServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<SRV>>>,
    task: AbortHandle,
}

impl NameServer {
    async fn start(records: Vec<SRV>) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let records = Arc::new(Mutex::new(records));
        let known = Arc::clone(&records);
        let task = tokio::spawn(async move {
            let mut bytes = [0; 1024];
            while let Ok((len, peer)) = socket.recv_from(&mut bytes).await {
                let question = Message::from_vec(&bytes[..len]).unwrap();
                let answer = answer(&question, &known.lock().unwrap());
                socket.send_to(&answer, peer).await.unwrap();
            }
        });
        Self {
            address,
            records,
            task: task.abort_handle(),
        }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn answer(question: &Message, records: &[SRV]) -> Vec<u8> {
    let mut answer = Message::new(question.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.recursion_available = true;
    for query in &question.queries {
        assert_eq!(query.name().to_utf8(), "_fluentd._tcp.logs.example.");
        for record in records {
            let record = RData::SRV(record.clone());
            answer.add_answer(Record::from_rdata(query.name().clone(), 5, record));
        }
        answer.add_query(query.clone());
    }
    answer.to_vec().unwrap()
}

fn record(priority: u16, server: &Server) -> SRV {
    SRV::new(
        priority,
        0,
        server.port,
        Name::from_utf8("localhost.").unwrap(),
    )
}

#[tokio::test]
async fn srv_records_name_servers_and_standbys() {
    let (first, second) = (Server::start(Answers::Right), Server::start(Answers::Right));
    let names = NameServer::start(vec![record(1, &first), record(2, &second)]).await;
    let more = json!({ "service_discovery": [{
        "type": "srv",
        "service": "fluentd",
        "hostname": "logs.example",
        "dns_server_host": names.address.to_string(),
        "interval": "50ms",
    }] });
    let output = output(&[], &more);
    let running = run(&output);
    arrives_at(&first, &output).await;
    for n in 0..5 {
        assert_eq!(write(&output, &[numbered(n)]).await, Outcome::Delivered);
    }
    assert!(second.messages().is_empty(), "it stands by");
    *names.records.lock().unwrap() = vec![record(1, &second)];
    arrives_at(&second, &output).await;
    running.stop();
}

/// What stands in the table of the discovery goes before what stands in `security`.
#[tokio::test]
async fn srv_records_come_with_a_key_and_a_user() {
    let mut terms = Terms::open("server.example", Secret::new("the key of these servers"));
    let alice = User {
        username: "alice".to_owned(),
        password: Secret::new("wonder"),
    };
    terms.users = Some([alice].into());
    let mut script = Script::new(Answers::Right);
    script.terms = Some(terms);
    let server = Server::follow(script, 0);
    let names = NameServer::start(vec![record(1, &server)]).await;
    let with = |changes: Value| {
        let mut lookup = json!({
            "type": "srv",
            "service": "fluentd",
            "hostname": "logs.example",
            "dns_server_host": names.address.to_string(),
            "interval": "50ms",
            "shared_key": "the key of these servers",
            "username": "alice",
            "password": "wonder",
        });
        for (key, value) in changes.as_object().unwrap() {
            lookup[key] = value.clone();
        }
        let security = json!({ "self_hostname": "client.example", "shared_key": "of others" });
        json!({ "service_discovery": [lookup], "security": security, "heartbeat_type": "none" })
    };
    for (changes, reason) in [
        (json!({ "shared_key": null }), "shared_key mismatch"),
        (json!({ "username": "bob" }), "username/password mismatch"),
        (json!({ "password": "land" }), "username/password mismatch"),
    ] {
        let output = output(&[], &with(changes));
        let running = run(&output);
        assert_eq!(failure_of_a_server(&output).await, reason);
        running.stop();
    }
    let output = output(&[], &with(json!({})));
    let running = run(&output);
    arrives_at(&server, &output).await;
    running.stop();
}

/// Why the server that is found refuses the handshake.
async fn failure_of_a_server(output: &Arc<dyn Output>) -> String {
    for _ in 0..4_000 {
        let failure = down(write(output, &[numbered(0)]).await);
        if let Some((_, reason)) = failure.message.split_once("refused the handshake: \"") {
            return reason.split('"').next().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("no server was found");
}

#[test]
fn what_is_missing_is_said() {
    let message = |table: Value| {
        let params = json!({ "service_discovery": [table] });
        let errors = build(params, &BuildCx::detached("test")).err().unwrap();
        format!("{}: {}", errors[0].path, errors[0].message)
    };
    let cases = [
        (
            json!({ "type": "file" }),
            "/service_discovery/0: `path` is missing",
        ),
        (
            json!({ "type": "srv", "hostname": "a" }),
            "/service_discovery/0: `service` is missing",
        ),
        (
            json!({ "type": "srv", "service": "a" }),
            "/service_discovery/0: `hostname` is missing",
        ),
        (
            json!({ "type": "srv", "service": "a", "hostname": "b", "dns_server_host": "c" }),
            "/service_discovery/0/dns_server_host: \"c\" is not an address",
        ),
        (
            json!({ "type": "srv", "service": "a", "hostname": "b", "interval": 0 }),
            "/service_discovery/0/interval: 0s is too short for `interval`",
        ),
    ];
    for (table, expected) in cases {
        assert_eq!(message(table), expected);
    }
}

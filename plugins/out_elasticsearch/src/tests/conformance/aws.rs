//! Requests that are signed for AWS, checked as the server sees them, and the services that give keys.

use std::fs;

use sdk::{clock::Clock, config::Secret, event::Time};

use super::*;
use crate::http::aws::{
    Keys,
    sign::{self, Scope, sign},
};

const NOW: i64 = 1_764_000_000;

/// An output for this server, and the hand of its clock.
struct Aws {
    server: Server,
    output: Arc<dyn Output>,
    hand: Arc<std::sync::Mutex<Time>>,
}

impl Aws {
    async fn new(endpoint: Value, more: Value) -> Self {
        let server = Server::start().await;
        let mut table = json!({ "url": server.url(), "region": "eu-central-1" });
        extend(&mut table, endpoint);
        let mut params = json!({ "endpoint": table, "index": "logs" });
        extend(&mut params, more);
        let (clock, hand) = Clock::fixed(Time {
            secs: NOW,
            nanos: 5,
        });
        let mut cx = BuildCx::detached("es");
        cx.clock = clock;
        let output = crate::build(params, &cx).expect("parameters");
        Self {
            server,
            output,
            hand,
        }
    }

    async fn deliver(&self) -> End {
        deliver(&self.output, &[numbers(4)]).await
    }

    fn pass(&self, secs: i64) {
        self.hand.lock().unwrap().secs += secs;
    }
}

fn extend(table: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("a table")
    };
    table.as_object_mut().unwrap().extend(more);
}

/// What the header must be for a request as it came, when it is signed with these keys.
fn expected(request: &Request, keys: &Keys, service: &str) -> String {
    let (method, target) = request.line.split_once(' ').unwrap();
    let target = target.split(' ').next().unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let authorization = request.header("authorization").unwrap();
    let (_, names) = authorization.split_once("SignedHeaders=").unwrap();
    let (names, _) = names.split_once(", ").unwrap();
    let headers: Vec<(&str, &str)> = names
        .split(';')
        .map(|name| (name, request.header(name).unwrap()))
        .collect();
    let signed = sign::Request {
        method,
        path,
        query,
        headers: &headers,
        digest: &request.digest,
    };
    let scope = Scope {
        region: "eu-central-1",
        service,
    };
    sign(keys, scope, request.header("x-amz-date").unwrap(), &signed)
}

fn keys(id: &str, secret: &str, token: Option<&str>) -> Keys {
    Keys {
        id: id.into(),
        secret: Secret::new(secret),
        token: token.map(Secret::new),
        until: None,
    }
}

#[track_caller]
fn assert_signed(request: &Request, keys: &Keys, service: &str) {
    let authorization = request.header("authorization").unwrap();
    assert_eq!(authorization, expected(request, keys, service));
    let names = if keys.token.is_some() {
        "host;x-amz-content-sha256;x-amz-date;x-amz-security-token"
    } else {
        "host;x-amz-content-sha256;x-amz-date"
    };
    assert!(
        authorization.contains(&format!("SignedHeaders={names},")),
        "{authorization}"
    );
    let digest = request.header("x-amz-content-sha256");
    assert_eq!(digest, Some(&*request.digest));
}

#[tokio::test]
async fn what_is_put_there_is_signed_as_it_is_sent() {
    let endpoint = json!({ "access_key_id": "AKID", "secret_access_key": "geheim" });
    let aws = Aws::new(endpoint, json!({ "rollover_index": true })).await;
    let first = "PUT /%3Clogs-default-%7Bnow%2Fd%7D-000001%3E";
    aws.server
        .page("GET /_alias/logs-default", plain(404, "{}"));
    aws.server.page(first, plain(200, "{}"));
    aws.deliver().await.all_arrived(1);
    let visitors = aws.server.visitors();
    assert_eq!(visitors.len(), 2);
    for visitor in &visitors {
        assert_signed(visitor, &keys("AKID", "geheim", None), "es");
    }
}

#[tokio::test]
async fn e48_each_try_is_signed_anew_as_it_is_on_the_wire() {
    for (service, token, more) in [
        ("es", None, json!({})),
        (
            "es",
            Some("lent"),
            json!({ "compression": "gzip", "pipeline": "a b+c/\u{e9},d" }),
        ),
        (
            "aoss",
            None,
            json!({ "compression": "gzip", "document_id": "none" }),
        ),
        ("aoss", Some("lent"), json!({ "include_tag_key": true })),
    ] {
        let mut endpoint = json!({
            "access_key_id": "AKID", "secret_access_key": "geheim", "aws_service_name": service
        });
        if let Some(token) = token {
            endpoint["session_token"] = json!(token);
        }
        let aws = Aws::new(endpoint, more).await;
        aws.server.then(refused(429, BUSY, "rejected execution"));
        let frames = [frame(
            7,
            "app",
            &vec![json!({ "n": 1, "pad": "x".repeat(900) }); 4],
        )];
        assert!(matches!(
            write(&aws.output, &frames).await,
            Outcome::RetryChunk(..)
        ));
        aws.pass(61);
        assert_eq!(write(&aws.output, &frames).await, Outcome::Delivered);
        let [first, second] = aws.server.requests().try_into().unwrap();
        let keys = keys("AKID", "geheim", token);
        assert_signed(&first, &keys, service);
        assert_signed(&second, &keys, service);
        let dates = [&first, &second].map(|request| request.header("x-amz-date").unwrap());
        assert_eq!(dates, ["20251124T160000Z", "20251124T160101Z"]);
        assert_eq!(first.digest, second.digest);
        assert_ne!(
            first.header("authorization"),
            second.header("authorization")
        );
    }
}

#[tokio::test]
async fn keys_of_the_configuration_that_are_refused_are_not_tried_twice() {
    let endpoint = json!({ "access_key_id": "AKID", "secret_access_key": "geheim" });
    let aws = Aws::new(endpoint, json!({})).await;
    let words = "{\"message\":\"The security token included in the request is invalid.\"}";
    aws.server.then(plain(403, words));
    let end = aws.deliver().await;
    end.all_arrived(2);
    assert_eq!(end.again(), [FailureKind::Auth]);
    assert_eq!(aws.server.requests().len(), 2);
}

/// An answer of STS with keys.
fn lent(id: &str, until: &str) -> Reply {
    plain(
        200,
        format!(
            "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>\n\
             <AccessKeyId>{id}</AccessKeyId><SecretAccessKey>s/{id}+=</SecretAccessKey>\n\
             <SessionToken>t/{id}==</SessionToken><Expiration>{until}</Expiration></Credentials>\
             </AssumeRoleResult></AssumeRoleResponse>"
        ),
    )
}

#[track_caller]
fn assert_lent(request: &Request, id: &str) {
    let keys = keys(id, &format!("s/{id}+="), Some(&format!("t/{id}==")));
    assert_signed(request, &keys, "es");
}

#[tokio::test]
async fn a_role_is_taken_on_with_the_token_in_a_file_and_again_before_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "one two\n").unwrap();
    let sts = Server::start().await;
    sts.page("POST /", lent("A", "2025-11-24T17:00:00Z"));
    let endpoint = json!({
        "assume_role_arn": "arn:aws:iam::1:role/logs", "assume_role_web_identity_token_file": path,
        "sts_endpoint": sts.url(), "assume_role_session_name": "weir-1"
    });
    let aws = Aws::new(endpoint, json!({})).await;
    aws.deliver().await.all_arrived(1);
    aws.pass(54 * 60);
    aws.deliver().await.all_arrived(1);
    assert_eq!(sts.visits(), ["POST / HTTP/1.1"]);
    let form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Flogs&\
                RoleSessionName=weir-1&WebIdentityToken=one+two";
    assert_eq!(String::from_utf8_lossy(&sts.visitors()[0].body), form);
    assert_eq!(sts.visitors()[0].header("authorization"), None);
    // Five minutes before the end, and with the token of then.
    sts.page_anew("POST /", lent("B", "2025-11-24T18:00:00Z"));
    fs::write(&path, "three").unwrap();
    aws.pass(61);
    aws.deliver().await.all_arrived(1);
    let second = String::from_utf8(sts.visitors()[1].body.clone()).unwrap();
    assert!(second.ends_with("WebIdentityToken=three"), "{second}");
    let [first, same, third] = aws.server.requests().try_into().unwrap();
    assert_lent(&first, "A");
    assert_lent(&same, "A");
    assert_lent(&third, "B");
    // While nobody gives others, those that are still good go on; after that, nothing is sent and nothing dropped.
    let words = "<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>Token expired</Message></Error></ErrorResponse>";
    sts.page_anew("POST /", plain(400, words));
    aws.pass(58 * 60);
    aws.deliver().await.all_arrived(1);
    aws.pass(3 * 60);
    aws.deliver().await.all_arrived(1);
    assert_eq!(sts.visits().len(), 3);
    aws.pass(4 * 60);
    let outcome = write(&aws.output, &[numbers(4)]).await;
    let Outcome::DestinationDown(failure) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(failure.kind, FailureKind::Auth);
    let expected = "taking on the role arn:aws:iam::1:role/logs: STS answered 400, ExpiredTokenException Token expired";
    assert!(failure.message.ends_with(expected), "{failure}");
    assert_eq!(aws.server.requests().len(), 5);
}

#[tokio::test]
async fn keys_that_are_refused_are_asked_for_again_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "one").unwrap();
    let sts = Server::start().await;
    sts.page("POST /", lent("A", "2025-11-24T17:00:00Z"));
    let endpoint = json!({
        "assume_role_arn": "arn", "assume_role_web_identity_token_file": path, "sts_endpoint": sts.url()
    });
    let aws = Aws::new(endpoint, json!({})).await;
    aws.deliver().await.all_arrived(1);
    sts.page_anew("POST /", lent("B", "2025-11-24T17:00:00Z"));
    aws.server.then(plain(
        403,
        "{\"message\":\"The security token included in the request is expired\"}",
    ));
    aws.deliver().await.all_arrived(1);
    let requests = aws.server.requests();
    assert_lent(&requests[1], "A");
    assert_lent(&requests[2], "B");
    assert_eq!(requests[1].body, requests[2].body);
    // The same keys again are not worth another request.
    aws.server.then(plain(403, ""));
    let end = aws.deliver().await;
    end.all_arrived(2);
    assert_eq!(
        (end.again(), sts.visits().len()),
        (vec![FailureKind::Auth], 3)
    );
}

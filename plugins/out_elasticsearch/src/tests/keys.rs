//! The services that give keys for AWS: a container, an instance, and the one where a role is taken on.

use std::{fs, time::Duration};

use sdk::{config::Secret, event::Time};

use super::{server::plain, *};
use crate::{
    http::aws::{
        Endpoint, Keys,
        keyring::Keyring,
        sign::{self, Scope, sign},
        source::{Source, Token},
        sts::Sts,
    },
    tests::server::Reply,
};

const NOW: Time = Time {
    secs: 1_764_000_000,
    nanos: 0,
};

fn keyring(source: Source) -> Keyring {
    Keyring::new(source, Duration::from_hours(5))
}

/// Keys as a container or an instance is told them.
fn told(id: &str) -> Reply {
    let text = json!({
        "Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": id, "SecretAccessKey": "s", "Token": "t",
        "Expiration": "2025-11-24T17:00:00Z"
    });
    plain(200, text.to_string())
}

async fn message(keyring: &Keyring) -> String {
    let failure = keyring.keys(NOW).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Auth);
    failure.message
}

#[tokio::test]
async fn a_container_shows_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let server = Server::start().await;
    server.page("GET /v1/credentials?secret=geheim", told("C"));
    let url = format!("{}/v1/credentials?secret=geheim", server.url());
    let of_file = keyring(Source::Container(
        url.clone(),
        Some(Token::File(path.clone())),
    ));
    let said = message(&of_file).await;
    assert!(
        said.starts_with("the token in ") && said.contains("cannot be read"),
        "{said}"
    );
    fs::write(&path, "of a file\n").unwrap();
    let given = Some(Token::Given(Secret::new("given")));
    for (keyring, token) in [
        (of_file, Some("of a file")),
        (
            keyring(Source::Container(url.clone(), given)),
            Some("given"),
        ),
        (keyring(Source::Container(url, None)), None),
    ] {
        let keys = keyring.keys(NOW).await.unwrap();
        assert_eq!((keys.id.as_str(), keys.until), ("C", Some(NOW.secs + 3600)));
        assert_eq!(keys.token, Some(Secret::new("t")));
        let visitor = server.visitors().pop().unwrap();
        assert_eq!(visitor.header("authorization"), token);
    }
    server.page_anew("GET /v1/credentials?secret=geheim", plain(404, ""));
    let url = format!("{}/v1/credentials?secret=geheim", server.url());
    let said = message(&keyring(Source::Container(url, None))).await;
    let expected = format!(
        "{}, which is asked for keys, answered 404 without keys",
        server.url()
    );
    assert_eq!(said, expected);
}

#[tokio::test]
async fn an_instance_is_asked_by_the_second_version_of_its_service() {
    const ROLES: &str = "GET /latest/meta-data/iam/security-credentials/";
    let server = Server::start().await;
    server
        .page("PUT /latest/api/token", plain(200, "leave"))
        .page(ROLES, plain(200, "logs\n"))
        .page(&format!("{ROLES}logs"), told("I"));
    let keyring = keyring(Source::Instance(server.url()));
    assert_eq!(keyring.keys(NOW).await.unwrap().id, "I");
    let visitors = server.visitors();
    let [leave, roles, role] = &visitors[..] else {
        panic!("{visitors:?}")
    };
    assert_eq!(
        leave.header("x-aws-ec2-metadata-token-ttl-seconds"),
        Some("60")
    );
    for visitor in [roles, role] {
        assert_eq!(visitor.header("x-aws-ec2-metadata-token"), Some("leave"));
    }
    // They are kept, until they are old.
    let later = |secs: i64| Time {
        secs: NOW.secs + secs,
        nanos: 0,
    };
    keyring.keys(later(54 * 60)).await.unwrap();
    assert_eq!(server.visitors().len(), 3);
    keyring.keys(later(56 * 60)).await.unwrap();
    assert_eq!(server.visitors().len(), 6);
    // An instance without a role has no keys.
    let bare = Server::start().await;
    bare.page("PUT /latest/api/token", plain(200, "leave"))
        .page(ROLES, plain(404, "<html>"));
    let said = message(&self::keyring(Source::Instance(bare.url()))).await;
    assert!(said.ends_with("answered 404"), "{said}");
    bare.page_anew(ROLES, plain(200, "\n"));
    let said = message(&self::keyring(Source::Instance(bare.url()))).await;
    assert!(
        said.contains("has no role") || said.contains("answered"),
        "{said}"
    );
}

#[tokio::test]
async fn keys_are_asked_for_again_after_so_long_however_long_they_are_good() {
    let server = Server::start().await;
    let text = json!({ "AccessKeyId": "C", "SecretAccessKey": "s" });
    server.page("GET /", plain(200, text.to_string()));
    let keyring = Keyring::new(
        Source::Container(server.url(), None),
        Duration::from_hours(1),
    );
    for (minutes, visits) in [(0, 1), (59, 1), (60, 2), (119, 2), (120, 3)] {
        let time = Time {
            secs: NOW.secs + minutes * 60,
            nanos: 0,
        };
        let keys = keyring.keys(time).await.unwrap();
        assert_eq!((keys.token.clone(), keys.until), (None, None));
        assert_eq!(server.visits().len(), visits, "after {minutes} minutes");
    }
}

#[tokio::test]
async fn a_role_is_taken_on_with_other_keys_in_a_request_that_is_signed() {
    let sts = Server::start().await;
    let text = "<AssumeRoleResponse><AssumeRoleResult><Credentials><SessionToken>t</SessionToken>\
        <AccessKeyId>R</AccessKeyId><SecretAccessKey>s</SecretAccessKey></Credentials></AssumeRoleResult></AssumeRoleResponse>";
    sts.page("POST /", plain(200, text));
    let endpoint: Endpoint = serde_json::from_value(json!({
        "url": "https://es", "region": "eu-central-1", "sts_credentials_region": "us-east-1", "sts_endpoint": sts.url()
    }))
    .unwrap();
    for token in [None, Some(Secret::new("lent"))] {
        let base = Keys {
            id: "B".into(),
            secret: Secret::new("geheim"),
            token: token.clone(),
            until: None,
        };
        let role = Sts::new(&endpoint, "arn:role".into());
        let keyring = keyring(Source::Role(role, Box::new(Source::Given(base.clone()))));
        assert_eq!(keyring.keys(NOW).await.unwrap().id, "R");
        let visitor = sts.visitors().pop().unwrap();
        let form = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Arole&RoleSessionName=weir";
        assert_eq!(String::from_utf8_lossy(&visitor.body), form);
        let mut names = vec!["content-type", "host", "x-amz-date"];
        names.extend(token.as_ref().map(|_| "x-amz-security-token"));
        let headers: Vec<(&str, &str)> = names
            .into_iter()
            .map(|name| (name, visitor.header(name).unwrap()))
            .collect();
        let request = sign::Request {
            method: "POST",
            path: "/",
            query: "",
            headers: &headers,
            digest: &visitor.digest,
        };
        let scope = Scope {
            region: "us-east-1",
            service: "sts",
        };
        let expected = sign(&base, scope, "20251124T160000Z", &request);
        assert_eq!(visitor.header("authorization"), Some(&*expected));
    }
    // A refusal shows what the service says.
    let text = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>";
    sts.page_anew("POST /", plain(403, text));
    let base = Source::Given(Keys {
        id: "B".into(),
        secret: Secret::new("geheim"),
        token: None,
        until: None,
    });
    let role = Sts::new(&endpoint, "arn:role".into());
    let said = message(&keyring(Source::Role(role, Box::new(base)))).await;
    let expected = "taking on the role arn:role: STS answered 403, AccessDenied not authorized";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_service_that_is_not_there_or_talks_without_end_is_named() {
    let server = Server::start().await;
    let url = server.url();
    server.page("GET /", plain(200, "x".repeat(65 << 10)));
    let of = |url: &str| keyring(Source::Container(format!("{url}/?a=geheim"), None));
    server.page("GET /?a=geheim", plain(200, "x".repeat(65 << 10)));
    let said = message(&of(&url)).await;
    assert!(
        said.ends_with("gives an answer of more than 64 KiB"),
        "{said}"
    );
    drop(server);
    let said = message(&of(&url)).await;
    assert!(
        said.contains("does not answer") && !said.contains("geheim"),
        "{said}"
    );
}

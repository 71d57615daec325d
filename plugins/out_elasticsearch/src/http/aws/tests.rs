//! Signatures as AWS publishes them, and where keys come from.

use super::*;
use crate::http::aws::source::{Source, choose};
use bytes::Bytes;

const HOST: (&str, &str) = ("host", "example.amazonaws.com");
const DATE: &str = "20150830T123600Z";
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn keys() -> Keys {
    Keys {
        id: "AKIDEXAMPLE".into(),
        secret: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        token: None,
        until: None,
    }
}

/// A request of the suite: method, path, query, headers besides host and date, and the signature.
type Vector = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

const UNRESERVED: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SESSION: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";

/// Source: the test suite of AWS for version 4 of signatures. Paths and queries are there as they are before they are
/// encoded.
const VECTORS: &[Vector] = &[
    (
        "GET",
        "/",
        "",
        &[],
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "POST",
        "/",
        "",
        &[],
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "GET",
        "/",
        "Param1=value1",
        &[],
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    (
        "POST",
        "/",
        "Param1=value1",
        &[],
        "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
    ),
    (
        "GET",
        "/",
        "Param2=value2&Param1=value1",
        &[],
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "GET",
        "/",
        "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        &[],
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    (
        "GET",
        "/",
        "\u{1234}=bar",
        &[],
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    (
        "GET",
        "/\u{1234}",
        "",
        &[],
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "GET",
        "/example space/",
        "",
        &[],
        "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
    ),
    (
        "GET",
        "//example//",
        "",
        &[],
        "87cca117541a147f6df867677d98a7d80dff226d2bfca9e4ffa899665623c7e5",
    ),
    (
        "GET",
        "/",
        "",
        &[("my-header1", "value2,value2,value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    (
        "GET",
        "/",
        "",
        &[("my-header1", "value1"), ("my-header2", "\"a b c\"")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "POST",
        "/",
        "",
        &[("my-header1", "VALUE1")],
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    (
        "GET",
        "/",
        "",
        &[("x-amz-security-token", SESSION)],
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
];

fn signature(
    scope: Scope<'_>,
    date: &str,
    (method, path, query): (&str, &str, &str),
    headers: &[(&str, &str)],
    digest: &str,
) -> String {
    let mut headers = headers.to_vec();
    headers.sort_unstable();
    let request = sign::Request {
        method,
        path,
        query,
        headers: &headers,
        digest,
    };
    sign(&keys(), scope, date, &request)
}

const SUITE: Scope<'_> = Scope {
    region: "us-east-1",
    service: "service",
};

#[test]
fn signatures_are_those_that_aws_publishes() {
    let check = |method, path, query, headers: &[_], expected: &str| {
        let date = ("x-amz-date", DATE);
        let headers = [&[HOST, date], headers].concat();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let mut names = names;
        names.sort_unstable();
        let names = names.join(";");
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, \
             Signature={expected}"
        );
        let signed = signature(SUITE, DATE, (method, path, query), &headers, EMPTY);
        assert_eq!(signed, expected, "{method} {path}?{query} {headers:?}");
    };
    for (method, path, query, headers, expected) in VECTORS {
        check(method, path, query, headers, expected);
    }
    let path = format!("/{UNRESERVED}");
    let expected = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f";
    check("GET", &path, "", &[], expected);
    let query = format!("{UNRESERVED}={UNRESERVED}");
    let expected = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197";
    check("GET", "/", &query, &[], expected);
}

#[tokio::test]
async fn a_body_is_signed_with_its_digest() {
    let digest = digest(Some(Bytes::from_static(b"Param1=value1"))).await;
    let headers = [
        ("content-length", "13"),
        ("content-type", "application/x-www-form-urlencoded"),
        HOST,
        ("x-amz-content-sha256", &digest),
        ("x-amz-date", DATE),
    ];
    let signed = signature(SUITE, DATE, ("POST", "/", ""), &headers, &digest);
    let expected = "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b";
    assert!(signed.ends_with(expected), "{signed}");
    // On a thread of its own, too.
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let whole = {
        use sha2::Digest as _;
        sign::hex(&sha2::Sha256::digest(&large))
    };
    assert_eq!(super::digest(Some(large)).await, whole);
    assert_eq!(sign::hex(&[0, 0x0f, 0xa9]), "000fa9");
}

#[test]
fn what_is_encoded_on_the_wire_is_encoded_once_more() {
    let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-west-2%3A892717189312%3Afunction%3Amy-rusty-fun/invocations";
    let date = "20210511T154045Z";
    let headers = [
        ("host", "lambda.us-east-2.amazonaws.com"),
        ("x-amz-date", date),
    ];
    let scope = Scope {
        region: "us-east-2",
        service: "lambda",
    };
    let signed = signature(scope, date, ("POST", path, ""), &headers, EMPTY);
    let expected = "4b93abbcc68be32bd64c18e2c71150660ab4c29bbd6c32a383a7517a88fc1804";
    assert!(signed.ends_with(expected), "{signed}");
}

#[test]
fn times_are_written_and_read_as_aws_does() {
    let time = Time {
        secs: 1_440_938_160,
        nanos: 999,
    };
    assert_eq!(sign::date(time), DATE);
    assert_eq!(secs_of("2015-08-30T12:36:00Z"), Some(1_440_938_160));
    assert_eq!(secs_of("soon"), None);
}

fn source(more: &serde_json::Value, env: &[(&str, &str)]) -> String {
    let mut table = serde_json::json!({ "url": "https://x", "region": "eu-central-1" });
    let more = more.as_object().unwrap().clone();
    table.as_object_mut().unwrap().extend(more);
    let endpoint: Endpoint = serde_json::from_value(table).unwrap();
    let look = |name: &str| {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    match choose(&endpoint, &look) {
        Source::Given(keys) => format!("{} {}", keys.id, keys.secret.expose()),
        Source::Role(sts, base) => {
            assert!(matches!(*base, Source::Given(_) | Source::Instance(_)));
            format!("{sts:?}")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn a_profile_stands_behind_the_environment_and_before_the_machine() {
    let own = serde_json::json!({});
    let machine = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");
    let home = [("HOME", "/root-of-x"), machine];
    assert_eq!(
        source(&own, &home),
        "Profile(Profile { file: \"/root-of-x/.aws/credentials\", name: \"default\", is_named: false }, \
         Container(\"http://169.254.170.2/v2/x\", None))",
    );
    let given = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "T")];
    assert_eq!(source(&own, &[&given[..], &home].concat()), "E T");
}

#[test]
fn keys_are_looked_for_in_the_order_of_other_tools() {
    use serde_json::json;
    let check = |more: serde_json::Value, env: &[(&str, &str)], expected: &str| {
        let found = source(&more, env);
        assert!(found.contains(expected), "{more} {env:?}: {found}");
    };
    let given = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "T")];
    let web = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_ROLE_ARN", "arn:env"),
    ];
    let relative = [("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")];
    let full = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://pod/x"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/pod"),
    ];
    let all = [&given[..], &web, &relative, &full].concat();
    let own = json!({ "access_key_id": "I", "secret_access_key": "S" });
    check(own, &all, "I S");
    check(
        json!({ "access_key_id": "", "secret_access_key": "" }),
        &all,
        "E T",
    );
    check(
        json!({}),
        &all[2..],
        "WebIdentity(Sts { address: \"https://sts.eu-central-1.amazonaws.com/\"",
    );
    check(
        json!({}),
        &relative,
        "Container(\"http://169.254.170.2/v2/x\", None)",
    );
    check(
        json!({}),
        &full,
        "Container(\"http://pod/x\", Some(File(\"/pod\")))",
    );
    check(json!({}), &[], "Instance(\"http://169.254.169.254\")");
    check(json!({}), &[("AWS_ACCESS_KEY_ID", "")], "Instance(");
    let own = json!({ "ecs_container_credentials_relative_uri": "/own" });
    check(own, &all, "Container(\"http://169.254.170.2/own\", None)");
    let role = json!({ "assume_role_arn": "arn:own", "sts_credentials_region": "cn-north-1" });
    check(role, &all, "https://sts.cn-north-1.amazonaws.com.cn/");
    let role = json!({ "assume_role_arn": "arn:own", "sts_endpoint": "https://vpce" });
    check(
        role,
        &[],
        "address: \"https://vpce\", region: \"eu-central-1\", role_arn: \"arn:own\", session: \"weir\"",
    );
    let role =
        json!({ "assume_role_arn": "arn:own", "assume_role_web_identity_token_file": "/own" });
    check(role, &all, "\"/own\"");
}

#[test]
fn keys_do_not_show() {
    assert_eq!(format!("{:?}", keys()), "Keys(AKIDEXAMPLE)");
}

//! What comes out of servers that do what servers should not.

use std::{sync::Arc, time::Duration};

use sdk::output::FailureKind;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{Broken, Client, Options, Proxy, Unread, read};

/// A server that reads the first bytes of each connection, writes `answer` and closes it, or keeps it open if there is
/// none.
async fn server(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer: Arc<Option<String>> = answer.into();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&answer)));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, answer: Arc<Option<String>>) {
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await.is_ok());
    match &*answer {
        // The other side may be gone before it has read everything.
        Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
        None => std::future::pending().await,
    }
}

const TIMEOUT: Duration = Duration::from_secs(2);

fn client(tls: Value) -> Client {
    let tls = tls::Client::new(serde_json::from_value(tls).unwrap(), "/tls").unwrap();
    let options = Options {
        connect_timeout: Duration::from_millis(500),
        idle_timeout: Some(Duration::from_secs(5)),
        proxy: Proxy::None,
    };
    Client::new(options, Some(tls))
}

async fn ask(client: &Client, url: &str) -> Result<reqwest::Response, Broken> {
    let client = client.get().await?;
    let request = client.post(url).body("{}").timeout(TIMEOUT);
    let sent = request.send().await;
    sent.map_err(|error| Broken::new(error, TIMEOUT))
}

#[track_caller]
fn check(broken: &Broken, kind: FailureKind, is_sent: bool, message: &str) {
    assert_eq!(
        (broken.failure.kind, broken.is_sent),
        (kind, is_sent),
        "{broken:?}"
    );
    assert!(broken.failure.message.contains(message), "{broken:?}");
    // The address may have a password in it.
    assert!(!broken.failure.message.contains("127.0.0.1"), "{broken:?}");
}

#[tokio::test]
async fn a_failure_says_whether_the_request_was_sent() {
    let client = client(json!({}));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let broken = ask(&client, &format!("http://{address}/"))
        .await
        .unwrap_err();
    check(&broken, FailureKind::Connect, false, "Connection refused");
    let silent = server(None).await;
    let broken = ask(&client, &format!("http://{silent}/"))
        .await
        .unwrap_err();
    check(&broken, FailureKind::Timeout, true, "no answer within 2 s");
    // It accepts connections, and shakes no hands.
    let broken = ask(&client, &format!("https://{silent}/"))
        .await
        .unwrap_err();
    check(
        &broken,
        FailureKind::Connect,
        false,
        "no connection in time",
    );
    let short = server(Some(String::new())).await;
    let broken = ask(&client, &format!("http://{short}/")).await.unwrap_err();
    check(&broken, FailureKind::Connect, true, "connection closed");
    let other = server(Some("SSH-2.0-x\r\n\r\n".into())).await;
    let broken = ask(&client, &format!("http://{other}/")).await.unwrap_err();
    check(&broken, FailureKind::Protocol, true, "HTTP");
    let broken = ask(&client, &format!("https://{other}/"))
        .await
        .unwrap_err();
    check(&broken, FailureKind::Tls, false, "corrupt message");
    let broken = ask(&client, "http://").await.unwrap_err();
    check(&broken, FailureKind::Serialize, false, "host");
}

#[tokio::test]
async fn nobody_is_led_elsewhere() {
    let target = server(None).await;
    for status in [301, 302, 307, 308] {
        let head = format!(
            "HTTP/1.1 {status} \r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n"
        );
        let leading = server(Some(head)).await;
        let answer = ask(&client(json!({})), &format!("http://{leading}/"))
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
}

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit() {
    let chunked = |parts: &[&str]| {
        let chunk = |part: &&str| format!("{:x}\r\n{part}\r\n", part.len());
        let chunks: String = parts.iter().map(chunk).collect();
        format!("HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
    };
    let whole = |text: &str| {
        format!(
            "HTTP/1.1 200 \r\ncontent-length: {}\r\n\r\n{text}",
            text.len()
        )
    };
    let client = client(json!({}));
    for (answer, expected) in [
        (whole("12345678"), Ok("12345678")),
        (whole("123456789"), Err(Unread::TooLong)),
        (whole(""), Ok("")),
        (chunked(&["12", "345", "678", ""]), Ok("12345678")),
        // It goes on and on, and never says how long it will be.
        (chunked(&["1234", "5678", "9"]), Err(Unread::TooLong)),
    ] {
        let address = server(Some(answer.clone())).await;
        let response = ask(&client, &format!("http://{address}/")).await.unwrap();
        let body = read(response, 8, TIMEOUT).await;
        let expected = expected.map(bytes::Bytes::from);
        assert_eq!(body, expected, "{answer}");
    }
    let cut = server(Some(chunked(&["12"]))).await;
    let response = ask(&client, &format!("http://{cut}/")).await.unwrap();
    let Err(Unread::Broken(broken)) = read(response, 8, TIMEOUT).await else {
        panic!("it broke off");
    };
    check(&broken, FailureKind::Connect, true, "");
}

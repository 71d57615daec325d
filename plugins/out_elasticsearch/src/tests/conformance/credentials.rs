//! Servers that do not let us in, and secrets that change while it runs.

use std::{fs, path::Path};

use super::*;

/// Lets in who shows this header.
fn guard(site: &Site, header: &'static str, status: u16) {
    site.server.later(move |request| {
        if request.header("authorization") == Some(header) {
            all(request)
        } else {
            plain(status, "")
        }
    });
}

/// What each request showed, in base64 where it was a password.
fn shown(server: &Server) -> Vec<String> {
    let shown = |request: &Request| request.header("authorization").unwrap().to_owned();
    server.look(|requests| requests.iter().map(shown).collect())
}

/// Parameters with a secret in this file, and the headers of the first and of the second secret.
fn kinds(path: &Path) -> [(Value, [&'static str; 2]); 3] {
    [
        (
            json!({ "user": "u", "password_file": path }),
            ["Basic dTpvbmU=", "Basic dTp0d28="],
        ),
        (
            json!({ "api_key_file": path }),
            ["ApiKey one", "ApiKey two"],
        ),
        (
            json!({ "bearer_token_file": path }),
            ["Bearer one", "Bearer two"],
        ),
    ]
}

#[tokio::test]
async fn e30_a_secret_that_changed_is_read_again_and_nothing_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    for (params, [one, two]) in kinds(&path) {
        for status in [401, 403] {
            fs::write(&path, "one\n").unwrap();
            let site = Site::new(params.clone()).await;
            guard(&site, one, status);
            site.deliver(&[numbers(4)]).await.all_arrived(1);
            // It changes while it runs: the same delivery goes on with the new one.
            guard(&site, two, status);
            fs::write(&path, "two\n").unwrap();
            site.deliver(&[numbers(4)]).await.all_arrived(1);
            assert_eq!(shown(&site.server), [one, one, two]);
            // And what comes later knows it.
            site.deliver(&[numbers(4)]).await.all_arrived(1);
            assert_eq!(shown(&site.server)[3..], [two]);
            let [_, second, third, _] = site.server.requests().try_into().unwrap();
            assert_eq!(second.body, third.body);
            assert_eq!(site.items("created"), 12);
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_left_alone_for_long() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    for (params, [one, two]) in kinds(&path) {
        fs::write(&path, "one").unwrap();
        let site = Site::new(params).await;
        guard(&site, two, 401);
        let outcome = site.write(&[numbers(4)]).await;
        let Outcome::RetryChunk(Some(after), failure) = outcome else {
            panic!("nothing is dropped: {outcome:?}")
        };
        assert_eq!(
            (after, failure.kind),
            (Duration::from_mins(1), FailureKind::Auth)
        );
        assert_eq!(shown(&site.server), [one]);
        // What was refused is not shown again when the file has another.
        fs::write(&path, "two").unwrap();
        site.deliver(&[numbers(4)]).await.all_arrived(1);
        assert_eq!(shown(&site.server), [one, two]);
    }
    // A secret of the configuration is not tried twice, and a server may ask for more time.
    let site = Site::new(json!({ "user": "u", "password": "one" })).await;
    site.server.then(Reply {
        headers: "retry-after: 120\r\n".into(),
        ..plain(401, "")
    });
    let end = site.deliver(&[numbers(4)]).await;
    end.all_arrived(2);
    assert_eq!(
        (end.again[0].0, end.again()),
        (Some(Duration::from_mins(2)), vec![FailureKind::Auth])
    );
}

#[tokio::test]
async fn one_that_reads_the_new_secret_reads_it_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    fs::write(&path, "one").unwrap();
    let site = Site::new(json!({ "bearer_token_file": &path })).await;
    guard(&site, "Bearer one", 401);
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    guard(&site, "Bearer two", 401);
    fs::write(&path, "two").unwrap();
    let frames = [numbers(4)];
    let (one, other) = tokio::join!(site.deliver(&frames), site.deliver(&frames));
    one.all_arrived(1);
    other.all_arrived(1);
    assert_eq!(site.items("created"), 12);
}

#[tokio::test]
async fn a_file_without_a_secret_sends_nothing_and_drops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let site = Site::new(json!({ "user": "u", "password_file": &path })).await;
    for (text, message) in [(None, "cannot be read: "), (Some("\n"), "is empty")] {
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        let outcome = site.write(&[numbers(4)]).await;
        let Outcome::DestinationDown(failure) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!(failure.kind, FailureKind::Auth);
        let place = format!("password_file {} ", path.display());
        assert!(failure.message.contains(&place), "{failure}");
        assert!(failure.message.contains(message), "{failure}");
    }
    fs::write(&path, "one").unwrap();
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    assert_eq!(shown(&site.server), ["Basic dTpvbmU="]);
    // A file that is gone later is no reason to forget what it held.
    fs::remove_file(&path).unwrap();
    site.deliver(&[numbers(4)]).await.all_arrived(1);
    site.server.then(plain(401, ""));
    assert_eq!(
        retried(site.write(&[numbers(4)]).await).kind,
        FailureKind::Auth
    );
    // But one that was refused as well.
    let outcome = site.write(&[numbers(4)]).await;
    assert!(
        matches!(outcome, Outcome::DestinationDown(_)),
        "{outcome:?}"
    );
    fs::write(&path, "one").unwrap();
    site.deliver(&[numbers(4)]).await.all_arrived(1);
}

//! The keys of now: asked for when they are needed, kept until they end, and asked for again when they are refused.

use std::{sync::Arc, time::Duration};

use sdk::{
    config::Secret,
    event::Time,
    output::{Failure, FailureKind},
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    Keys,
    fetch::{self, Answer},
    secs_left, secs_of,
    source::{Source, Token, shown},
};

/// So long before their end, in seconds, keys are asked for again.
const EARLY_SECS: i64 = 5 * 60;
/// How long the leave to ask an instance for keys is good, in seconds.
const LEAVE_SECS: &str = "60";
const ROLES: &str = "latest/meta-data/iam/security-credentials/";

/// Keeps the keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    source: Source,
    /// Keys that are older are asked for again, in seconds.
    old_secs: i64,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    keys: Arc<Keys>,
    since: Time,
}

/// Keys as containers and instances are told them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    access_key_id: String,
    secret_access_key: String,
    token: Option<String>,
    expiration: Option<String>,
}

impl Keyring {
    pub(crate) fn new(source: Source, refresh: Duration) -> Self {
        Self {
            source,
            old_secs: i64::try_from(refresh.as_secs()).unwrap_or(i64::MAX),
            held: Mutex::default(),
        }
    }

    /// The keys of now.
    ///
    /// # Errors
    /// Nobody gives any, and there are none that are still good.
    pub(crate) async fn keys(&self, now: Time) -> Result<Arc<Keys>, Failure> {
        let mut held = self.held.lock().await;
        let kept = held.as_ref().map(|held| {
            let is_old = now.secs - held.since.secs >= self.old_secs;
            let left = secs_left(&held.keys, now);
            (Arc::clone(&held.keys), left, is_old)
        });
        match kept {
            Some((keys, left, false)) if left > EARLY_SECS => Ok(keys),
            Some((keys, left, _)) => match self.ask(now).await {
                Err(_) if left > 0 => Ok(keys),
                asked => Ok(hold(&mut held, asked?, now)),
            },
            None => Ok(hold(&mut held, self.ask(now).await?, now)),
        }
    }

    /// Whether there are other keys than those that were refused.
    pub(crate) async fn renew(&self, now: Time, refused: &Arc<Keys>) -> bool {
        if matches!(self.source, Source::Given(_)) {
            return false;
        }
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.keys != *refused) {
            return true;
        }
        let Ok(keys) = self.ask(now).await else {
            return false;
        };
        hold(&mut held, keys, now) != *refused
    }

    async fn ask(&self, now: Time) -> Result<Keys, Failure> {
        match &self.source {
            Source::Role(sts, base) => {
                let base = plain(base).await?;
                sts.with_keys(&base, now).await
            }
            source => plain(source).await,
        }
    }
}

fn hold(held: &mut Option<Held>, keys: Keys, now: Time) -> Arc<Keys> {
    let keys = Arc::new(keys);
    *held = Some(Held {
        keys: Arc::clone(&keys),
        since: now,
    });
    keys
}

/// Keys from a source that needs no others.
async fn plain(source: &Source) -> Result<Keys, Failure> {
    match source {
        Source::Given(keys) => Ok(keys.clone()),
        Source::WebIdentity(sts, path) => sts.with_token(&read(path).await?).await,
        Source::Profile(profile, otherwise) => match profile.keys().await? {
            Some(keys) => Ok(keys),
            None => Box::pin(plain(otherwise)).await,
        },
        Source::Container(address, token) => {
            let mut request = fetch::local().await?.get(address);
            if let Some(token) = token {
                let token = match token {
                    Token::Given(token) => token.clone(),
                    Token::File(path) => Secret::new(read(path).await?),
                };
                request = request.header("authorization", token.expose());
            }
            told(address, &fetch::send(address, request).await?)
        }
        Source::Instance(address) => of_instance(address).await,
        Source::Role(sts, _) => Err(failed(&format!("{sts:?} is taken on with keys"))),
    }
}

/// Asks the instance, by version 2 of its service: for leave, for the role, and for the keys of the role.
async fn of_instance(address: &str) -> Result<Keys, Failure> {
    let (client, base) = (fetch::local().await?, address.trim_end_matches('/'));
    let request = client.put(format!("{base}/latest/api/token"));
    let request = request.header("x-aws-ec2-metadata-token-ttl-seconds", LEAVE_SECS);
    let leave = good(address, fetch::send(address, request).await?)?;
    let get = |path: &str| {
        let request = client.get(format!("{base}/{ROLES}{path}"));
        request.header("x-aws-ec2-metadata-token", leave.trim())
    };
    let roles = good(address, fetch::send(address, get("")).await?)?;
    let Some(role) = roles.lines().next().map(str::trim) else {
        return Err(failed("the instance has no role, so it has no keys"));
    };
    told(address, &fetch::send(address, get(role)).await?)
}

/// The text of an answer that is no refusal.
fn good(address: &str, answer: Answer) -> Result<String, Failure> {
    match answer.status {
        200 => Ok(answer.text),
        status => Err(failed(&format!(
            "{}, which is asked for keys, answered {status}",
            shown(address)
        ))),
    }
}

fn told(address: &str, answer: &Answer) -> Result<Keys, Failure> {
    let told: Option<Told> = serde_json::from_str(&answer.text).ok();
    match (answer.status, told) {
        (200, Some(told)) => Ok(Keys {
            id: told.access_key_id,
            secret: Secret::new(told.secret_access_key),
            token: told.token.map(Secret::new),
            until: told.expiration.as_deref().and_then(secs_of),
        }),
        (status, _) => Err(failed(&format!(
            "{}, which is asked for keys, answered {status} without keys",
            shown(address)
        ))),
    }
}

async fn read(path: &std::path::Path) -> Result<String, Failure> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| {
        failed(&format!(
            "the token in {} cannot be read: {error}",
            path.display()
        ))
    })?;
    Ok(text.trim().to_owned())
}

fn failed(message: &str) -> Failure {
    Failure::new(FailureKind::Auth, message)
}

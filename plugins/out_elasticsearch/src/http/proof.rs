//! How requests prove who sends them: with a header, or signed, or not at all.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use sdk::{clock::Clock, config::ConfigErrors, output::Failure};

use crate::{
    config::Config,
    http::{
        aws::{Keys, Signer},
        credentials::Credentials,
        transport::Request,
    },
};

/// How requests of an output prove who sends them.
#[derive(Debug)]
pub(crate) enum Proof {
    Nobody,
    Header(Credentials),
    Aws(Box<Signer>),
}

/// What a request has shown.
#[derive(Debug)]
pub(crate) enum Shown {
    Nothing,
    Header(HeaderValue),
    Keys(Arc<Keys>),
}

impl Proof {
    /// What the parameters say. Reads no files.
    pub(crate) fn of(config: &Config, clock: Clock, errors: &mut ConfigErrors) -> Self {
        if let Some(endpoint) = &config.endpoint {
            return Self::Aws(Box::new(Signer::new(endpoint, clock)));
        }
        Credentials::of(config, errors).map_or(Self::Nobody, Self::Header)
    }

    /// Adds the proof to a request.
    ///
    /// # Errors
    /// There is no secret to show.
    pub(crate) async fn add(&self, request: &mut Request) -> Result<Shown, Failure> {
        match self {
            Self::Nobody => Ok(Shown::Nothing),
            Self::Header(credentials) => {
                let header = credentials.header().await?;
                request.headers.insert(AUTHORIZATION, header.clone());
                Ok(Shown::Header(header))
            }
            Self::Aws(signer) => {
                let keys = signer.sign(request).await?;
                Ok(Shown::Keys(keys))
            }
        }
    }

    /// Whether there is something else to show than what was refused.
    pub(crate) async fn renew(&self, refused: &Shown) -> bool {
        match (self, refused) {
            (Self::Header(credentials), Shown::Header(header)) => {
                credentials.other_than(header).await.is_some()
            }
            (Self::Aws(signer), Shown::Keys(keys)) => signer.renew(keys).await,
            _ => false,
        }
    }
}

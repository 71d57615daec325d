//! Connections: made when they are needed, kept for the next chunk, thrown away after an error.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use sdk::{
    config::ConfigErrors,
    output::{Failure, FailureKind},
};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls, config::SslMode as Wanted};

use crate::{Config, SslMode, secure::Maker, trouble};

/// Connections to one database.
pub(crate) struct Pool {
    config: tokio_postgres::Config,
    connect_timeout: std::time::Duration,
    /// `None` when TLS is never spoken.
    tls: Option<tls::Client>,
    /// Makes the tables.
    create: Option<String>,
    /// Whether the tables are there.
    created: AtomicBool,
    idle: Mutex<Vec<Client>>,
}

impl Pool {
    /// Does no I/O.
    ///
    /// # Errors
    /// What `[match.tls]` has wrong.
    pub(crate) fn new(config: &Config, create: Option<String>) -> Result<Self, ConfigErrors> {
        let mut to = tokio_postgres::Config::new();
        to.host(&config.host)
            .port(config.port)
            .dbname(&config.database)
            .user(&config.username)
            .application_name(&config.application_name)
            .connect_timeout(config.connect_timeout.0)
            .keepalives_idle(std::time::Duration::from_mins(1))
            .options(format!(
                "-c statement_timeout={}",
                config.statement_timeout.0.as_millis()
            ))
            .ssl_mode(match config.sslmode {
                SslMode::Disable => Wanted::Disable,
                SslMode::Prefer => Wanted::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wanted::Require,
            });
        if let Some(password) = &config.password {
            to.password(password.expose());
        }
        let mut table = config.tls.clone().unwrap_or_default();
        match config.sslmode {
            SslMode::Disable | SslMode::VerifyFull => {}
            SslMode::Prefer | SslMode::Require => table.insecure_mode = true,
            SslMode::VerifyCa => table.verify_hostname = false,
        }
        let has_tls = config.sslmode != SslMode::Disable;
        let tls = has_tls
            .then(|| tls::Client::new(table, "/tls"))
            .transpose()?;
        Ok(Self {
            config: to,
            connect_timeout: config.connect_timeout.0,
            tls,
            create,
            created: AtomicBool::new(false),
            idle: Mutex::new(Vec::new()),
        })
    }

    /// A connection to a database whose tables are there.
    ///
    /// # Errors
    /// There is none now.
    pub(crate) async fn take(&self) -> Result<Client, Failure> {
        loop {
            let kept = self
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            match kept {
                Some(client) if client.is_closed() => {}
                Some(client) => return Ok(client),
                None => break,
            }
        }
        let client = self.connect_in_time().await?;
        if let Some(create) = &self.create
            && !self.created.load(Ordering::Acquire)
        {
            let made = client.batch_execute(create).await;
            made.map_err(|error| trouble::failure(&error, "the tables could not be made"))?;
            self.created.store(true, Ordering::Release);
        }
        Ok(client)
    }

    /// Connects, and asks who answers. Makes no tables.
    ///
    /// # Errors
    /// There is no connection, or no answer.
    pub(crate) async fn reach(&self) -> Result<Vec<String>, Failure> {
        let client = self.connect_in_time().await?;
        let asked = client.query_one("SELECT version()", &[]).await;
        let row = asked.map_err(|error| trouble::failure(&error, "no answer"))?;
        let version: &str = row.try_get(0).unwrap_or("a server");
        // "PostgreSQL 15.18 on x86_64-pc-linux-gnu, compiled by ...".
        let version = version.split(" on ").next().unwrap_or(version);
        let mut said = vec![format!("{version} answers")];
        if self.create.is_some() {
            said.push("tables that are missing are made when the first records come".to_owned());
        }
        Ok(said)
    }

    async fn connect_in_time(&self) -> Result<Client, Failure> {
        let secs = self.connect_timeout.as_secs_f64();
        let late = |_| {
            let message = format!("no connection within {secs} s");
            Failure::new(FailureKind::Connect, message)
        };
        let client = timeout(self.connect_timeout, self.connect()).await;
        client.map_err(late)?
    }

    /// Keeps a connection that has nothing open.
    pub(crate) fn give_back(&self, client: Client) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(client);
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let failed = |error: tokio_postgres::Error| trouble::failure(&error, "no connection");
        let Some(tls) = &self.tls else {
            let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(async move { drop(connection.await) });
            return Ok(client);
        };
        let config = tls.config().await;
        let config = config.map_err(|error| Failure::new(FailureKind::Tls, error.to_string()))?;
        let connected = self.config.connect(Maker(config)).await;
        let (client, connection) = connected.map_err(failed)?;
        // It ends with the client. Its errors are those of the statement at hand.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

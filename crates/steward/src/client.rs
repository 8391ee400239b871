//! Talks to the server of the home, or to one started inside this process when none runs.

use std::time::Duration;

use anyhow::Result;
use futures_util::StreamExt;
use reqwest::Method;
use serde_json::Value;

use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::serve::{self, Embedded};

/// How long the check may take whether the announced server lives.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);

/// A connection to a server.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    embedded: Option<Embedded>,
}

impl Client {
    /// The running server, else one of our own.
    pub(crate) async fn connect(home: &Home) -> Result<Self> {
        // Until the tls provider is chosen no client can be made; ours is chosen once a process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        if let Some(running) = home.running() {
            let alive = http.get(format!("{}/healthz", running.url)).timeout(ALIVE_WITHIN).send().await;
            if alive.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Client {
                    http,
                    url: running.url,
                    token: running.token,
                    embedded: None,
                });
            }
        }
        let embedded = serve::start_embedded(home).await?;
        Ok(Client {
            http,
            url: embedded.url.clone(),
            token: embedded.token.clone(),
            embedded: Some(embedded),
        })
    }

    /// Is it a server of our own, which nobody else knows of?
    pub(crate) fn is_own(&self) -> bool {
        self.embedded.is_some()
    }

    /// Ends our own server, if we started one.
    pub(crate) async fn close(self) {
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.call(Method::DELETE, path, None).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(not_reached)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(not_reached)?;
        let value: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        };
        if status.is_success() {
            return Ok(value);
        }
        let error = &value["error"];
        let message = error["message"].as_str().unwrap_or("the server gave no reason");
        Err(Failure::of_api(status.as_u16(), error["code"].as_str().unwrap_or("failed"), message).into())
    }

    /// The events of a stream, each handed to `see` until it says stop.
    pub(crate) async fn follow(&self, path: &str, mut see: impl FnMut(&Value) -> Next) -> Result<()> {
        let response = self
            .http
            .get(format!("{}{path}", self.url))
            .bearer_auth(&self.token)
            .send()
            .await
            .map_err(not_reached)?;
        if !response.status().is_success() {
            return self.get(path).await.map(drop);
        }
        let mut buffer = Vec::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            buffer.extend_from_slice(&chunk.map_err(not_reached)?);
            while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = buffer.drain(..end + 2).collect();
                let text = String::from_utf8_lossy(&frame);
                let data = text.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(value) = data.and_then(|data| serde_json::from_str::<Value>(data).ok())
                    && see(&value) == Next::Stop
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Go on with a stream, or leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    More,
    Stop,
}

fn not_reached(error: reqwest::Error) -> anyhow::Error {
    Failure::new(Exit::NotReached, "not_reached", format!("the server does not answer: {error}"))
        .with_hint("start it with `steward serve`")
        .into()
}

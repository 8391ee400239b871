//! `web_fetch`: a page as Markdown, by way of the guarded client.
//!
//! Never fetches by another way, and never shows a page as anything but text from outside.

mod cache;
mod page;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};
use steward_sandbox::egress::{Egress, EgressError, FetchLimits, Fetched};
use tokio::sync::Semaphore;

use crate::arguments::{blocking, parse, settle};
use crate::config::Fetch;
use crate::shell::with_sources;
use cache::{Cache, Entry};

/// Pages that are made readable at once; each takes a processor and memory.
const MAX_AT_ONCE: usize = 2;

pub(crate) struct WebFetchTool {
    spec: ToolSpec,
    egress: Arc<Egress>,
    config: Fetch,
    cache: Cache,
    converting: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct Arguments {
    url: String,
}

impl WebFetchTool {
    pub(crate) fn new(egress: Arc<Egress>, config: Fetch) -> Self {
        let spec = ToolSpec {
            name: "web_fetch",
            group: "web",
            description: include_str!("../prompts/web_fetch.md").trim_ascii(),
            input_schema: json!({ "type": "object", "properties": { "url": { "type": "string" } }, "required": ["url"] }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: true,
        };
        WebFetchTool {
            spec,
            egress,
            config,
            cache: Cache::default(),
            converting: Arc::new(Semaphore::new(MAX_AT_ONCE)),
        }
    }

    async fn run(&self, arguments: Value) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { url } = parse(arguments)?;
        // What follows # never reaches the server.
        let url = url.trim().split('#').next().unwrap_or("").to_owned();
        let entry = match self.cache.get(&url) {
            Some(entry) => entry,
            None => {
                let entry = self.fetch(&url).await?;
                self.cache.put(url, entry.clone());
                entry
            }
        };
        let text = cap(&entry.text, self.config.characters);
        let evidence = vec![Evidence {
            action: EvidenceAction::Fetched,
            object: entry.url.clone(),
            detail: entry.detail.clone(),
        }];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(text)],
            evidence,
        }))
    }

    async fn fetch(&self, url: &str) -> Result<Arc<Entry>, ToolOutcome> {
        let limits = FetchLimits {
            body_bytes: self.config.body_bytes,
            time: self.config.timeout(),
            ..FetchLimits::default()
        };
        let fetched = self.egress.get(url, limits).await.map_err(|error| refusal(&error))?;
        check_status(&fetched)?;
        let permit = self.converting.clone().acquire_owned().await;
        let _permit = permit.map_err(|_| ToolOutcome::failed("Steward is shutting down"))?;
        let detail = format!(
            "status {}, {} bytes{}",
            fetched.status,
            fetched.body.len(),
            if fetched.is_cut { ", cut" } else { "" }
        );
        let url = fetched.final_url.to_string();
        let text = blocking(move || page::text_of(&fetched)).await?.map_err(ToolOutcome::failed)?;
        Ok(Arc::new(Entry { url, text, detail }))
    }
}

impl Tool for WebFetchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, _context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments).await) })
    }
}

/// Why the guarded client fetched nothing, for the model.
pub(crate) fn refusal(error: &EgressError) -> ToolOutcome {
    match error {
        EgressError::NotAllowed { .. } | EgressError::PrivateAddress { .. } => ToolOutcome::Refused { reason: error.to_string() },
        EgressError::BadUrl { .. }
        | EgressError::Unresolved { .. }
        | EgressError::TooManyRedirects { .. }
        | EgressError::TimedOut { .. }
        | EgressError::Failed { .. } => ToolOutcome::failed(with_sources(error)),
    }
}

/// An answer that is an error has no page worth reading.
pub(crate) fn check_status(fetched: &Fetched) -> Result<(), ToolOutcome> {
    if (200..300).contains(&fetched.status) {
        return Ok(());
    }
    let host = fetched.final_url.host_str().unwrap_or("the server");
    Err(ToolOutcome::failed(format!("{host} answered with status {}", fetched.status)))
}

fn cap(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}\n[cut after {limit} of {} characters]", &text[..end], text.chars().count()),
    }
}

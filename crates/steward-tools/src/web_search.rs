//! `web_search`: asks the search provider of the configuration.
//!
//! Gives titles, addresses and snippets; it opens none of them.

mod wire;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};
use steward_sandbox::egress::{Egress, FetchLimits, ServiceRequest};

use crate::arguments::{parse, settle};
use crate::config::Search;
use crate::web_fetch::{check_status, refusal};
use wire::Hit;

const BRAVE: &str = "https://api.search.brave.com";
const MAX_QUERY_CHARS: usize = 400;
const MAX_HITS: usize = 10;
const MAX_ANSWER_BYTES: usize = 2_000_000;
const NOT_SET_UP: &str = "web search is not set up: put [tools.search] with provider = \"searxng\" and base_url = \"http://…\", or \
     provider = \"brave\" and api_key = \"vault:brave\", into steward.toml";

pub(crate) struct WebSearchTool {
    spec: ToolSpec,
    egress: Arc<Egress>,
    provider: Option<Search>,
}

#[derive(Deserialize)]
struct Arguments {
    query: String,
}

impl WebSearchTool {
    pub(crate) fn new(egress: Arc<Egress>, provider: Option<Search>) -> Self {
        let spec = ToolSpec {
            name: "web_search",
            group: "web",
            description: include_str!("../prompts/web_search.md").trim_ascii(),
            input_schema: json!({ "type": "object", "properties": { "query": { "type": "string" } }, "required": ["query"] }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: true,
        };
        WebSearchTool { spec, egress, provider }
    }

    async fn run(&self, arguments: Value) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { query } = parse(arguments)?;
        let query: String = query.trim().chars().take(MAX_QUERY_CHARS).collect();
        if query.is_empty() {
            return Err(ToolOutcome::failed("the query is empty"));
        }
        let Some(provider) = &self.provider else {
            return Err(ToolOutcome::failed(NOT_SET_UP));
        };
        let limits = FetchLimits {
            body_bytes: MAX_ANSWER_BYTES,
            ..FetchLimits::default()
        };
        let request = request(provider, &query).map_err(ToolOutcome::failed)?;
        let fetched = self.egress.request(request, limits).await.map_err(|error| refusal(&error))?;
        check_status(&fetched)?;
        let hits = match provider {
            Search::Searxng { .. } => wire::searxng(&fetched.body),
            Search::Brave { .. } => wire::brave(&fetched.body),
        };
        let hits = hits.map_err(|error| ToolOutcome::failed(format!("the search provider's answer cannot be read: {error}")))?;
        let detail = format!("{} results", hits.len().min(MAX_HITS));
        let evidence = vec![Evidence {
            action: EvidenceAction::Fetched,
            object: query,
            detail,
        }];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(shown(&hits))],
            evidence,
        }))
    }
}

impl Tool for WebSearchTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, _context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments).await) })
    }
}

fn request(provider: &Search, query: &str) -> Result<ServiceRequest, String> {
    let (base, path) = match provider {
        Search::Searxng { base_url } => (base_url.as_str(), "/search"),
        Search::Brave { base_url, .. } => (base_url.as_deref().unwrap_or(BRAVE), "/res/v1/web/search"),
    };
    let bad = || format!("[tools.search] base_url {base:?} is not an address");
    let mut request = ServiceRequest {
        method: Default::default(),
        url: format!("{}{path}", base.trim_end_matches('/')).parse().map_err(|_| bad())?,
        base: base.parse().map_err(|_| bad())?,
        headers: vec![("accept".parse().map_err(|_| bad())?, "application/json".parse().map_err(|_| bad())?)],
        body: None,
    };
    request.url.query_pairs_mut().append_pair("q", query);
    match provider {
        Search::Searxng { .. } => {
            request.url.query_pairs_mut().append_pair("format", "json");
        }
        Search::Brave { api_key, .. } => {
            request.url.query_pairs_mut().append_pair("count", &MAX_HITS.to_string());
            let key = api_key
                .expose()
                .parse()
                .map_err(|_| "[tools.search] api_key cannot be sent in a header".to_owned())?;
            request.headers.push(("x-subscription-token".parse().map_err(|_| bad())?, key));
        }
    }
    Ok(request)
}

fn shown(hits: &[Hit]) -> String {
    if hits.is_empty() {
        return "[no results]".into();
    }
    let entries = hits.iter().take(MAX_HITS).enumerate();
    let entries: Vec<String> = entries
        .map(|(number, hit)| format!("{}. {}\n{}\n{}", number + 1, hit.title, hit.url, hit.snippet))
        .collect();
    entries.join("\n\n")
}

//! The answers of search providers, as far as they are used.
//!
//! Unknown fields are passed over; a result without an address is left out.

use serde::Deserialize;

const MAX_TITLE_CHARS: usize = 200;
const MAX_SNIPPET_CHARS: usize = 300;

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) snippet: String,
}

#[derive(Deserialize)]
struct Searxng {
    results: Vec<RawHit>,
}

#[derive(Deserialize)]
struct Brave {
    /// Absent when nothing was found.
    web: Option<BraveWeb>,
}

#[derive(Deserialize)]
struct BraveWeb {
    #[serde(default)]
    results: Vec<RawHit>,
}

#[derive(Deserialize)]
struct RawHit {
    title: Option<String>,
    url: Option<String>,
    #[serde(alias = "description")]
    content: Option<String>,
}

/// SearXNG: `GET /search?format=json`.
pub(super) fn searxng(body: &[u8]) -> Result<Vec<Hit>, serde_json::Error> {
    let answer: Searxng = serde_json::from_slice(body)?;
    Ok(hits(answer.results))
}

/// Brave: `GET /res/v1/web/search`.
pub(super) fn brave(body: &[u8]) -> Result<Vec<Hit>, serde_json::Error> {
    let answer: Brave = serde_json::from_slice(body)?;
    Ok(hits(answer.web.map(|web| web.results).unwrap_or_default()))
}

fn hits(raw: Vec<RawHit>) -> Vec<Hit> {
    let hit = |raw: RawHit| {
        let url = raw.url.filter(|url| !url.is_empty())?;
        let title = plain(raw.title.as_deref().unwrap_or(&url), MAX_TITLE_CHARS);
        let snippet = plain(raw.content.as_deref().unwrap_or(""), MAX_SNIPPET_CHARS);
        Some(Hit { title, url, snippet })
    };
    raw.into_iter().filter_map(hit).collect()
}

/// One line, without the marks that providers put around words.
fn plain(text: &str, limit: usize) -> String {
    let text = text.replace("<strong>", "").replace("</strong>", "");
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(limit).collect()
}

#[cfg(test)]
mod tests;

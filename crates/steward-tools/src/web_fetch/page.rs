//! What was fetched, as text: HTML as Markdown, JSON in lines, other text as it is.
//!
//! Hostile pages cost bounded work: size, nesting and open formatting are looked at before a parser sees them.

use encoding_rs::{Encoding, UTF_8};
use steward_sandbox::egress::Fetched;

/// More HTML than this is cut before it is parsed.
const MAX_HTML_BYTES: usize = 2 * 1024 * 1024;
/// JSON larger than this is shown as it came.
const MAX_PRETTY_BYTES: usize = 1024 * 1024;
/// Parsers take time by the square of the nesting, and stack by each level.
const MAX_NESTING: usize = 300;
/// Each open formatting element is made again in every block that follows.
const MAX_OPEN_FORMATTING: usize = 32;
const MAX_ELEMENTS: usize = 100_000;

/// The text of what was fetched, or why there is none.
pub(super) fn text_of(fetched: &Fetched) -> Result<String, String> {
    let kind = fetched.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let url = fetched.final_url.as_str();
    let is_binary = fetched.body.iter().take(8192).any(|byte| *byte == 0) && !has_wide_charset(&fetched.content_type);
    if is_binary || !is_text(&kind) {
        let kind = if kind.is_empty() { "binary data" } else { kind.as_str() };
        return Err(format!(
            "{url} is {kind}, which web_fetch does not read; it reads pages and other text"
        ));
    }
    let text = decode(&fetched.body, &fetched.content_type);
    let is_html = matches!(kind.as_str(), "text/html" | "application/xhtml+xml") || kind.is_empty() && looks_like_html(&text);
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let readable = if is_html {
        markdown(&text, url)
    } else if is_json && text.len() <= MAX_PRETTY_BYTES {
        pretty(&text)
    } else {
        text
    };
    let note = if fetched.is_cut {
        "\n[the download was cut at its limit]"
    } else {
        ""
    };
    Ok(format!("{url}\n\n{}{note}", readable.trim()))
}

fn is_text(kind: &str) -> bool {
    const OTHERS: [&str; 11] = [
        "",
        "application/json",
        "application/xml",
        "application/xhtml+xml",
        "application/javascript",
        "application/ecmascript",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/x-ndjson",
        "application/x-sh",
    ];
    kind.starts_with("text/") || kind.ends_with("+json") || kind.ends_with("+xml") || OTHERS.contains(&kind)
}

fn has_wide_charset(content_type: &str) -> bool {
    charset(content_type).is_some_and(|label| label.to_ascii_lowercase().starts_with("utf-16"))
}

fn charset(content_type: &str) -> Option<&str> {
    let lower = content_type.to_ascii_lowercase();
    let start = lower.find("charset=")? + "charset=".len();
    let rest = content_type.get(start..)?.trim_start_matches(['"', '\'']);
    let end = rest.find(['"', '\'', ';', ' ', '>', '/']).unwrap_or(rest.len());
    Some(&rest[..end])
}

/// By the header, else by what the page says of itself, else UTF-8.
fn decode(body: &[u8], content_type: &str) -> String {
    let start = String::from_utf8_lossy(&body[..body.len().min(1024)]);
    let label = charset(content_type).or_else(|| charset(&start));
    let encoding = label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    encoding.decode(body).0.into_owned()
}

fn looks_like_html(text: &str) -> bool {
    let start = text.trim_start().get(..14).unwrap_or("").to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

fn pretty(text: &str) -> String {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    value
        .and_then(|value| serde_json::to_string_pretty(&value).ok())
        .unwrap_or_else(|| text.to_owned())
}

/// The readable part of a page as Markdown; of a page that is too strange, its text.
fn markdown(html: &str, url: &str) -> String {
    let html = &html[..floor_char_boundary(html, MAX_HTML_BYTES)];
    if is_strange(html) {
        return strip_tags(html);
    }
    let config = dom_smoothie::Config {
        max_elements_to_parse: MAX_ELEMENTS,
        ..dom_smoothie::Config::default()
    };
    let article = dom_smoothie::Readability::new(html, Some(url), Some(config)).and_then(|mut page| page.parse());
    let whole = || convert(html).unwrap_or_else(|| strip_tags(html));
    match article {
        Ok(article) => match convert(&article.content).filter(|text| !text.trim().is_empty()) {
            Some(text) if article.title.is_empty() => text,
            Some(text) => format!("# {}\n\n{text}", article.title.trim()),
            None => whole(),
        },
        // Not an article: a list, a form, a short note.
        Err(_) => whole(),
    }
}

fn convert(html: &str) -> Option<String> {
    let skipped = vec!["script", "style", "noscript", "template", "svg", "iframe", "head"];
    htmd::HtmlToMarkdown::builder().skip_tags(skipped).build().convert(html).ok()
}

fn floor_char_boundary(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0)
}

/// Would it be nested, or keep formatting open, beyond what pages that people wrote do? An estimate in one pass.
fn is_strange(html: &str) -> bool {
    let mut open: Vec<String> = Vec::new();
    let mut formatting = 0_usize;
    for tag in Tags(html) {
        if tag.is_end {
            if FORMATTING.contains(&tag.name.as_str()) {
                formatting = formatting.saturating_sub(1);
            }
            if let Some(position) = open.iter().rposition(|name| *name == tag.name) {
                open.truncate(position);
            }
            continue;
        }
        if VOID.contains(&tag.name.as_str()) {
            continue;
        }
        if FORMATTING.contains(&tag.name.as_str()) {
            formatting += 1;
        }
        // A new one of these ends the one before it.
        let ends_itself = SELF_ENDING.contains(&tag.name.as_str()) && open.last() == Some(&tag.name);
        if !ends_itself {
            open.push(tag.name);
        }
        if open.len() > MAX_NESTING || formatting > MAX_OPEN_FORMATTING {
            return true;
        }
    }
    false
}

const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
];
const SELF_ENDING: [&str; 11] = ["p", "li", "dt", "dd", "td", "th", "tr", "option", "optgroup", "tbody", "a"];
const FORMATTING: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

struct Tag {
    name: String,
    is_end: bool,
}

/// The tags of a page in order; scripts, styles and comments are stepped over.
struct Tags<'a>(&'a str);

impl Iterator for Tags<'_> {
    type Item = Tag;

    fn next(&mut self) -> Option<Tag> {
        loop {
            let start = self.0.find('<')?;
            let rest = &self.0[start + 1..];
            if let Some(comment) = rest.strip_prefix("!--") {
                self.0 = comment.split_once("-->").map_or("", |(_, rest)| rest);
                continue;
            }
            let is_end = rest.starts_with('/');
            let rest = rest.strip_prefix('/').unwrap_or(rest);
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
            let name = rest[..length].to_ascii_lowercase();
            self.0 = &rest[length..];
            if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
                continue;
            }
            self.0 = self.0.split_once('>').map_or("", |(_, rest)| rest);
            if !is_end && matches!(name.as_str(), "script" | "style") {
                let end = format!("</{name}");
                self.0 = find_ignoring_case(self.0, &end).map_or("", |position| &self.0[position..]);
                continue;
            }
            return Some(Tag { name, is_end });
        }
    }
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes()
        .windows(wanted.len())
        .position(|window| window.eq_ignore_ascii_case(wanted.as_bytes()))
}

/// Only the text, without building a tree. Lines that hold nothing are left out.
fn strip_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let lower: String = after.chars().take(6).collect::<String>().to_ascii_lowercase();
        let end = ["script", "style"]
            .into_iter()
            .find(|name| lower.starts_with(name))
            .map(|name| format!("</{name}"));
        let after = match end {
            Some(end) => find_ignoring_case(after, &end).map_or("", |position| &after[position..]),
            None => after,
        };
        rest = after.split_once('>').map_or("", |(_, rest)| rest);
        text.push('\n');
    }
    text.push_str(rest);
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&nbsp;", " ")
        .replace("&amp;", "&");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;

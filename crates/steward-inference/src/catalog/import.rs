//! Makes a list of prices out of a public catalogue: LiteLLM's `model_prices_and_context_window.json` (MIT).
//!
//! Takes only providers of the shipped list. A model whose price rises past some length is listed with the context up to which
//! the price holds; a price of nothing is taken for unknown, unless the name says that the model is free.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::snapshot::{self, BadSnapshot, Origin, Snapshot};

const LICENCE: &str = "MIT";

/// The provider there, the provider here, and what stands before the model's name there.
const PROVIDERS: [(&str, &str, &str); 26] = [
    ("anthropic", "anthropic", ""),
    ("openai", "openai", ""),
    ("azure", "azure", "azure/"),
    ("gemini", "gemini", "gemini/"),
    ("bedrock", "bedrock", ""),
    ("bedrock_converse", "bedrock", ""),
    ("vertex_ai", "vertex", "vertex_ai/"),
    ("clarifai", "clarifai", "clarifai/"),
    ("openrouter", "openrouter", "openrouter/"),
    ("groq", "groq", "groq/"),
    ("mistral", "mistral", "mistral/"),
    ("deepseek", "deepseek", "deepseek/"),
    ("together_ai", "together", "together_ai/"),
    ("fireworks_ai", "fireworks", "fireworks_ai/"),
    ("xai", "xai", "xai/"),
    ("cerebras", "cerebras", "cerebras/"),
    ("moonshot", "moonshot", "moonshot/"),
    ("zai", "zai", "zai/"),
    ("minimax", "minimax", "minimax/"),
    ("dashscope", "qwen", "dashscope/"),
    ("huggingface", "huggingface", "huggingface/"),
    ("nvidia_nim", "nvidia", "nvidia_nim/"),
    ("perplexity", "perplexity", "perplexity/"),
    ("cohere", "cohere", "cohere/"),
    ("cohere_chat", "cohere", ""),
    ("vercel_ai_gateway", "vercel", "vercel_ai_gateway/"),
];

/// Kinds of models that Steward can call.
const MODES: [&str; 4] = ["chat", "responses", "completion", "embedding"];

/// The keys of prices of a token, in the order of the columns.
const TOKEN_PRICES: [&str; 8] = [
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
    "cache_creation_input_token_cost_above_1hr",
    "output_cost_per_reasoning_token",
    "input_cost_per_audio_token",
    "output_cost_per_audio_token",
];

/// A list from a text that is either LiteLLM's JSON, taken on the day `date`, or a list of Steward's own.
///
/// # Errors
/// It is neither, or a line of it is wrong.
pub fn read(text: String, date: &str) -> Result<Snapshot, BadSnapshot> {
    if text.trim_start().starts_with('{') {
        return from_litellm(&text, "litellm", date);
    }
    Snapshot::parse(text)
}

/// The list made of the catalogue's JSON. `source` names it with its version, `date` is the day on which it was taken.
///
/// # Errors
/// The text is no such catalogue, or no model in it is of use.
pub fn from_litellm(json: &str, source: &str, date: &str) -> Result<Snapshot, BadSnapshot> {
    let entries: BTreeMap<String, Value> =
        serde_json::from_str(json).map_err(|error| BadSnapshot(format!("it is no catalogue: {error}")))?;
    let lines: BTreeSet<String> = entries
        .iter()
        .filter_map(|(name, entry)| {
            let entry = entry.as_object()?;
            Some(format!("{}\t{}", name_here(name, entry)?, cells(name, entry)?))
        })
        .collect();
    let mut text = snapshot::head(&Origin {
        source: source.to_owned(),
        date: date.to_owned(),
        sha256: hex_digest(json.as_bytes()),
        licence: LICENCE.to_owned(),
    });
    let mut last = String::new();
    for line in lines {
        let name = line.split('\t').next().unwrap_or_default();
        if name != last {
            last = name.to_owned();
            let _ = writeln!(text, "{}", line.trim_end_matches('\t'));
        }
    }
    if last.is_empty() {
        return Err(BadSnapshot("it has no model of a known provider".to_owned()));
    }
    // Sorted by line, a name could come before a shorter one that it begins with; the list is sorted by name.
    let (head, lines) = text.split_once('\n').unwrap_or_default();
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_by_key(|line| line.split('\t').next());
    Snapshot::parse(format!("{head}\n{}\n", lines.join("\n")))
}

/// The SHA-256 of bytes, in hex.
pub(super) fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `provider/model` as it is asked for here; `None` for what is of no use here.
fn name_here(name: &str, entry: &Map<String, Value>) -> Option<String> {
    let mode = entry.get("mode").and_then(Value::as_str)?;
    if !MODES.contains(&mode) {
        return None;
    }
    let provider = entry.get("litellm_provider").and_then(Value::as_str)?;
    // Vertex is split by the maker of the model there.
    let provider = if provider.starts_with("vertex_ai") { "vertex_ai" } else { provider };
    let (_, here, prefix) = PROVIDERS.iter().find(|(there, _, _)| *there == provider)?;
    let model = name.strip_prefix(prefix).unwrap_or(name);
    // Prices by region and by commitment: the model is asked for by its plain name.
    let is_variant = matches!(*here, "azure" | "bedrock") && model.contains('/');
    let is_plain = !model.is_empty() && model.len() <= 150 && model.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && !is_variant).then(|| format!("{here}/{model}"))
}

/// The cells after the name; `None` when nothing is known that matters.
fn cells(name: &str, entry: &Map<String, Value>) -> Option<String> {
    let number = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_f64)
            .filter(|number| *number >= 0.0 && *number < 1000.0)
    };
    let mut prices: Vec<Option<u64>> = TOKEN_PRICES.iter().map(|key| number(key).map(pico)).collect();
    let is_free_by_name = name.ends_with(":free");
    let is_nothing = prices[0].unwrap_or(0) == 0 && prices[1].unwrap_or(0) == 0;
    if is_nothing && !is_free_by_name {
        prices.fill(None);
    } else {
        prices[0] = prices[0].or(Some(0));
        prices[1] = prices[1].or(Some(0));
    }
    // What a price is anyway, when nothing is said, need not be written.
    let derived = [
        None,
        None,
        prices[0],
        prices[0],
        prices[3].or(prices[0]),
        prices[1],
        prices[0],
        prices[1],
    ];
    let mut cells: Vec<String> = Vec::new();
    for (price, derived) in prices.iter().zip(derived) {
        let is_told = price.is_some() && *price != derived;
        cells.push(price.filter(|_| is_told).map(per_mtok).unwrap_or_default());
    }
    let amount = |key: &str| number(key).filter(|price| *price > 0.0).map(|price| decimals(pico(price), 12));
    cells.push(amount("input_cost_per_image").filter(|_| !is_nothing).unwrap_or_default());
    cells.push(amount("input_cost_per_request").filter(|_| !is_nothing).unwrap_or_default());
    let count = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_f64)
            .filter(|count| *count >= 1.0)
            .map(|count| count as u64)
    };
    let context = match (count("max_input_tokens"), step(entry)) {
        (Some(context), Some(step)) => Some(context.min(step)),
        (context, _) => context,
    };
    let output = count("max_output_tokens");
    cells.extend([context, output].map(|count| count.map(|count| count.to_string()).unwrap_or_default()));
    let word = |key: &str| match entry.get(key).and_then(Value::as_bool) {
        Some(true) => "y".to_owned(),
        Some(false) => "n".to_owned(),
        None => String::new(),
    };
    cells.extend([word("supports_function_calling"), word("supports_vision")]);
    debug_assert_eq!(cells.len() + 1, snapshot::COLUMNS);
    cells.iter().any(|cell| !cell.is_empty()).then(|| cells.join("\t"))
}

/// The least length in tokens past which some price of input or output is dearer.
fn step(entry: &Map<String, Value>) -> Option<u64> {
    let steps = entry.iter().filter_map(|(key, value)| {
        let (base, rest) = key.split_once("_above_")?;
        let thousands: u64 = rest.strip_suffix("k_tokens")?.parse().ok()?;
        let is_dearer = value.as_f64()? > entry.get(base).and_then(Value::as_f64)?;
        is_dearer.then_some(thousands * 1000)
    });
    steps.min()
}

/// Dollars as whole pico-dollars.
fn pico(dollars: f64) -> u64 {
    (dollars * 1e12).round() as u64
}

/// Pico-dollars a token as dollars a million tokens.
fn per_mtok(pico: u64) -> String {
    decimals(pico, 6)
}

/// A number with so many decimals, without zeros at its end.
fn decimals(number: u64, places: usize) -> String {
    let unit = 10_u64.pow(u32::try_from(places).unwrap_or_default());
    let text = format!("{}.{:0places$}", number / unit, number % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;

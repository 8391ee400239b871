//! Fields that the domain does not know but that several dialects have under names of their own: a seed, penalties, probabilities.
//!
//! A field is only carried over where the other dialect means the same by it.

use serde_json::{Map, Value, json};

use crate::{Dialect, extra};

/// What a request asks beside the domain's fields, in no dialect's words.
#[derive(Default)]
struct Wishes {
    seed: Option<Value>,
    presence_penalty: Option<Value>,
    frequency_penalty: Option<Value>,
    top_k: Option<Value>,
    /// How many alternatives a token's probabilities name; `Some(0)` for none but its own.
    top_logprobs: Option<u64>,
    user: Option<Value>,
    verbosity: Option<Value>,
    prompt_cache_key: Option<Value>,
    service_tier: Option<Value>,
}

/// Fields for a body in `dialect` that another dialect's caller asked for. Empty for fields of the same dialect, which pass as they are.
pub(crate) fn fields_for(fields: &Map<String, Value>, dialect: Dialect) -> Map<String, Value> {
    let Some(from) = Dialect::ALL.into_iter().find(|from| extra::belongs_to(fields, *from)) else {
        return Map::new();
    };
    if from == dialect {
        return Map::new();
    }
    Wishes::read(fields, from).write(dialect)
}

impl Wishes {
    fn read(fields: &Map<String, Value>, from: Dialect) -> Wishes {
        let get = |key: &str| fields.get(key).filter(|value| !value.is_null()).cloned();
        let inner = |outer: &str, key: &str| fields.get(outer)?.get(key).filter(|value| !value.is_null()).cloned();
        let number = |value: Option<Value>| value.and_then(|value| value.as_u64());
        match from {
            Dialect::OpenAiChat => Wishes {
                seed: get("seed"),
                presence_penalty: get("presence_penalty"),
                frequency_penalty: get("frequency_penalty"),
                top_k: get("top_k"),
                top_logprobs: get("logprobs")
                    .and_then(|wants| wants.as_bool())
                    .filter(|wants| *wants)
                    .map(|_| number(get("top_logprobs")).unwrap_or(0)),
                user: get("user"),
                verbosity: get("verbosity"),
                prompt_cache_key: get("prompt_cache_key"),
                service_tier: get("service_tier"),
            },
            Dialect::OpenAiResponses => Wishes {
                top_logprobs: number(get("top_logprobs")),
                user: get("user"),
                verbosity: inner("text", "verbosity"),
                prompt_cache_key: get("prompt_cache_key"),
                service_tier: get("service_tier"),
                ..Wishes::default()
            },
            Dialect::Anthropic => Wishes {
                top_k: get("top_k"),
                user: inner("metadata", "user_id"),
                ..Wishes::default()
            },
            Dialect::Gemini => {
                let config = |key: &str| inner("generationConfig", key);
                let wants_logprobs = config("responseLogprobs").and_then(|wants| wants.as_bool()).unwrap_or(false);
                Wishes {
                    seed: config("seed"),
                    presence_penalty: config("presencePenalty"),
                    frequency_penalty: config("frequencyPenalty"),
                    top_k: config("topK"),
                    top_logprobs: wants_logprobs.then(|| number(config("logprobs")).unwrap_or(0)),
                    ..Wishes::default()
                }
            }
        }
    }

    fn write(self, dialect: Dialect) -> Map<String, Value> {
        let mut body = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(key.to_owned(), value);
            }
        };
        match dialect {
            Dialect::OpenAiChat => {
                put("seed", self.seed);
                put("presence_penalty", self.presence_penalty);
                put("frequency_penalty", self.frequency_penalty);
                put("logprobs", self.top_logprobs.map(|_| Value::Bool(true)));
                put("top_logprobs", self.top_logprobs.filter(|count| *count > 0).map(Value::from));
                put("user", self.user);
                put("verbosity", self.verbosity);
                put("prompt_cache_key", self.prompt_cache_key);
                put("service_tier", self.service_tier);
            }
            Dialect::OpenAiResponses => {
                put("top_logprobs", self.top_logprobs.filter(|count| *count > 0).map(Value::from));
                put("include", self.top_logprobs.map(|_| json!(["message.output_text.logprobs"])));
                put("user", self.user);
                put("text", self.verbosity.map(|verbosity| json!({ "verbosity": verbosity })));
                put("prompt_cache_key", self.prompt_cache_key);
                put("service_tier", self.service_tier);
            }
            Dialect::Anthropic => {
                put("top_k", self.top_k);
                put("metadata", self.user.map(|user| json!({ "user_id": user })));
            }
            Dialect::Gemini => {
                let config = [
                    ("seed", self.seed),
                    ("presencePenalty", self.presence_penalty),
                    ("frequencyPenalty", self.frequency_penalty),
                    ("topK", self.top_k),
                    ("responseLogprobs", self.top_logprobs.map(|_| Value::Bool(true))),
                    ("logprobs", self.top_logprobs.filter(|count| *count > 0).map(Value::from)),
                ];
                let config: Map<String, Value> = config
                    .into_iter()
                    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                    .collect();
                put("generationConfig", (!config.is_empty()).then_some(Value::Object(config)));
            }
        }
        body
    }
}

/// Puts `more` into a body: objects and lists grow, everything else stays as it is.
pub(crate) fn merge(body: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (body.get_mut(&key), value) {
            (Some(Value::Object(known)), Value::Object(more)) => {
                for (key, value) in more {
                    known.entry(key).or_insert(value);
                }
            }
            (Some(Value::Array(known)), Value::Array(more)) => {
                let new: Vec<Value> = more.into_iter().filter(|item| !known.contains(item)).collect();
                known.extend(new);
            }
            (Some(_), _) => {}
            (None, value) => {
                body.insert(key, value);
            }
        }
    }
}

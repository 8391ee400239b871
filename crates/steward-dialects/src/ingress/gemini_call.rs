//! What a Gemini path asks for: the model and the action behind the last colon.

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeminiAction {
    /// `generateContent`.
    Generate,
    /// `streamGenerateContent`.
    StreamGenerate,
    /// `countTokens`.
    CountTokens,
    /// `embedContent`.
    Embed,
    /// `batchEmbedContents`.
    BatchEmbed,
}

/// A path of Gemini's, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeminiCall {
    /// The model as the caller wrote it, without escapes.
    pub model: String,
    /// What is asked of it.
    pub action: GeminiAction,
    /// The stream is wanted as events; else it is one JSON list.
    pub is_sse: bool,
}

impl GeminiCall {
    /// Reads what follows `/v1beta/models/`, such as `anthropic/claude:generateContent` or `anthropic%2Fclaude:generateContent`.
    pub fn parse(path: &str, query: &str) -> Option<GeminiCall> {
        let (model, action) = path.rsplit_once(':').or_else(|| path.rsplit_once("%3A"))?;
        let action = match action {
            "generateContent" => GeminiAction::Generate,
            "streamGenerateContent" => GeminiAction::StreamGenerate,
            "countTokens" => GeminiAction::CountTokens,
            "embedContent" => GeminiAction::Embed,
            "batchEmbedContents" => GeminiAction::BatchEmbed,
            _ => return None,
        };
        let model = unescape(model)?;
        if model.is_empty() {
            return None;
        }
        Some(GeminiCall {
            model,
            action,
            is_sse: query.split('&').any(|pair| pair == "alt=sse"),
        })
    }
}

fn unescape(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

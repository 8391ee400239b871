//! Finds the maker's own name of a model that another provider serves, such as Claude at Bedrock.
//!
//! Prices never follow from it, only how the model speaks.

/// `anthropic/claude-…` for Claude at Bedrock and Vertex, `gemini/…` for Gemini at Vertex, `openai/…` for Azure.
pub(super) fn maker_of(target: &str) -> Option<String> {
    let (provider, model) = target.split_once('/')?;
    match provider {
        "bedrock" => {
            let (_, model) = model.split_once("anthropic.")?;
            let model = model.split(':').next().unwrap_or(model);
            let model = model.rsplit_once("-v").map_or(model, |(name, _)| name);
            Some(format!("anthropic/{}", undated(model)))
        }
        "vertex" if model.starts_with("claude") => {
            let model = model.split('@').next().unwrap_or(model);
            Some(format!("anthropic/{}", undated(model)))
        }
        "vertex" if model.starts_with("gemini") => Some(format!("gemini/{model}")),
        "azure" => Some(format!("openai/{model}")),
        _ => None,
    }
}

fn undated(model: &str) -> &str {
    super::plain_name(model).unwrap_or(model)
}

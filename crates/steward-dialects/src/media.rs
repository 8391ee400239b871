//! Images and files as addresses and data URLs.

use steward_domain::message::{MediaSource, Part};

/// A source from an address; a `data:` URL gives its bytes.
pub(crate) fn source_of(url: String) -> MediaSource {
    let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match inline {
        Some((media_type, data)) => {
            // Parameters such as a charset are of no use to a provider.
            let media_type = media_type.split(';').next().unwrap_or_default();
            MediaSource::Inline {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            }
        }
        None => MediaSource::Url { url },
    }
}

/// A source as an address; bytes become a `data:` URL.
pub(crate) fn url_of(source: &MediaSource) -> String {
    match source {
        MediaSource::Inline { media_type, data } => format!("data:{media_type};base64,{data}"),
        MediaSource::Url { url } => url.clone(),
    }
}

/// All text of a list of parts, joined by line feeds, and the parts that are images or files.
pub(crate) fn split_content(parts: &[Part]) -> (String, Vec<&Part>) {
    let mut texts = Vec::new();
    let mut media = Vec::new();
    for part in parts {
        match part {
            Part::Text { text, .. } => texts.push(text.as_str()),
            Part::Image { .. } | Part::File { .. } => media.push(part),
            Part::Thinking { .. } | Part::ToolCall(_) | Part::ToolResult { .. } | Part::Opaque { .. } => {}
        }
    }
    (texts.join("\n"), media)
}

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

/// The media type of audio that is named by its format alone.
pub(crate) fn audio_type(format: &str) -> String {
    match format {
        "mp3" => "audio/mpeg".to_owned(),
        "" => "audio/wav".to_owned(),
        format => format!("audio/{format}"),
    }
}

/// The format of audio by its media type; `None` for what is no audio.
pub(crate) fn audio_format(media_type: &str) -> Option<&str> {
    media_type.strip_prefix("audio/").map(|format| match format {
        "mpeg" => "mp3",
        "x-wav" | "wave" => "wav",
        other => other,
    })
}

/// The media type that an address's ending tells, where it does.
pub(crate) fn type_by_ending(url: &str) -> Option<&'static str> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let ending = path.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match ending.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => return None,
    })
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

//! Where a request goes when its provider is a cloud: host, path and body as the cloud wants them.
//!
//! Pure: opens no connection and holds no key. A model's name comes from a caller, so it never leaves its place in a path.

use steward_dialects::Dialect;
use steward_dialects::egress::{EncodedRequest, Streaming, join_url};
use steward_domain::model::{ModelError, ModelErrorKind};

use crate::config::{PlatformName, ProviderConfig};
use crate::signing::google::project_of;
use crate::signing::sigv4::percent_encoded;
use crate::tables::Endpoint;

mod body;
pub(crate) mod event_stream;

/// What Bedrock wants in place of the version header.
const BEDROCK_VERSION: &str = "bedrock-2023-05-31";

/// What Vertex wants in place of the version header.
const VERTEX_VERSION: &str = "vertex-2023-10-16";

/// The media type of a streamed answer of Bedrock.
const EVENT_STREAM: &str = "application/vnd.amazon.eventstream";

const SSE: &str = "text/event-stream";

/// The cloud of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Platform {
    /// None: the dialect's own paths.
    #[default]
    Plain,
    /// Azure OpenAI.
    Azure { api_version: Option<String> },
    /// Amazon Bedrock.
    Bedrock { region: String },
    /// Google Vertex AI.
    Vertex { region: String, project: Option<String> },
}

/// A request with its place: all but authentication.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) url: String,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) accept: &'static str,
}

impl Platform {
    /// The platform and the address of a provider. `base_url` may hold `{resource}` and `{region}`.
    ///
    /// # Errors
    /// A sentence that names the setting that is missing.
    pub(crate) fn of(
        name: Option<PlatformName>,
        config: &ProviderConfig,
        region: Option<&str>,
        base_url: &str,
    ) -> Result<(Self, String), String> {
        let Some(name) = name else {
            return Ok((Platform::Plain, base_url.to_owned()));
        };
        let region = config.region.as_deref().or(region);
        let mut base_url = base_url.trim_end_matches('/').to_owned();
        for (placeholder, value, setting) in [
            ("{resource}", config.resource.as_deref(), "resource"),
            ("{region}", region, "region"),
        ] {
            if base_url.contains(placeholder) {
                let value = value.ok_or_else(|| format!("it needs a {setting}, or a base_url"))?;
                let is_name = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
                if !is_name {
                    return Err(format!("its {setting} may hold letters, digits and hyphens only"));
                }
                base_url = base_url.replace(placeholder, value);
            }
        }
        let needs_region = || region.map(str::to_owned).ok_or_else(|| "it needs a region".to_owned());
        Ok(match name {
            PlatformName::Azure => {
                let root = base_url.strip_suffix("/openai/v1").or_else(|| base_url.strip_suffix("/openai"));
                let api_version = config.api_version.clone();
                (Platform::Azure { api_version }, root.unwrap_or(&base_url).to_owned())
            }
            PlatformName::Bedrock => (Platform::Bedrock { region: needs_region()? }, base_url),
            PlatformName::Vertex => {
                let region = needs_region()?;
                let base_url = vertex_host(&base_url, &region);
                let project = config.project.clone();
                (Platform::Vertex { region, project }, base_url)
            }
        })
    }

    /// The dialect in which the platform serves `model`; `usual` where it has but one.
    pub(crate) fn dialect_of(&self, model: &str, usual: Dialect) -> Dialect {
        match self {
            Platform::Plain | Platform::Azure { .. } => usual,
            Platform::Bedrock { .. } if model.contains("anthropic.") => Dialect::Anthropic,
            Platform::Vertex { .. } if model.starts_with("claude") => Dialect::Anthropic,
            Platform::Vertex { .. } if model.starts_with("gemini") => Dialect::Gemini,
            Platform::Bedrock { .. } | Platform::Vertex { .. } => Dialect::OpenAiChat,
        }
    }

    /// Is a call of this path spoken there? Counting tokens and Gemini's embeddings have forms of their own at Bedrock and Vertex.
    fn has(&self, path: &str) -> bool {
        match self {
            Platform::Plain | Platform::Azure { .. } => true,
            Platform::Bedrock { .. } | Platform::Vertex { .. } => {
                let verb = path.split('?').next().and_then(|path| path.rsplit_once(':')).map(|(_, verb)| verb);
                let is_gemini = path.starts_with("/v1beta/");
                let is_answer = matches!(verb, Some("generateContent" | "streamGenerateContent"));
                !path.ends_with("/count_tokens") && (!is_gemini || is_answer)
            }
        }
    }

    /// The region for a signature; empty where nothing is signed.
    pub(crate) fn region(&self) -> &str {
        match self {
            Platform::Bedrock { region } => region,
            Platform::Plain | Platform::Azure { .. } | Platform::Vertex { .. } => "",
        }
    }
}

/// Two regions have hosts that are not made of their name.
fn vertex_host(base_url: &str, region: &str) -> String {
    match region {
        "global" => base_url.replace("://global-aiplatform.", "://aiplatform."),
        "us" | "eu" => base_url.replace(
            &format!("://{region}-aiplatform.googleapis.com"),
            &format!("://aiplatform.{region}.rep.googleapis.com"),
        ),
        _ => base_url.to_owned(),
    }
}

/// Gives an encoded request the place that the endpoint's platform wants.
///
/// # Errors
/// The model's name cannot stand in a path, or Vertex has no project.
pub(crate) fn place(
    endpoint: &Endpoint,
    (model, key): (&str, Option<&str>),
    streaming: Streaming,
    encoded: EncodedRequest,
) -> Result<Placed, ModelError> {
    let base = &endpoint.base_url;
    if !endpoint.platform.has(&encoded.path) {
        return Err(ModelError::new(
            ModelErrorKind::Unsupported,
            "the provider's cloud has no such call, or has it in a form that is not spoken here",
        ));
    }
    let accept = match streaming {
        Streaming::Streamed => SSE,
        Streaming::Whole => "application/json",
    };
    let plain = |url: String, encoded: EncodedRequest| Placed {
        url,
        body: encoded.body,
        headers: encoded.headers,
        accept,
    };
    match &endpoint.platform {
        Platform::Plain => Ok(plain(join_url(base, &encoded.path), encoded)),
        Platform::Azure { api_version } => {
            let url = azure_url(base, api_version.as_deref(), model, &encoded.path)?;
            Ok(plain(url, encoded))
        }
        Platform::Bedrock { .. } if endpoint.dialect == Dialect::Anthropic => bedrock_anthropic(base, model, streaming, &encoded),
        Platform::Bedrock { .. } => Ok(plain(format!("{base}/openai{}", encoded.path), encoded)),
        Platform::Vertex { region, project } => {
            let project = project.clone().or_else(|| key.and_then(project_of)).ok_or_else(no_project)?;
            let root = format!("{base}/v1/projects/{}/locations/{region}", segment(&project)?);
            vertex(&root, (model, streaming), endpoint.dialect, encoded).map(|mut placed| {
                placed.accept = accept;
                placed
            })
        }
    }
}

/// Where a platform lists its models.
///
/// # Errors
/// Vertex has no project.
pub(crate) fn list_url(endpoint: &Endpoint, key: Option<&str>) -> Result<String, ModelError> {
    let base = &endpoint.base_url;
    Ok(match &endpoint.platform {
        Platform::Plain => match endpoint.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::Anthropic => join_url(base, "/v1/models"),
            Dialect::Gemini => join_url(base, "/v1beta/models"),
        },
        Platform::Azure { api_version } => match api_version.as_deref().filter(|version| is_date(version)) {
            Some(version) => format!("{base}/openai/models?api-version={}", percent_encoded(version)),
            None => format!("{base}/openai/v1/models"),
        },
        // The list is not at the runtime's host but at its neighbour's.
        Platform::Bedrock { .. } => format!("{}/foundation-models", base.replacen("://bedrock-runtime.", "://bedrock.", 1)),
        Platform::Vertex { region, project } => {
            let project = project.clone().or_else(|| key.and_then(project_of)).ok_or_else(no_project)?;
            format!("{base}/v1/projects/{}/locations/{region}/endpoints", segment(&project)?)
        }
    })
}

/// With a date as version the deployment stands in the path; the newer interface reads it from the body.
fn azure_url(base: &str, version: Option<&str>, model: &str, path: &str) -> Result<String, ModelError> {
    let rest = path.strip_prefix("/v1/").unwrap_or(path.trim_start_matches('/'));
    let query = version.map(|version| format!("?api-version={}", percent_encoded(version)));
    Ok(match version.filter(|version| is_date(version)) {
        // Responses never had a deployment in their path.
        Some(_) if rest.starts_with("responses") => format!("{base}/openai/{rest}{}", query.unwrap_or_default()),
        Some(_) => format!("{base}/openai/deployments/{}/{rest}{}", segment(model)?, query.unwrap_or_default()),
        None => format!("{base}/openai/v1/{rest}{}", query.unwrap_or_default()),
    })
}

fn is_date(version: &str) -> bool {
    version.starts_with(|letter: char| letter.is_ascii_digit())
}

fn bedrock_anthropic(base: &str, model: &str, streaming: Streaming, encoded: &EncodedRequest) -> Result<Placed, ModelError> {
    let (verb, accept) = match streaming {
        Streaming::Streamed => ("invoke-with-response-stream", EVENT_STREAM),
        Streaming::Whole => ("invoke", "application/json"),
    };
    Ok(Placed {
        url: format!("{base}/model/{}/{verb}", segment(model)?),
        body: body::hosted(encoded, BEDROCK_VERSION, &["model", "stream"], body::Betas::InBody)?,
        headers: vec![("content-type", "application/json".to_owned())],
        accept,
    })
}

fn vertex(root: &str, (model, streaming): (&str, Streaming), dialect: Dialect, encoded: EncodedRequest) -> Result<Placed, ModelError> {
    let (url, body, headers) = match dialect {
        Dialect::Anthropic => {
            let verb = match streaming {
                Streaming::Streamed => "streamRawPredict",
                Streaming::Whole => "rawPredict",
            };
            let headers = encoded
                .headers
                .iter()
                .filter(|(name, _)| *name != "anthropic-version")
                .cloned()
                .collect();
            let body = body::hosted(&encoded, VERTEX_VERSION, &["model"], body::Betas::InHeader)?;
            (
                format!("{root}/publishers/anthropic/models/{}:{verb}", segment(model)?),
                body,
                headers,
            )
        }
        Dialect::Gemini => {
            let rest = encoded.path.strip_prefix("/v1beta/").unwrap_or(&encoded.path);
            (format!("{root}/publishers/google/{rest}"), encoded.body, encoded.headers)
        }
        Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            let rest = encoded.path.strip_prefix("/v1/").unwrap_or(&encoded.path);
            (format!("{root}/endpoints/openapi/{rest}"), encoded.body, encoded.headers)
        }
    };
    Ok(Placed {
        url,
        body,
        headers,
        accept: SSE,
    })
}

/// A name as one piece of a path.
fn segment(name: &str) -> Result<String, ModelError> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(ModelError::new(ModelErrorKind::NotFound, format!("{name:?} is no model's name")));
    }
    Ok(percent_encoded(name))
}

fn no_project() -> ModelError {
    ModelError::new(
        ModelErrorKind::Auth,
        "no project is known: set project in the provider's table, or use a service account, which names its own",
    )
}

#[cfg(test)]
mod tests;

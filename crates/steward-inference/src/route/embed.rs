//! Embeddings take the same way as answers: targets in their order, keys, windows, breakers, retries and the bill.
//!
//! One body there and one back; the vectors lie in a place that the call and its caller share.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use steward_dialects::Dialect;
use steward_dialects::embeddings::{EmbedInput, EmbedRequest, Embedded};
use steward_domain::clock::Timestamp;
use steward_domain::model::{Answerer, Caller, Finish, FinishReason, ModelError, ModelErrorKind, ModelEvent};
use steward_domain::money::Usd;
use steward_domain::secret::Secret;
use steward_domain::usage::{Usage, UsageSource};

use super::Router;
use super::leg::Upstream;
use crate::estimate::tokens_of_chars;
use crate::needs::Needs;
use crate::provider::HttpProvider;
use crate::tables::{Endpoint, Place, Target};

/// What a caller asked to have embedded, and the place for the vectors.
#[derive(Debug)]
pub(crate) struct Embedding {
    request: EmbedRequest,
    found: Mutex<Option<Found>>,
}

#[derive(Debug)]
struct Found {
    embedded: Embedded,
    body: Bytes,
    dialect: Dialect,
}

/// Vectors with what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbedAnswer {
    /// The vectors.
    pub embedded: Embedded,
    /// The provider's own answer, where the provider speaks the caller's dialect.
    pub body: Option<Bytes>,
    /// Who answered.
    pub answerer: Answerer,
    /// What it used.
    pub usage: Usage,
    /// Whether the provider said so.
    pub usage_source: UsageSource,
    /// What it cost.
    pub cost: Usd,
}

impl Router {
    /// Embeds what is asked, by the first target of the route that can.
    ///
    /// # Errors
    /// There is no such route or model, a budget refuses, or every target failed.
    pub async fn embed(&self, request: EmbedRequest, caller: Caller) -> Result<EmbedAnswer, ModelError> {
        let plan = self.tables.load().resolve(&request.model)?;
        let metered = request.metered();
        let dialect = request.dialect;
        let largest = request.inputs.iter().map(tokens_of).max().unwrap_or_default();
        let embedding = Arc::new(Embedding {
            request,
            found: Mutex::new(None),
        });
        let mut call = self.shared.begin(plan, metered, caller);
        // Each input has the model's context to itself.
        call.needs = Needs::of_text(largest);
        call.embedding = Some(Arc::clone(&embedding));
        let (answerer, mut live) = call.open().await?;
        let finish = match live.next().await {
            ModelEvent::Finished(finish) => finish,
            ModelEvent::Failed(error) => return Err(error),
            other => return Err(ModelError::new(ModelErrorKind::Malformed, format!("no vectors but {other:?}"))),
        };
        let found = embedding.found.lock().unwrap_or_else(PoisonError::into_inner).take();
        let found = found.ok_or_else(|| ModelError::new(ModelErrorKind::Malformed, "the provider gave no vectors"))?;
        let is_same_wire = (found.dialect == Dialect::Gemini) == (dialect == Dialect::Gemini);
        Ok(EmbedAnswer {
            // Gemini is always asked in batches, so a single answer has another shape than what came.
            body: (is_same_wire && !embedding.request.is_single).then_some(found.body),
            embedded: found.embedded,
            answerer,
            usage: finish.usage,
            usage_source: finish.usage_source,
            cost: finish.cost,
        })
    }
}

fn tokens_of(input: &EmbedInput) -> u64 {
    match input {
        EmbedInput::Text(text) => tokens_of_chars(text.chars().count() as u64),
        EmbedInput::Tokens(tokens) => tokens.len() as u64,
        EmbedInput::Gemini(_) => 0,
    }
}

/// An embedding that is ready to leave for one target.
#[derive(Debug)]
pub(crate) struct EmbedCargo {
    provider: HttpProvider,
    endpoint: Endpoint,
    key: Option<Secret<String>>,
    request: EmbedRequest,
    place: Arc<Embedding>,
    /// Its input by estimate, for providers that do not count.
    input_tokens: u64,
}

impl EmbedCargo {
    /// Makes it ready.
    ///
    /// # Errors
    /// `Unsupported`: the target runs in this process.
    pub(crate) fn new(
        embedding: &Arc<Embedding>,
        target: &Target,
        (provider, key): (&HttpProvider, Option<&Secret<String>>),
        input_tokens: u64,
    ) -> Result<Self, ModelError> {
        let Place::Http { endpoint, .. } = &target.place else {
            return Err(ModelError::new(
                ModelErrorKind::Unsupported,
                "models in this process do not embed yet",
            ));
        };
        Ok(EmbedCargo {
            provider: provider.clone(),
            endpoint: endpoint.clone(),
            key: key.cloned(),
            request: EmbedRequest {
                model: target.model.clone(),
                ..embedding.request.clone()
            },
            place: Arc::clone(embedding),
            input_tokens,
        })
    }

    /// Sends it; the vectors are in their place when this has succeeded.
    ///
    /// # Errors
    /// The connection failed, the provider refused, or its dialect has no embeddings.
    pub(crate) async fn send(self, now: Timestamp) -> Result<Upstream, ModelError> {
        let (embedded, body) = self.provider.embed(&self.endpoint, self.key.as_ref(), &self.request, now).await?;
        let counted = embedded.input_tokens;
        let finish = Finish {
            reason: FinishReason::Stop,
            usage: Usage {
                input: counted.unwrap_or(self.input_tokens),
                ..Usage::default()
            },
            usage_source: match counted {
                Some(_) => UsageSource::Reported,
                None => UsageSource::Estimated,
            },
            cost: Usd::ZERO,
        };
        let found = Found {
            embedded,
            body,
            dialect: self.endpoint.dialect,
        };
        *self.place.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        Ok(Upstream::Local(stream::iter([ModelEvent::Finished(Box::new(finish))]).boxed()))
    }
}

//! What is asked of a provider beside answers: how many tokens a request has, and embeddings.
//!
//! Both are one body there and one back, bounded in size.

use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use steward_dialects::Dialect;
use steward_dialects::egress::{BODY_LIMIT_BYTES, EncodedRequest, Streaming, encode_request};
use steward_dialects::embeddings::{self, EmbedRequest, Embedded};
use steward_domain::clock::Timestamp;
use steward_domain::model::{ModelError, ModelErrorKind, ModelRequest};
use steward_domain::secret::Secret;

use super::{HttpProvider, address, headers_of, network, refusal};
use crate::platform::place;
use crate::signing::{Unsigned, authenticate};
use crate::tables::Endpoint;

/// Fields that shape an answer; where tokens are only counted they are refused.
const ANSWER_FIELDS: [&str; 5] = ["max_tokens", "stream", "temperature", "top_p", "stop_sequences"];

impl HttpProvider {
    /// Counts the input tokens of a request, whose `model` is the provider's own name. `None` where the dialect cannot tell.
    ///
    /// # Errors
    /// The connection failed, or the provider refused.
    pub(crate) async fn count_tokens(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret<String>>,
        request: &ModelRequest,
        now: Timestamp,
    ) -> Result<Option<u64>, ModelError> {
        let mut encoded = encode_request(endpoint.dialect, request, Streaming::Whole, endpoint.quirks);
        let mut body: Value = serde_json::from_slice(&encoded.body).unwrap_or_default();
        let (path, at) = match endpoint.dialect {
            Dialect::Anthropic => {
                if let Some(fields) = body.as_object_mut() {
                    fields.retain(|name, _| !ANSWER_FIELDS.contains(&name.as_str()));
                }
                ("/v1/messages/count_tokens".to_owned(), "/input_tokens")
            }
            Dialect::Gemini => {
                let model = format!("models/{}", request.model);
                body["model"] = json!(model);
                body = json!({ "generateContentRequest": body });
                (format!("/v1beta/{model}:countTokens"), "/totalTokens")
            }
            Dialect::OpenAiChat | Dialect::OpenAiResponses => return Ok(None),
        };
        encoded.path = path;
        encoded.body = serde_json::to_vec(&body).unwrap_or_default();
        let answer = self.post(endpoint, (&request.model, key), encoded, now).await?;
        let value: Value = serde_json::from_slice(&answer).unwrap_or_default();
        Ok(value.pointer(at).and_then(Value::as_u64))
    }

    /// Embeds. The request's `model` is the provider's own name. Gives the vectors and the provider's own bytes.
    ///
    /// # Errors
    /// The connection failed, the provider refused, or its dialect has no embeddings.
    pub(crate) async fn embed(
        &self,
        endpoint: &Endpoint,
        key: Option<&Secret<String>>,
        request: &EmbedRequest,
        now: Timestamp,
    ) -> Result<(Embedded, Bytes), ModelError> {
        let encoded = embeddings::encode_request(endpoint.dialect, request)?;
        let answer = self.post(endpoint, (&request.model, key), encoded, now).await?;
        let embedded = embeddings::decode_response(endpoint.dialect, &answer, request.inputs.len())?;
        Ok((embedded, answer))
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        (model, key): (&str, Option<&Secret<String>>),
        encoded: EncodedRequest,
        now: Timestamp,
    ) -> Result<Bytes, ModelError> {
        let exposed = key.map(|key| key.expose().as_str());
        let placed = place(endpoint, (model, exposed), Streaming::Whole, encoded)?;
        let mut headers = headers_of(&placed)?;
        let url = address(&placed.url)?;
        let unsigned = Unsigned {
            method: "POST",
            url: &url,
            body: &placed.body,
            region: endpoint.platform.region(),
            now,
        };
        authenticate((endpoint.auth, key), &unsigned, (&self.client, &self.tokens), &mut headers).await?;
        let response = self.client.post(url).headers(headers).body(placed.body).send().await;
        let response = response.map_err(|error| network(error, "the request failed"))?;
        if !response.status().is_success() {
            return Err(refusal(endpoint.dialect, response, now).await);
        }
        let mut stream = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = stream.next().await {
            body.extend_from_slice(&piece.map_err(|error| network(error, "the answer broke off"))?);
            if body.len() > BODY_LIMIT_BYTES {
                let message = format!("the answer is over the limit of {BODY_LIMIT_BYTES} bytes");
                return Err(ModelError::new(ModelErrorKind::Malformed, message));
            }
        }
        Ok(Bytes::from(body))
    }
}

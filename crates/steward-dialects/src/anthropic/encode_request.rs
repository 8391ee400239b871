//! E.

use steward_domain::model::ModelRequest;

use crate::egress::{EncodedRequest, Quirks, Streaming};

pub(crate) fn encode_request(_request: &ModelRequest, _streaming: Streaming, _quirks: Quirks) -> EncodedRequest {
    let _ = Quirks::default();
    EncodedRequest { path: String::new(), body: Vec::new(), headers: Vec::new() }
}

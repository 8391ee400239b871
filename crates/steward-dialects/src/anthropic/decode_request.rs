//! E.
use serde_json::{Map, Value};
use steward_domain::model::{ModelError, ModelErrorKind};
use crate::ingress::IngressRequest;

pub(crate) fn decode_request(_fields: Map<String, Value>) -> Result<IngressRequest, ModelError> {
    Err(ModelError::new(ModelErrorKind::Unsupported, "not yet"))
}

//! E.
use serde_json::Value;
use crate::egress::Quirks;
use crate::emitter::Emitter;

pub(crate) fn decode_response(_value: Value, _emitter: &mut Emitter) {
    let _ = Quirks::default();
}

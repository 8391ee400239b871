//! E.
use serde_json::Value;
use crate::fold::Answer;
use crate::ingress::IngressOptions;

pub(crate) fn encode_response(_answer: &Answer, _options: &IngressOptions) -> Value {
    Value::Null
}

//! The fields of a caller's request, taken one by one; what is left at the end is passed on. Every refusal names the field.

use serde_json::{Map, Value};
use steward_domain::model::{ModelError, ModelErrorKind};

/// A refusal of the caller's request.
pub(crate) fn bad(message: impl Into<String>) -> ModelError {
    ModelError::new(ModelErrorKind::BadRequest, message)
}

/// Fields not yet taken.
pub(crate) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    pub(crate) fn new(mut map: Map<String, Value>) -> Self {
        // The mark is ours alone: a caller must not claim another dialect's fields.
        map.shift_remove(crate::extra::MARK);
        Fields { map }
    }

    /// Takes a field; null when absent.
    pub(crate) fn take(&mut self, key: &str) -> Value {
        self.map.shift_remove(key).unwrap_or_default()
    }

    /// A field that is also passed on.
    pub(crate) fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&mut self, key: &str) -> Result<Option<String>, ModelError> {
        match self.take(key) {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text)),
            _ => Err(bad(format!("{key} must be a text"))),
        }
    }

    /// A text that is also passed on.
    pub(crate) fn peek_text(&self, key: &str) -> Result<Option<String>, ModelError> {
        match self.map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(bad(format!("{key} must be a text"))),
        }
    }

    pub(crate) fn need_text(&mut self, key: &str) -> Result<String, ModelError> {
        let text = self.text(key)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| bad(format!("{key} is missing")))
    }

    pub(crate) fn list(&mut self, key: &str) -> Result<Vec<Value>, ModelError> {
        match self.take(key) {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => Ok(list),
            _ => Err(bad(format!("{key} must be a list"))),
        }
    }

    pub(crate) fn need_list(&mut self, key: &str) -> Result<Vec<Value>, ModelError> {
        let list = self.list(key)?;
        if list.is_empty() {
            return Err(bad(format!("{key} is missing or empty")));
        }
        Ok(list)
    }

    pub(crate) fn flag(&mut self, key: &str) -> Result<Option<bool>, ModelError> {
        match self.take(key) {
            Value::Null => Ok(None),
            Value::Bool(flag) => Ok(Some(flag)),
            _ => Err(bad(format!("{key} must be true or false"))),
        }
    }

    pub(crate) fn number(&mut self, key: &str) -> Result<Option<f64>, ModelError> {
        match self.take(key) {
            Value::Null => Ok(None),
            value => value.as_f64().map(Some).ok_or_else(|| bad(format!("{key} must be a number"))),
        }
    }

    pub(crate) fn count(&mut self, key: &str) -> Result<Option<u64>, ModelError> {
        match self.take(key) {
            Value::Null => Ok(None),
            value => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| bad(format!("{key} must be a whole number, not below 0"))),
        }
    }

    /// Everything not taken.
    pub(crate) fn rest(self) -> Map<String, Value> {
        self.map
    }
}

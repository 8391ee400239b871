//! Changes the head of an Anthropic body for a cloud that serves it under another address.
//!
//! Only the outermost fields are read; what they hold is copied as it is.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use steward_dialects::egress::EncodedRequest;
use steward_domain::model::{ModelError, ModelErrorKind};

/// Where the names of beta features go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Betas {
    /// Into the field `anthropic_beta`.
    InBody,
    /// They stay a header.
    InHeader,
}

/// The body with a version and without some fields.
///
/// # Errors
/// The body is no JSON object.
pub(crate) fn hosted(encoded: &EncodedRequest, version: &str, without: &[&str], betas: Betas) -> Result<Vec<u8>, ModelError> {
    let fields: Fields<'_> = serde_json::from_slice(&encoded.body)
        .map_err(|_| ModelError::new(ModelErrorKind::BadRequest, "the request's body is no JSON object"))?;
    let mut body = Vec::with_capacity(encoded.body.len() + 64);
    body.extend_from_slice(b"{\"anthropic_version\":\"");
    body.extend_from_slice(version.as_bytes());
    body.push(b'"');
    let beta = encoded.headers.iter().find(|(name, _)| *name == "anthropic-beta");
    if let (Betas::InBody, Some((_, names))) = (betas, beta) {
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        body.extend_from_slice(b",\"anthropic_beta\":");
        serde_json::to_writer(&mut body, &names).expect("a list of texts always serialises into memory");
    }
    for (name, value) in fields.0 {
        let is_ours = name == "anthropic_version" || without.contains(&name.as_str());
        if !is_ours {
            body.push(b',');
            serde_json::to_writer(&mut body, &name).expect("a text always serialises into memory");
            body.push(b':');
            body.extend_from_slice(value.get().as_bytes());
        }
    }
    body.push(b'}');
    Ok(body)
}

/// The fields of an object in their order, values unread.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

//! The API's description, made from the one list of routes and from the types that its handlers take and give.

use axum::Json;
use schemars::generate::{Contract, SchemaSettings};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::error::ErrorBody;
use crate::routes::{self, Access, Call, Route};

/// The schema of a type, made in a generator that collects what it refers to.
pub(crate) type Describe = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub(crate) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// What a call answers with when it succeeds.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Nothing but the status.
    Empty,
    /// A JSON document.
    Json(Describe),
    /// Server-sent events, each a JSON document.
    Events(Describe),
    /// A document that another standard describes.
    Foreign,
}

/// `GET /api/openapi.json`.
pub(crate) async fn serve() -> Json<Value> {
    Json(document())
}

/// The whole description, in OpenAPI 3.1.
pub fn document() -> Value {
    let mut writer = Writer::new();
    let mut paths = Map::new();
    for route in routes::all() {
        let calls = route
            .calls
            .iter()
            .map(|call| (call.method.as_str().to_lowercase(), writer.call(&route, call)));
        paths.insert(route.path.replace("{*", "{"), Value::Object(calls.collect()));
    }
    writer.given.subschema_for::<ErrorBody>();
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Steward", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "schemas": writer.schemas(),
            "responses": {"Error": {"description": "an error", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}}},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}
        }
    })
}

/// Collects schemas: what is taken may leave out what has a default, what is given may not.
struct Writer {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Writer {
    fn new() -> Self {
        let generator = |contract: Contract| {
            let mut settings = SchemaSettings::draft2020_12();
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
            settings.contract = contract;
            settings.into_generator()
        };
        Writer {
            taken: generator(Contract::Deserialize),
            given: generator(Contract::Serialize),
        }
    }

    fn call(&mut self, route: &Route, call: &Call) -> Value {
        let in_path = route
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')))
            .map(|name| json!({"name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": {"type": "string"}}));
        let mut parameters: Vec<Value> = in_path.collect();
        parameters.extend(call.query.map(|query| self.query(query)).unwrap_or_default());
        let (security, right) = match call.access {
            Access::Open => (json!([]), json!("open")),
            Access::Needs(right) => (json!([{"key": []}]), json!(right)),
        };
        let mut described = json!({
            "summary": call.summary,
            "parameters": parameters,
            "security": security,
            "x-steward-access": right,
            "responses": self.responses(call.answer),
        });
        if let Some(body) = call.body {
            let schema = body(&mut self.taken);
            described["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        described
    }

    /// Each field of a query's type is a parameter.
    fn query(&mut self, describe: Describe) -> Vec<Value> {
        let mut schema = describe(&mut self.taken).to_value();
        let named = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        if let Some(definition) = named.and_then(|name| self.taken.definitions_mut().remove(&name)) {
            schema = definition;
        }
        let fields = schema["properties"].as_object().cloned().unwrap_or_default();
        fields
            .into_iter()
            .map(|(name, mut field)| {
                let description = field.as_object_mut().and_then(|field| field.remove("description"));
                json!({"name": name, "in": "query", "required": false, "description": description, "schema": field})
            })
            .collect()
    }

    fn responses(&mut self, answer: Answer) -> Value {
        let error = json!({"$ref": "#/components/responses/Error"});
        let json_document = |schema: Value| json!({"description": "ok", "content": {"application/json": {"schema": schema}}});
        match answer {
            Answer::Empty => json!({"204": {"description": "ok"}, "default": error}),
            Answer::Json(describe) => json!({"200": json_document(describe(&mut self.given).to_value()), "default": error}),
            Answer::Foreign => json!({"200": json_document(json!(true)), "default": error}),
            Answer::Events(describe) => {
                let schema = describe(&mut self.given);
                json!({"200": {"description": "server-sent events", "content": {"text/event-stream": {"schema": schema}}}, "default": error})
            }
        }
    }

    /// All that was referred to. A type that is both taken and given has one shape.
    fn schemas(mut self) -> Map<String, Value> {
        let mut all = self.taken.take_definitions(true);
        all.extend(self.given.take_definitions(true));
        all.sort_keys();
        all
    }
}

#[cfg(test)]
mod tests;

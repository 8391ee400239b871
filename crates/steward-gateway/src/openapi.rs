//! The API's description, made from the one list of routes.

use axum::Json;
use serde_json::{Map, Value, json};

use crate::routes::{self, Access};

/// `GET /api/openapi.json`.
pub(crate) async fn serve() -> Json<Value> {
    Json(document())
}

fn document() -> Value {
    let mut paths = Map::new();
    for route in routes::all() {
        let mut methods = Map::new();
        for (method, access, summary) in route.methods {
            let parameters: Vec<Value> = route
                .path
                .split('/')
                .filter_map(|part| part.strip_prefix('{').and_then(|part| part.strip_suffix('}')))
                .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
                .collect();
            let security = match access {
                Access::Open => json!([]),
                Access::Needs(_) => json!([{"key": []}]),
            };
            methods.insert(
                method.as_str().to_lowercase(),
                json!({"summary": summary, "parameters": parameters, "security": security, "x-steward-access": right_of(*access), "responses": {"200": {"description": "ok"}, "default": {"description": "an error"}}}),
            );
        }
        paths.insert(route.path.to_owned(), Value::Object(methods));
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Steward", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}}
    })
}

fn right_of(access: Access) -> Value {
    match access {
        Access::Open => json!("open"),
        Access::Needs(right) => json!(right),
    }
}

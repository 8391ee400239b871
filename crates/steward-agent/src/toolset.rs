//! The tools of one agent, with their schemas compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use steward_domain::model::ToolDefinition;
use steward_domain::tool::{Evidence, LeftBy, Tool};

use crate::ask;

/// The tools in reach of an agent. `ask` is always among them.
pub struct ToolSet {
    tools: BTreeMap<&'static str, Entry>,
    ask: jsonschema::Validator,
    definitions: Vec<ToolDefinition>,
}

struct Entry {
    tool: Arc<dyn Tool>,
    validator: jsonschema::Validator,
}

impl ToolSet {
    /// Takes the tools in any order; their order in prompts is by name, so that prompts stay the same.
    ///
    /// # Errors
    /// When a tool's schema is no JSON Schema: a fault of that tool, named in the sentence.
    pub fn new(tools: Vec<Arc<dyn Tool>>) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for tool in tools {
            let spec = tool.spec();
            let validator =
                jsonschema::validator_for(&spec.input_schema).map_err(|error| format!("schema of tool {}: {error}", spec.name))?;
            entries.insert(spec.name, Entry { tool, validator });
        }
        let ask_validator = jsonschema::validator_for(&ask::schema()).map_err(|error| format!("schema of tool ask: {error}"))?;
        let mut definitions: Vec<ToolDefinition> = entries.values().map(|entry| definition_of(entry.tool.as_ref())).collect();
        definitions.push(ask::definition());
        definitions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(ToolSet {
            tools: entries,
            ask: ask_validator,
            definitions,
        })
    }

    /// What the model is told, always in the same order.
    pub fn definitions(&self) -> &[ToolDefinition] {
        &self.definitions
    }

    /// The tool of that name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.get(name).map(|entry| &entry.tool)
    }

    /// Ends what calls that are over left running, and tells what was ended.
    pub async fn end_left_running(&self, by: &LeftBy) -> Vec<Evidence> {
        let ending = self.tools.values().map(|entry| entry.tool.end_left_running(by.clone()));
        futures_util::future::join_all(ending).await.concat()
    }

    /// Do a tool's results come from outside?
    pub fn gives_outside(&self, name: &str) -> bool {
        self.get(name).is_some_and(|tool| tool.spec().gives_outside)
    }

    /// Parses and checks arguments.
    ///
    /// # Errors
    /// A sentence for the model: unknown tool, no JSON, or where the arguments do not fit.
    pub fn check(&self, name: &str, arguments: &str) -> Result<Value, String> {
        let validator = match self.tools.get(name) {
            Some(entry) => &entry.validator,
            None if name == ask::NAME => &self.ask,
            None => {
                let names: Vec<&str> = self.definitions.iter().map(|tool| tool.name.as_str()).collect();
                return Err(format!("there is no tool {name:?}; the tools are {}", names.join(", ")));
            }
        };
        let text = if arguments.trim().is_empty() { "{}" } else { arguments };
        let value: Value = serde_json::from_str(text).map_err(|error| format!("the arguments are not JSON: {error}"))?;
        if let Some(error) = validator.iter_errors(&value).next() {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "the arguments".to_owned() } else { place };
            return Err(format!("{place} do not fit the schema: {error}"));
        }
        Ok(value)
    }
}

fn definition_of(tool: &dyn Tool) -> ToolDefinition {
    let spec = tool.spec();
    ToolDefinition {
        name: spec.name.into(),
        description: spec.description.trim_end().into(),
        input_schema: spec.input_schema.clone(),
        extra: serde_json::Map::new(),
    }
}

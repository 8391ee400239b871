//! What every tool promises: an honest spec, and an answer to whatever it is called with.

use std::any::Any;
use std::sync::Arc;

use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::id::{AgentName, CallId, SessionId, TurnId};
use steward_domain::message::Part;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome};

use super::PATIENCE;

/// Every prompt carries every description, so they are short.
const DESCRIPTION_LIMIT_BYTES: usize = 600;

/// A tool with a call that works.
pub struct ToolRig {
    tool: Arc<dyn Tool>,
    arguments: Value,
    _keep: Box<dyn Any + Send + Sync>,
}

impl ToolRig {
    /// A tool, arguments it can do, and what has to live as long, such as a temporary folder.
    pub fn new(tool: Arc<dyn Tool>, arguments: Value, keep: impl Any + Send + Sync) -> Self {
        ToolRig {
            tool,
            arguments,
            _keep: Box::new(keep),
        }
    }

    async fn call(&self, arguments: Value, is_repeat: bool) -> ToolOutcome {
        let context = ToolContext {
            files: std::sync::Arc::new(steward_domain::files::NoFileRules),
            turn: TurnId::from_text("turn-contract"),
            session: SessionId::from_text("session-contract"),
            agent: AgentName::from_text("main"),
            call: CallId::from_text("call-contract"),
            is_repeat,
        };
        tokio::time::timeout(PATIENCE, self.tool.call(arguments, context))
            .await
            .expect("the call ends in time")
    }
}

/// The name is one that every provider takes.
pub async fn has_a_plain_name(rig: &ToolRig) {
    let name = rig.tool.spec().name;
    let is_plain = !name.is_empty() && name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    assert!(is_plain, "{name:?} is no plain tool name");
}

/// The description says something and is short.
pub async fn is_described_briefly(rig: &ToolRig) {
    let length = rig.tool.spec().description.len();
    assert!(
        (1..=DESCRIPTION_LIMIT_BYTES).contains(&length),
        "the description has {length} bytes"
    );
}

/// The schema is that of an object, and what it requires it also describes.
pub async fn has_an_object_schema(rig: &ToolRig) {
    let schema = &rig.tool.spec().input_schema;
    assert_eq!(schema["type"], "object", "the schema is {schema}");
    for name in schema["required"].as_array().into_iter().flatten() {
        let name = name.as_str().expect("a required name is a string");
        assert!(schema["properties"][name].is_object(), "{name} is required and not described");
    }
}

/// No single call does more than the spec admits.
pub async fn stays_within_its_effect(rig: &ToolRig) {
    let most = rig.tool.spec().effect;
    for arguments in [&rig.arguments, &json!({}), &Value::Null] {
        let effect = rig.tool.effect_of(arguments);
        assert!(effect <= most, "{arguments} has effect {effect:?}, the spec admits {most:?}");
    }
}

/// A call with arguments that fit is done.
pub async fn does_what_it_can(rig: &ToolRig) {
    let outcome = rig.call(rig.arguments.clone(), false).await;
    let ToolOutcome::Done(output) = outcome else {
        panic!("the call ended with {outcome:?}");
    };
    let has_content = output
        .parts
        .iter()
        .any(|part| !matches!(part, Part::Text { text, .. } if text.is_empty()));
    assert!(has_content, "the model is told something");
    let has_proof = rig.tool.spec().effect == Effect::Reads || !output.evidence.is_empty();
    assert!(has_proof, "a call that changes something leaves evidence");
}

/// A tool that may be repeated is done the second time too.
pub async fn can_be_repeated_where_it_says_so(rig: &ToolRig) {
    if rig.tool.spec().repeat == Repeat::Never {
        return;
    }
    for is_repeat in [false, true] {
        let outcome = rig.call(rig.arguments.clone(), is_repeat).await;
        assert!(matches!(outcome, ToolOutcome::Done(_)), "repeat {is_repeat}: {outcome:?}");
    }
}

/// What only looks can be repeated.
pub async fn can_be_repeated_where_it_only_reads(rig: &ToolRig) {
    let spec = rig.tool.spec();
    let is_consistent = spec.effect != Effect::Reads || spec.repeat == Repeat::Safe;
    assert!(is_consistent, "{} reads and may not be repeated", spec.name);
}

/// A required argument of a wrong type is answered, not a panic and not a success.
pub async fn answers_arguments_that_do_not_fit(rig: &ToolRig) {
    let required: Vec<Value> = rig.tool.spec().input_schema["required"].as_array().cloned().unwrap_or_default();
    for name in required.iter().filter_map(Value::as_str) {
        let mut arguments = rig.arguments.clone();
        arguments[name] = json!([{"deep": [null]}]);
        let outcome = rig.call(arguments, false).await;
        let is_no = matches!(outcome, ToolOutcome::Failed { .. } | ToolOutcome::Refused { .. });
        assert!(is_no, "{name} of a wrong type ended with {outcome:?}");
    }
}

/// Makes a test module that holds a tool to its promises: `tool_contract!(read, rig())`.
#[macro_export]
macro_rules! tool_contract {
    ($module:ident, $rig:expr) => {
        $crate::tool_contract!(@tests $module, $rig,
            has_a_plain_name,
            is_described_briefly,
            has_an_object_schema,
            stays_within_its_effect,
            does_what_it_can,
            can_be_repeated_where_it_says_so,
            can_be_repeated_where_it_only_reads,
            answers_arguments_that_do_not_fit,
        );
    };
    (@tests $module:ident, $rig:expr, $($promise:ident,)*) => {
        mod $module {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::contract::run(async { $crate::contract::tool::$promise(&$rig).await });
                }
            )*
        }
    };
}

#[cfg(test)]
mod tests;

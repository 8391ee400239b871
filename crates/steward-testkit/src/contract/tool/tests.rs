use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::tool::{Repeat, Tool, ToolContext, ToolOutcome, ToolSpec};

use super::ToolRig;

/// Says its text back; a careless one takes anything for a text.
struct Echo {
    spec: ToolSpec,
    is_careless: bool,
}

impl Echo {
    fn rig(is_careless: bool, repeat: Repeat) -> ToolRig {
        let spec = ToolSpec {
            name: "echo",
            group: "files",
            description: "Says the text back.",
            input_schema: json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}),
            effect: Effect::Reads,
            repeat,
            gives_outside: false,
        };
        ToolRig::new(Arc::new(Echo { spec, is_careless }), json!({"text": "hello"}), ())
    }
}

impl Tool for Echo {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call(&self, arguments: Value, _context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        let outcome = match arguments["text"].as_str() {
            Some(text) => ToolOutcome::done(text),
            None if self.is_careless => ToolOutcome::done("null"),
            None => ToolOutcome::failed("text must be a string"),
        };
        Box::pin(std::future::ready(outcome))
    }
}

crate::tool_contract!(an_honest_tool, Echo::rig(false, Repeat::Safe));

#[test]
#[should_panic(expected = "of a wrong type ended with")]
fn a_careless_tool_breaks_its_promise() {
    crate::contract::run(async { super::answers_arguments_that_do_not_fit(&Echo::rig(true, Repeat::Safe)).await });
}

#[test]
#[should_panic(expected = "reads and may not be repeated")]
fn a_reader_that_may_not_be_repeated_breaks_its_promise() {
    crate::contract::run(async { super::can_be_repeated_where_it_only_reads(&Echo::rig(false, Repeat::Never)).await });
}

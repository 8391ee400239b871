//! Answers one request with a loaded or still unloaded model: text, JSON of a schema, or a tool call.
//!
//! With tool help the call is proposed and its arguments are copied where they can be; the model writes what is left. The weights
//! are loaded only when the model has something to write. Runs no tool.

use std::sync::atomic::AtomicBool;

use serde_json::{Map, Value, json};
use steward_domain::id::CallId;
use steward_domain::message::Part;
use steward_domain::model::{AnswerFormat, FinishReason, ModelError, ModelErrorKind, ModelEvent, ModelRequest, ToolChoice, ToolDefinition};

use super::arguments::{Fill, fill};
use super::engine::{End, Engine, EngineError};
use super::prompt::{self, Budget};
use super::propose::{Done, Next, Scene, Step, gives, nearest, next, scene_of};
use super::sample::Sampling;
use super::{LocalConfig, report};

/// The most tokens written for one argument.
const ARGUMENT_TOKENS: usize = 200;
/// The most tokens of an answer from results, which are shown below it.
const FROM_RESULT_TOKENS: usize = 80;
/// Tools named to a model that chooses by itself.
const TOOLS_NAMED_MAX: usize = 24;

/// Where the weights come from when they are needed.
pub(crate) trait Weights {
    /// The loaded model; loads it first if need be.
    fn engine(&mut self) -> Result<&mut Engine, ModelError>;
}

/// One request on its way to an answer.
pub(crate) struct Answering<'a> {
    pub(crate) request: &'a ModelRequest,
    pub(crate) config: &'a LocalConfig,
    pub(crate) stop: &'a AtomicBool,
    /// Gives an event to whoever asked; `false` when they went away.
    pub(crate) emit: &'a mut dyn FnMut(ModelEvent) -> bool,
}

impl Answering<'_> {
    /// Answers. Gives the reason why the answer ended.
    pub(crate) fn run(&mut self, weights: &mut dyn Weights) -> Result<FinishReason, ModelError> {
        let has_image = |part: &Part| matches!(part, Part::Image { .. });
        if self.request.messages.iter().any(|message| message.parts.iter().any(has_image)) {
            return Err(ModelError::new(ModelErrorKind::Unsupported, "this local model reads text only"));
        }
        match &self.request.format {
            AnswerFormat::Text => {}
            AnswerFormat::JsonObject => return self.json(&json!({"type": "object"}), weights),
            AnswerFormat::JsonSchema { schema, .. } => return self.json(schema, weights),
        }
        let scene = scene_of(&self.request.messages);
        if let Some(step) = self.wanted_call(&scene, weights)? {
            return self.call(&step, &scene, weights);
        }
        if self.config.tool_help && !scene.done.is_empty() {
            return self.report(&scene, weights);
        }
        self.text(weights)
    }

    /// The call to make now, if one is to be made.
    fn wanted_call(&self, scene: &Scene, weights: &mut dyn Weights) -> Result<Option<Step>, ModelError> {
        let tools = &self.request.tools;
        let step = |tool: &ToolDefinition| Step {
            tool: tool.name.clone(),
            clause: scene.request.clone(),
            compose: None,
        };
        let named = match &self.request.tool_choice {
            ToolChoice::None => return Ok(None),
            _ if tools.is_empty() => return Ok(None),
            ToolChoice::Named(name) => Some(name),
            ToolChoice::Auto | ToolChoice::Required => None,
        };
        if let Some(name) = named {
            let tool = tools.iter().find(|tool| tool.name == *name);
            let missing = || {
                ModelError::new(
                    ModelErrorKind::BadRequest,
                    format!("tool_choice names {name:?}, which is not among the tools"),
                )
            };
            return tool.map(|tool| Some(step(tool))).ok_or_else(missing);
        }
        let is_required = self.request.tool_choice == ToolChoice::Required;
        if !self.config.tool_help {
            return self.chosen_by_model(is_required, weights).map(|tool| tool.map(step));
        }
        match next(scene, tools).map_err(encoder_failed)? {
            Next::Call(step) => Ok(Some(step)),
            Next::Answer if is_required => Ok(nearest(&scene.request, tools).map_err(encoder_failed)?.map(step)),
            Next::Answer => Ok(None),
        }
    }

    /// Without help: the model compares "answer" with the names of the tools.
    fn chosen_by_model(&self, is_required: bool, weights: &mut dyn Weights) -> Result<Option<&ToolDefinition>, ModelError> {
        let tools = &self.request.tools;
        let named: Vec<String> = tools
            .iter()
            .take(TOOLS_NAMED_MAX)
            .map(|tool| format!("{}: {}", tool.name, prompt::shorten(&tool.description, 60)))
            .collect();
        let engine = weights.engine()?;
        let mut messages = self.request.messages.clone();
        let list = format!(
            "Tools:\n{}\nanswer: no tool\n\nReply with the name of the tool to use.",
            named.join("\n")
        );
        messages.push(steward_domain::message::Message::text(steward_domain::message::Role::User, list));
        let ids = prompt::conversation(&messages, &engine.tokens, self.budget()).map_err(failed)?;
        let mut names: Vec<String> = tools.iter().take(TOOLS_NAMED_MAX).map(|tool| tool.name.clone()).collect();
        if !is_required {
            names.push("answer".to_owned());
        }
        let chosen = engine.choose(&ids, &names, self.stop).map_err(model_error)?;
        Ok(tools.get(chosen).filter(|tool| names.get(chosen) == Some(&tool.name)))
    }

    fn call(&mut self, step: &Step, scene: &Scene, weights: &mut dyn Weights) -> Result<FinishReason, ModelError> {
        let Some(tool) = self.request.tools.iter().find(|tool| tool.name == step.tool) else {
            return Err(ModelError::new(
                ModelErrorKind::BadRequest,
                format!("there is no tool {:?}", step.tool),
            ));
        };
        let arguments = if self.config.tool_help {
            self.helped_arguments(tool, step, scene, weights)?
        } else {
            self.written_arguments(tool, weights)?
        };
        let started = ModelEvent::ToolCallStarted {
            index: 0,
            id: CallId::generate(),
            name: tool.name.clone(),
            signature: None,
        };
        let json = ModelEvent::ToolCallArguments { index: 0, json: arguments };
        if (self.emit)(started) && (self.emit)(json) {
            Ok(FinishReason::ToolCalls)
        } else {
            Err(stopped())
        }
    }

    fn helped_arguments(
        &mut self,
        tool: &ToolDefinition,
        step: &Step,
        scene: &Scene,
        weights: &mut dyn Weights,
    ) -> Result<String, ModelError> {
        let mut fields = Map::new();
        for (name, fill) in fill(tool, step, scene) {
            let value = match fill {
                Fill::Value(value) => value,
                Fill::OneOf(values) => self.chosen(&name, values, step, weights)?,
                Fill::Compose(instruction) => Value::String(self.composed(&instruction, scene, weights)?),
                Fill::Free => self.written(tool, &name, step, weights)?,
            };
            fields.insert(name, value);
        }
        Ok(Value::Object(fields).to_string())
    }

    fn chosen(&self, name: &str, mut values: Vec<Value>, step: &Step, weights: &mut dyn Weights) -> Result<Value, ModelError> {
        if values.len() <= 1 {
            return Ok(values.pop().unwrap_or(Value::Null));
        }
        let engine = weights.engine()?;
        let asked = format!("{}\n\nWhat is the {name} for {}?", step.clause, step.tool);
        let ids = prompt::question("Reply with one value from the request.", &asked, "", &engine.tokens).map_err(failed)?;
        let texts: Vec<String> = values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect();
        let index = engine.choose(&ids, &texts, self.stop).map_err(model_error)?;
        Ok(values.swap_remove(index))
    }

    /// Text that the model makes, out of the last thing found if there is one.
    fn composed(&self, instruction: &str, scene: &Scene, weights: &mut dyn Weights) -> Result<String, ModelError> {
        let engine = weights.engine()?;
        let found = scene
            .done
            .iter()
            .rev()
            .find(|done| gives(&done.tool) && !done.is_error)
            .and_then(|done| done.result.as_deref());
        let rules = "You write exactly the text that is asked for and nothing else.";
        let ids = prompt::question(rules, instruction, found.unwrap_or_default(), &engine.tokens).map_err(failed)?;
        let mut text = String::new();
        let collect = |piece: &str| {
            text.push_str(piece);
            true
        };
        engine
            .write_text(&ids, &self.sampling(ARGUMENT_TOKENS), self.stop, collect)
            .map_err(model_error)?;
        Ok(format!("{}\n", text.trim()))
    }

    /// One property that the model writes, held to its schema.
    fn written(&self, tool: &ToolDefinition, name: &str, step: &Step, weights: &mut dyn Weights) -> Result<Value, ModelError> {
        let form = tool
            .input_schema
            .get("properties")
            .and_then(|properties| properties.get(name))
            .cloned()
            .unwrap_or(Value::Bool(true));
        let schema = json!({"type": "object", "properties": {name: form}, "required": [name]});
        let engine = weights.engine()?;
        let asked = format!("{}\n\nReply with JSON: the {name} for {}.", step.clause, step.tool);
        let ids = prompt::question("You reply with JSON only.", &asked, "", &engine.tokens).map_err(failed)?;
        let text = engine
            .write_json(&ids, &schema, &self.sampling(ARGUMENT_TOKENS), self.stop)
            .map_err(model_error)?;
        let written: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(written.get(name).cloned().unwrap_or(Value::Null))
    }

    fn written_arguments(&self, tool: &ToolDefinition, weights: &mut dyn Weights) -> Result<String, ModelError> {
        let engine = weights.engine()?;
        let mut messages = self.request.messages.clone();
        let asked = format!("Reply with the JSON arguments of the tool {}.", tool.name);
        messages.push(steward_domain::message::Message::text(steward_domain::message::Role::User, asked));
        let ids = prompt::conversation(&messages, &engine.tokens, self.budget()).map_err(failed)?;
        engine
            .write_json(&ids, &tool.input_schema, &self.sampling(ARGUMENT_TOKENS), self.stop)
            .map_err(model_error)
    }

    fn json(&mut self, schema: &Value, weights: &mut dyn Weights) -> Result<FinishReason, ModelError> {
        let engine = weights.engine()?;
        let ids = prompt::conversation(&self.request.messages, &engine.tokens, self.budget()).map_err(failed)?;
        let text = engine
            .write_json(&ids, schema, &self.sampling(self.tokens_max()), self.stop)
            .map_err(model_error)?;
        self.say(text)?;
        Ok(FinishReason::Stop)
    }

    fn text(&mut self, weights: &mut dyn Weights) -> Result<FinishReason, ModelError> {
        let engine = weights.engine()?;
        let ids = prompt::conversation(&self.request.messages, &engine.tokens, self.budget()).map_err(failed)?;
        let sampling = self.sampling(self.tokens_max());
        let each = |piece: &str| (self.emit)(ModelEvent::Text(piece.to_owned()));
        match engine.write_text(&ids, &sampling, self.stop, each).map_err(model_error)? {
            End::Done => Ok(FinishReason::Stop),
            End::Limit => Ok(FinishReason::Length),
        }
    }

    /// Says what came of the calls: found things are shown, questions about them are answered first.
    fn report(&mut self, scene: &Scene, weights: &mut dyn Weights) -> Result<FinishReason, ModelError> {
        let found = scene.done.last().filter(|done| gives(&done.tool) && !done.is_error);
        if let Some(found) = found
            && report::is_question(&scene.request)
        {
            self.answer_from(found, scene, weights)?;
        }
        self.say(report::of(scene))?;
        Ok(FinishReason::Stop)
    }

    fn answer_from(&mut self, found: &Done, scene: &Scene, weights: &mut dyn Weights) -> Result<(), ModelError> {
        let engine = weights.engine()?;
        let rules = "Answer the question in one short sentence, using only the text.";
        let ids = prompt::question(rules, &scene.request, found.result.as_deref().unwrap_or_default(), &engine.tokens).map_err(failed)?;
        let tokens_max = FROM_RESULT_TOKENS.min(self.tokens_max());
        let sampling = self.sampling(tokens_max);
        let each = |piece: &str| (self.emit)(ModelEvent::Text(piece.to_owned()));
        engine.write_text(&ids, &sampling, self.stop, each).map_err(model_error)?;
        self.say("\n\n".to_owned())
    }

    fn say(&mut self, text: String) -> Result<(), ModelError> {
        if (self.emit)(ModelEvent::Text(text)) {
            Ok(())
        } else {
            Err(stopped())
        }
    }

    fn budget(&self) -> Budget {
        Budget {
            prompt_tokens: self.config.prompt_tokens.min(self.config.context_tokens / 2),
            system_chars: self.config.system_chars,
        }
    }

    fn tokens_max(&self) -> usize {
        let asked = self.request.max_output_tokens.and_then(|tokens| usize::try_from(tokens).ok());
        asked.unwrap_or(self.config.answer_tokens).min(self.config.context_tokens)
    }

    fn sampling(&self, tokens_max: usize) -> Sampling {
        Sampling {
            temperature: self.request.temperature.unwrap_or(0.0),
            top_p: self.request.top_p.unwrap_or(1.0),
            tokens_max,
            stop: self.request.stop.clone(),
        }
    }
}

fn stopped() -> ModelError {
    ModelError::new(ModelErrorKind::Cut, "whoever asked went away")
}

fn encoder_failed(problem: String) -> ModelError {
    ModelError::new(ModelErrorKind::Server, format!("the bundled encoder failed: {problem}"))
}

fn failed(problem: candle_core::Error) -> ModelError {
    model_error(EngineError::Failed(problem))
}

fn model_error(problem: EngineError) -> ModelError {
    let kind = match problem {
        EngineError::Stopped => ModelErrorKind::Cut,
        EngineError::TooLong { .. } => ModelErrorKind::ContextTooLong,
        EngineError::Failed(_) => ModelErrorKind::Server,
    };
    ModelError::new(kind, problem.to_string())
}

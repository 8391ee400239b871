//! Proposes which tool a small local model should call next, by the nearest exemplar in meaning to each order of the request.
//!
//! General: exemplars are data, the steps already done are read from the conversation, nothing is remembered between calls.
//! Proposes only; whether a call may run is decided elsewhere, as for any model.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;
use steward_domain::message::{Message, Part, Role};
use steward_domain::model::ToolDefinition;

use super::arguments::{is_path_name, puts_into_file, said_in, target_at};
use super::clause::{clauses, is_path, refers_back, things_in};
use super::encoder::{embed, nearness};

/// Below this nearness nothing fits and the model just answers.
const NEAR_ENOUGH: f32 = 0.42;
/// What a part of an order must reach to be taken as an order of its own.
const IMPLIED_NEAR_ENOUGH: f32 = 0.55;
/// A tool known only by its description counts less than one with exemplars.
const DESCRIPTION_WEIGHT: f32 = 0.85;
/// What an order gains that begins with the same word as the exemplar.
const SAME_VERB: f32 = 0.1;
/// What a tool gains when the thing it needs is there.
const HAS_NEEDED: f32 = 0.08;
/// What a tool gains from a word that speaks for it.
const HAS_WORD: f32 = 0.12;
/// What a tool that fills a file gains from an order that names the file to fill.
const PUTS_INTO_FILE: f32 = 0.15;
/// The most orders taken from one request.
const STEPS_MAX: usize = 8;

static EXEMPLARS: LazyLock<Exemplars> = LazyLock::new(|| {
    toml::from_str(include_str!("../../catalog/tool_exemplars.toml")).expect("the shipped exemplars are checked by a test")
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exemplars {
    verbs: Vec<String>,
    answers: Vec<String>,
    compose: Vec<String>,
    chat: Vec<String>,
    tools: BTreeMap<String, ToolExemplars>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolExemplars {
    #[serde(default)]
    needs: Vec<Need>,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    needs_word: bool,
    #[serde(default)]
    gives: bool,
    past: String,
    exemplars: Vec<String>,
}

/// What an order must hold for a tool to come into question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Need {
    Url,
    Path,
    Reference,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The tool that serves it.
    pub tool: String,
    /// The order, in the person's words.
    pub clause: String,
    /// New text is to be made for it, by this instruction.
    pub compose: Option<String>,
}

/// A call already made in answer to the last request.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// The tool.
    pub tool: String,
    /// Its arguments; null when they were no JSON.
    pub arguments: Value,
    /// What it gave; `None` while there is no result.
    pub result: Option<String>,
    /// It did not do what it should.
    pub is_error: bool,
}

/// The last request of a person and what was done about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scene {
    /// The request.
    pub request: String,
    /// Calls since, in order.
    pub done: Vec<Done>,
}

/// The person's words without the time that the agent puts before them, such as `[2026-01-31 08:15 UTC] `.
///
/// It is no word of the person: taken for one, it ends up in patterns and files.
fn without_stamp(text: &str) -> &str {
    let rest = text.strip_prefix('[').and_then(|rest| rest.split_once(" UTC] "));
    match rest {
        Some((time, words)) if time.len() == 16 && time.bytes().all(|byte| byte.is_ascii_digit() || b"-: ".contains(&byte)) => words,
        Some(_) | None => text,
    }
}

/// Finds the last request and the calls after it.
pub fn scene_of(messages: &[Message]) -> Scene {
    let is_request = |message: &Message| {
        let text = message.joined_text();
        // The agent's own notes ride in user messages too; they are no requests.
        message.role == Role::User && !text.trim().is_empty() && !text.starts_with("[steward]")
    };
    let Some(at) = messages.iter().rposition(is_request) else {
        return Scene::default();
    };
    let mut scene = Scene {
        request: without_stamp(&messages[at].joined_text()).to_owned(),
        done: Vec::new(),
    };
    let mut ids = Vec::new();
    for part in messages[at..].iter().flat_map(|message| &message.parts) {
        match part {
            Part::ToolCall(call) => {
                ids.push(call.id.clone());
                scene.done.push(Done {
                    tool: call.name.clone(),
                    arguments: serde_json::from_str(&call.arguments).unwrap_or(Value::Null),
                    result: None,
                    is_error: false,
                });
            }
            Part::ToolResult {
                call_id,
                content,
                is_error,
                ..
            } => {
                if let Some(index) = ids.iter().position(|id| id == call_id) {
                    let text = without_marks(&text_of(content));
                    // A refused, failed or uncertain call says so in its first word, in whatever dialect it comes back.
                    let is_failure = ["failed:", "refused:", "uncertain:"].iter().any(|word| text.starts_with(word));
                    scene.done[index].is_error = *is_error || is_failure;
                    scene.done[index].result = Some(text);
                }
            }
            Part::Text { .. } | Part::Image { .. } | Part::File { .. } | Part::Thinking { .. } | Part::Opaque { .. } => {}
        }
    }
    scene
}

fn text_of(content: &[Part]) -> String {
    Message {
        role: Role::User,
        parts: content.to_vec(),
    }
    .joined_text()
}

/// The text without the marks around what comes from outside; they are for the reader of the conversation.
fn without_marks(text: &str) -> String {
    let is_mark = |line: &&str| !(line.starts_with("<outside") && line.ends_with('>')) && line.trim() != "</outside>";
    text.lines().filter(is_mark).collect::<Vec<_>>().join("\n")
}

/// All the tool calls that a request asks for, in order; empty when it is to be answered in words.
pub fn plan(request: &str, tools: &[ToolDefinition]) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    let mut spoken: Option<String> = None;
    let mut has_given = false;
    for clause in clauses(request, &EXEMPLARS.verbs) {
        let things = things_in(&clause);
        let has_things = !things.paths.is_empty() || !things.urls.is_empty() || !things.codes.is_empty();
        let lower = clause.to_lowercase();
        let is_spoken = has_given && !has_things && EXEMPLARS.answers.iter().any(|start| lower.starts_with(start.as_str()));
        let routed = if is_spoken { None } else { route(&clause, tools, has_given)? };
        let Some((tool, _)) = routed else {
            spoken = Some(clause);
            continue;
        };
        let mut step = Step {
            tool: tool.name.clone(),
            clause,
            compose: spoken.take(),
        };
        if takes_content(tool) {
            if let Some(before) = implied(&step.clause, tools, has_given)? {
                if asks_for_new_text(&before.clause) {
                    step.compose = Some(before.clause.clone());
                }
                steps.push(before);
            }
        } else {
            step.compose = None;
        }
        has_given |= gives(&step.tool);
        let repeats = steps.last().is_some_and(|last| last.tool == step.tool) && !has_things && step.clause.split_whitespace().count() <= 3;
        match things.paths.as_slice() {
            // "Search the internet." behind a question adds nothing to it.
            _ if repeats => {}
            // "Read a.md and b.md": one call for each.
            [_, _, ..] if gives(&step.tool) && is_path_only(tool) => {
                steps.extend(things.paths.iter().map(|path| Step {
                    clause: path.clone(),
                    ..step.clone()
                }));
            }
            _ => steps.push(step),
        }
    }
    steps.truncate(STEPS_MAX);
    Ok(steps)
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This call.
    Call(Step),
    /// Everything is done, or nothing was to be done: answer in words.
    Answer,
}

/// The first step of the plan that no call has served. After a call that failed it is time to talk.
pub fn next(scene: &Scene, tools: &[ToolDefinition]) -> Result<Next, String> {
    if scene.done.iter().any(|done| done.is_error) {
        return Ok(Next::Answer);
    }
    let mut served = vec![false; scene.done.len()];
    for step in plan(&scene.request, tools)? {
        let call = scene
            .done
            .iter()
            .zip(&served)
            .position(|(done, is_served)| !is_served && done.tool == step.tool);
        match call {
            Some(index) => served[index] = true,
            None => return Ok(Next::Call(step)),
        }
    }
    Ok(Next::Answer)
}

/// The tool nearest to an order, whether or not just answering would be nearer.
pub fn nearest<'t>(clause: &str, tools: &'t [ToolDefinition]) -> Result<Option<&'t ToolDefinition>, String> {
    let vector = vector_of(clause)?;
    let mut best: Option<(&ToolDefinition, f32)> = None;
    for tool in tools {
        let score = score(clause, &vector, tool)?;
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((tool, score));
        }
    }
    Ok(best.map(|(tool, _)| tool))
}

/// The tool for an order and its nearness, or nothing when it is to be answered in words.
fn route<'t>(clause: &str, tools: &'t [ToolDefinition], has_given: bool) -> Result<Option<(&'t ToolDefinition, f32)>, String> {
    let vector = vector_of(clause)?;
    let mut best: Option<(&ToolDefinition, f32)> = None;
    for tool in tools.iter().filter(|tool| is_possible(clause, tool, has_given)) {
        let score = score(clause, &vector, tool)?;
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((tool, score));
        }
    }
    let Some((tool, score)) = best else { return Ok(None) };
    let chat = nearest_exemplar(clause, &vector, &EXEMPLARS.chat)?;
    Ok((score >= NEAR_ENOUGH && score > chat).then_some((tool, score)))
}

fn score(clause: &str, vector: &[f32], tool: &ToolDefinition) -> Result<f32, String> {
    let puts = if takes_content(tool) && puts_into_file(clause) && has_path(tool) {
        PUTS_INTO_FILE
    } else {
        0.0
    };
    match EXEMPLARS.tools.get(&tool.name) {
        Some(known) => {
            let is_met = known.needs.iter().any(|need| *need != Need::Reference && has(clause, *need));
            let bonus = if is_met { HAS_NEEDED } else { 0.0 } + if has_word(clause, &known.words) { HAS_WORD } else { 0.0 };
            Ok(nearest_exemplar(clause, vector, &known.exemplars)? + bonus + puts)
        }
        None => {
            let about = format!("{} {}", tool.name.replace(['_', '-', '.'], " "), tool.description);
            Ok(nearness(vector, &vector_of(&about)?) * DESCRIPTION_WEIGHT + puts)
        }
    }
}

fn nearest_exemplar(clause: &str, vector: &[f32], exemplars: &[String]) -> Result<f32, String> {
    let texts: Vec<String> = exemplars.iter().map(|exemplar| plain(exemplar)).collect();
    let vectors = embed(&texts.iter().map(String::as_str).collect::<Vec<_>>())?;
    let verb = first_word(clause);
    let near = |(exemplar, other): (&String, &Vec<f32>)| {
        let bonus = if first_word(exemplar) == verb { SAME_VERB } else { 0.0 };
        nearness(vector, other) + bonus
    };
    Ok(exemplars.iter().zip(&vectors).map(near).fold(f32::NEG_INFINITY, f32::max))
}

fn vector_of(text: &str) -> Result<Vec<f32>, String> {
    Ok(embed(&[plain(text).as_str()])?.pop().unwrap_or_default())
}

/// The text with long quotes shortened and names of files made alike, so that the order is compared and not its objects.
fn plain(text: &str) -> String {
    let things = things_in(text);
    let mut text = text.to_owned();
    for quote in things.quotes.iter().filter(|quote| quote.len() > 24) {
        text = text.replace(quote.as_str(), "some text");
    }
    let words = text.split_whitespace().map(|word| {
        let bare = word.trim_matches(|letter: char| matches!(letter, ',' | ';' | ':' | '?' | '"' | '\'' | '`'));
        if is_path(bare.trim_end_matches('.')) { "file.txt" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

fn first_word(text: &str) -> String {
    text.chars()
        .take_while(|letter| letter.is_alphabetic())
        .collect::<String>()
        .to_lowercase()
}

fn is_possible(clause: &str, tool: &ToolDefinition, has_given: bool) -> bool {
    let Some(known) = EXEMPLARS.tools.get(&tool.name) else {
        return true;
    };
    let is_met = |need: &Need| has(clause, *need) && (*need != Need::Reference || has_given);
    let has_needed = known.needs.is_empty() || known.needs.iter().any(is_met);
    has_needed && (!known.needs_word || has_word(clause, &known.words))
}

/// Is one of the words in the text, outside quotes?
fn has_word(text: &str, words: &[String]) -> bool {
    let mut text = text.to_lowercase();
    for quote in things_in(&text.clone()).quotes {
        text = text.replace(&quote, "");
    }
    text.split(|letter: char| !letter.is_alphanumeric())
        .any(|word| words.iter().any(|wanted| wanted == word))
}

fn has(clause: &str, need: Need) -> bool {
    let things = things_in(clause);
    match need {
        Need::Url => !things.urls.is_empty(),
        Need::Path => {
            !things.paths.is_empty()
                || ["called", "named"]
                    .iter()
                    .any(|word| clause.to_lowercase().contains(&format!(" {word} ")))
        }
        Need::Reference => refers_back(clause),
    }
}

/// Does the tool take text to put somewhere?
pub(crate) fn takes_content(tool: &ToolDefinition) -> bool {
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| properties.keys().any(|name| is_content(name)))
}

fn has_path(tool: &ToolDefinition) -> bool {
    let properties = tool.input_schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| properties.keys().any(|name| is_path_name(name)))
}

/// Is a path all that the tool must be given?
fn is_path_only(tool: &ToolDefinition) -> bool {
    let required = tool.input_schema.get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.len() == 1 && names[0].as_str().is_some_and(is_path_name))
}

/// Is this the name of a property that holds text of any length?
pub(crate) fn is_content(name: &str) -> bool {
    matches!(
        name.to_ascii_lowercase().as_str(),
        "content" | "contents" | "text" | "body" | "message" | "data" | "fact" | "note"
    )
}

/// Do later orders use this tool's result?
pub(crate) fn gives(tool: &str) -> bool {
    EXEMPLARS.tools.get(tool).is_some_and(|known| known.gives)
}

/// What using the tool is called afterwards: "wrote".
pub(crate) fn past_of(tool: &str) -> String {
    EXEMPLARS
        .tools
        .get(tool)
        .map_or_else(|| format!("used {tool} with"), |known| known.past.clone())
}

/// Does the phrase ask for text that has to be made first, such as a summary?
pub(crate) fn asks_for_new_text(phrase: &str) -> bool {
    let lower = phrase.to_lowercase();
    EXEMPLARS.compose.iter().any(|word| lower.contains(word.as_str()))
}

/// The order hidden in another: "write a list of the files to x.md" needs the list first.
fn implied(clause: &str, tools: &[ToolDefinition], has_given: bool) -> Result<Option<Step>, String> {
    let Some(object) = object_of(clause) else { return Ok(None) };
    let things = things_in(&object);
    if !things_in(clause).quotes.is_empty() || said_in(clause).is_some() || (has_given && things.paths.is_empty() && refers_back(&object)) {
        return Ok(None);
    }
    let giving: Vec<ToolDefinition> = tools.iter().filter(|tool| gives(&tool.name)).cloned().collect();
    Ok(route(&object, &giving, has_given)?
        .filter(|(_, score)| *score >= IMPLIED_NEAR_ENOUGH)
        .map(|(tool, _)| Step {
            tool: tool.name.clone(),
            clause: object,
            compose: None,
        }))
}

/// What is to be written in "write WHAT to PATH", without verb and target.
pub(crate) fn object_of(clause: &str) -> Option<String> {
    if clause.contains(": ") || clause.contains(":\n") {
        return None;
    }
    let (_, rest) = clause.split_once(' ')?;
    let target = target_at(rest);
    let object = target.map_or(rest, |(from, _)| &rest[..from]);
    let object = object.trim().trim_end_matches(['.', ',']);
    (!object.is_empty()).then(|| object.to_owned())
}

#[cfg(test)]
mod tests;

//! Fills the arguments of a call from what was said and found, by general rules about the names of properties.
//!
//! A small model copies badly; most arguments are copies. What fits in one way only is taken, what fits in several is left to the
//! model to choose, and only what is left is written by it. Pure.

use serde_json::{Map, Value, json};
use steward_domain::model::ToolDefinition;

use super::clause::{Things, is_path, refers_back, things_in};
use super::propose::{Done, Scene, Step, asks_for_new_text, gives, is_content, object_of, takes_content};

mod phrase;

use phrase::{
    after_any, alternatives, bare_place, clean, escaped, folder_in, has_target, names_in, question, recipient, unquoted, without_place,
    without_remarks,
};
pub(crate) use phrase::{is_path_name, puts_into_file, said_in, target_at};

/// Nested forms deeper than this are left to the model.
const DEPTH_MAX: usize = 3;

/// How one property is to be filled.
#[derive(Clone, Debug, PartialEq)]
pub enum Fill {
    /// With this.
    Value(Value),
    /// With the likeliest of these.
    OneOf(Vec<Value>),
    /// With text the model writes by this instruction.
    Compose(String),
    /// With whatever the model writes that fits the schema.
    Free,
}

/// The properties of a call that are to be filled, in the schema's order. Optional ones without a clear value are left out.
pub fn fill(tool: &ToolDefinition, step: &Step, scene: &Scene) -> Vec<(String, Fill)> {
    let call = Call {
        tool,
        step,
        scene,
        things: things_in(&step.clause),
    };
    call.fill_object(&tool.input_schema, 0)
}

struct Call<'a> {
    tool: &'a ToolDefinition,
    step: &'a Step,
    scene: &'a Scene,
    things: Things,
}

impl Call<'_> {
    fn fill_object(&self, schema: &Value, depth: usize) -> Vec<(String, Fill)> {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Vec::new();
        };
        let required: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
            Some(names) => names.iter().filter_map(Value::as_str).collect(),
            None => Vec::new(),
        };
        let mut filled = Vec::new();
        for (name, form) in properties {
            let is_required = required.contains(&name.as_str());
            match self.fill_property(name, form, is_required, depth) {
                Some(fill) => filled.push((name.clone(), fill)),
                None if is_required => filled.push((name.clone(), Fill::Free)),
                None => {}
            }
        }
        filled
    }

    /// A fill for one property; `None` when nothing is known about it.
    fn fill_property(&self, name: &str, form: &Value, is_required: bool, depth: usize) -> Option<Fill> {
        let lower = name.to_ascii_lowercase();
        if let Some(choices) = form.get("enum").and_then(Value::as_array) {
            return self.choice(choices, is_required);
        }
        match form.get("type").and_then(Value::as_str) {
            Some("array") => self.list(&lower, form, is_required, depth),
            Some("integer" | "number") if is_required => form.get("default").cloned().map(Fill::Value).or_else(|| self.number()),
            Some("boolean") if is_required => Some(Fill::Value(form.get("default").cloned().unwrap_or(Value::Bool(false)))),
            Some("object") if is_required && depth < DEPTH_MAX => whole(self.fill_object(form, depth + 1)),
            Some("integer" | "number" | "boolean" | "object") => None,
            Some(_) | None => self.text(&lower, is_required),
        }
    }

    fn text(&self, name: &str, is_required: bool) -> Option<Fill> {
        if is_path_name(name) {
            return self.path(is_required);
        }
        if matches!(name, "url" | "uri" | "link" | "address") {
            return self.url();
        }
        if matches!(name, "old" | "old_text" | "old_string" | "old_str" | "find" | "before") {
            return self.change().map(|(old, _)| text_fill(old));
        }
        if matches!(
            name,
            "new" | "new_text" | "new_string" | "new_str" | "replace" | "replacement" | "after"
        ) {
            return self.change().map(|(_, new)| text_fill(new));
        }
        if !is_required {
            return None;
        }
        if matches!(name, "command" | "cmd" | "script" | "code") {
            return self.command();
        }
        if matches!(
            name,
            "query" | "pattern" | "q" | "search" | "term" | "regex" | "needle" | "keywords"
        ) {
            let is_expression = self.tool.description.to_ascii_lowercase().contains("regular expression") || name == "regex";
            let sought = self.sought();
            return Some(text_fill(if is_expression && self.things.codes.is_empty() {
                escaped(&sought)
            } else {
                sought
            }));
        }
        if matches!(name, "question" | "prompt") {
            return Some(text_fill(question(&self.step.clause)));
        }
        if matches!(name, "to" | "recipient" | "channel" | "target" | "user" | "who") {
            return recipient(&self.step.clause).map(text_fill);
        }
        if is_content(name) {
            return Some(self.content());
        }
        None
    }

    fn path(&self, is_required: bool) -> Option<Fill> {
        let clause = &self.step.clause;
        let mentioned = || {
            let folder = folder_in(clause);
            let named = after_any(clause, &[" called ", " named "]).and_then(|rest| rest.split_whitespace().next().map(clean));
            folder.or(named)
        };
        let paths = &self.things.paths;
        if takes_content(self.tool) {
            let target = target_at(clause)
                .map(|(_, path)| path)
                .or_else(|| paths.last().cloned())
                .or_else(mentioned);
            return target.map(text_fill);
        }
        match paths.as_slice() {
            [path] => return Some(text_fill(path.clone())),
            [] => {}
            _ => return Some(Fill::OneOf(paths.iter().map(|path| json!(path)).collect())),
        }
        if let Some(path) = mentioned() {
            return Some(text_fill(path));
        }
        if self.tool.name == "list"
            && let Some(path) = bare_place(clause)
        {
            return Some(text_fill(path));
        }
        if !is_required {
            return None;
        }
        let is_folder_tool = self.tool.description.to_ascii_lowercase().contains("director")
            || self.tool.description.to_ascii_lowercase().contains("folder")
            || matches!(self.tool.name.as_str(), "list" | "search");
        if is_folder_tool {
            return Some(text_fill(".".to_owned()));
        }
        let earlier = self.earlier_paths();
        match earlier.as_slice() {
            [] => None,
            [path] => Some(text_fill(path.clone())),
            _ => Some(Fill::OneOf(earlier.into_iter().map(Value::String).collect())),
        }
    }

    /// Paths of earlier calls, else those found in their results, else those of the whole request.
    fn earlier_paths(&self) -> Vec<String> {
        let argument = |done: &Done| {
            done.arguments
                .as_object()
                .and_then(|fields| fields.iter().find(|(name, _)| is_path_name(name)).map(|(_, path)| path.clone()))
        };
        let used = self
            .scene
            .done
            .iter()
            .rev()
            .filter_map(argument)
            .find_map(|path| path.as_str().filter(|path| is_path(path)).map(str::to_owned));
        if let Some(path) = used {
            return vec![path];
        }
        let mut found = self
            .scene
            .done
            .iter()
            .rev()
            .find_map(|done| done.result.as_deref().map(|result| things_in(result).paths))
            .unwrap_or_default();
        found.extend(things_in(&self.scene.request).paths);
        found.dedup();
        found.truncate(12);
        found
    }

    fn url(&self) -> Option<Fill> {
        let mut urls = self.things.urls.clone();
        if urls.is_empty() {
            urls = things_in(&self.scene.request).urls;
        }
        if urls.is_empty() {
            urls = self
                .scene
                .done
                .iter()
                .rev()
                .find_map(|done| done.result.as_deref().map(|result| things_in(result).urls))
                .unwrap_or_default();
        }
        urls.truncate(12);
        match urls.as_slice() {
            [] => None,
            [url] => Some(text_fill(url.clone())),
            _ => Some(Fill::OneOf(urls.into_iter().map(Value::String).collect())),
        }
    }

    fn command(&self) -> Option<Fill> {
        let marked: Vec<&String> = self.things.codes.iter().chain(&self.things.quotes).collect();
        match marked.as_slice() {
            [] => {}
            [command] => return Some(text_fill((*command).clone())),
            _ => return Some(Fill::OneOf(marked.into_iter().map(|command| json!(command)).collect())),
        }
        let clause = self.step.clause.trim().trim_end_matches(['.', '!', '?']);
        let starts = [
            "run the command ",
            "execute the command ",
            "run the script ",
            "execute the script ",
            "run command ",
            "run ",
            "execute ",
            "start ",
        ];
        let start = starts
            .iter()
            .find(|start| clause.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start)));
        let rest = match start {
            Some(start) => &clause[start.len()..],
            None => after_any(clause, &[" command ", " to run ", " run ", " execute ", " with "])?,
        };
        let ends = [
            " in the shell",
            " in the terminal",
            " on the command line",
            " in a shell",
            " in a terminal",
        ];
        let rest = ends.iter().find_map(|end| rest.strip_suffix(end)).unwrap_or(rest).trim();
        let is_described = ["the ", "a ", "an ", "my ", "all ", "some "]
            .iter()
            .any(|article| rest.to_ascii_lowercase().starts_with(article));
        (!rest.is_empty() && !is_described).then(|| text_fill(rest.to_owned()))
    }

    /// What is searched for.
    fn sought(&self) -> String {
        if let Some(marked) = self.things.quotes.first().or(self.things.codes.first()) {
            return marked.clone();
        }
        let leads = [
            "for the word ",
            "for the text ",
            "for the phrase ",
            "for the term ",
            "the word ",
            "the text ",
            "the term ",
            "the phrase ",
            "search the web for ",
            "find out on the web ",
            "find out online ",
            "find out on the internet ",
            "find out ",
            "search online for ",
            "search the internet for ",
            "grep for ",
            "search for ",
            "look for ",
            "look up ",
            "google ",
            "that mention ",
            "that mentions ",
            "mentioning ",
            "that contain ",
            "that contains ",
            "contains ",
            "mentions ",
            "containing ",
            "talk about ",
            "talks about ",
            "remember about ",
            "know about ",
            "find every line with ",
            "research ",
            "about ",
            " for ",
            "find ",
        ];
        let clause = self.step.clause.trim().trim_end_matches(['.', '!', '?']);
        let lower = clause.to_ascii_lowercase();
        let found = leads.iter().find_map(|lead| lower.find(lead).map(|at| &clause[at + lead.len()..]));
        let rest = found.unwrap_or(clause);
        let ends = [
            " in the ",
            " in all ",
            " in my ",
            " in this ",
            " in these ",
            " in any ",
            " in here",
            " on the web",
            " on the internet",
            " online",
            " in your memory",
            " appear",
            " occur",
            " in ",
            " within ",
            " across ",
            " inside ",
        ];
        let lower = rest.to_ascii_lowercase();
        let is_inner = gives(&self.tool.name) && !self.tool.name.starts_with("web");
        let cut = ends.iter().enumerate().filter_map(|(index, end)| {
            // A bare "in" ends a search through files, not a question to the web ("weather in Berlin").
            let is_bare = index >= ends.len() - 4;
            if is_bare && !is_inner { None } else { lower.find(end) }
        });
        let rest = &rest[..cut.min().unwrap_or(rest.len())];
        clean(rest)
    }

    /// What is replaced by what.
    fn change(&self) -> Option<(String, String)> {
        if let [old, new, ..] = self.things.quotes.as_slice() {
            return Some((old.clone(), new.clone()));
        }
        let clause = self.step.clause.trim().trim_end_matches(['.', '!']);
        let lower = clause.to_ascii_lowercase();
        for (verb, middle) in [
            ("replace ", " with "),
            ("replace ", " by "),
            ("change ", " to "),
            ("change ", " into "),
            ("rename ", " to "),
            ("correct ", " to "),
        ] {
            let Some(start) = lower.find(verb).map(|at| at + verb.len()) else {
                continue;
            };
            let Some(at) = lower[start..].find(middle).map(|at| at + start) else {
                continue;
            };
            let old = without_place(&clause[start..at]);
            let new = without_place(&clause[at + middle.len()..]);
            let old = ["the word ", "the text ", "the name "]
                .iter()
                .find_map(|lead| old.strip_prefix(lead))
                .unwrap_or(old);
            if !old.is_empty() && !new.is_empty() {
                return Some((clean(old), clean(new)));
            }
        }
        None
    }

    fn content(&self) -> Fill {
        let clause = &self.step.clause;
        if let Some(instruction) = &self.step.compose {
            return Fill::Compose(instruction.clone());
        }
        if let Some((_, rest)) = clause.split_once(":\n").or_else(|| clause.split_once(": ")) {
            let inner = rest.trim();
            return text_fill(unquoted(inner).to_owned());
        }
        if let Some(said) = said_in(clause) {
            return text_fill(said);
        }
        match self.things.quotes.as_slice() {
            [] => {}
            [quote] => return text_fill(quote.clone()),
            quotes => return Fill::OneOf(quotes.iter().map(|quote| json!(quote)).collect()),
        }
        let that = [
            "remember that ",
            "keep in mind that ",
            "don't forget that ",
            "note that ",
            "note for later that ",
            " that ",
        ];
        let object = object_of(clause).unwrap_or_default();
        if !asks_for_new_text(&object)
            && let Some(result) = self.referred(&object)
        {
            return text_fill(result);
        }
        if !has_target(clause)
            && let Some(said) = after_any(clause, &that)
        {
            return text_fill(said.trim().to_owned());
        }
        if object.is_empty() || clause.to_ascii_lowercase().contains(" empty file") {
            return text_fill(String::new());
        }
        let descriptive = [
            "a ", "an ", "the ", "some ", "my ", "your ", "two ", "three ", "four ", "five ", "ten ", "all ", "about ",
        ];
        let lower = object.to_ascii_lowercase();
        if asks_for_new_text(&object) || descriptive.iter().any(|start| lower.starts_with(start)) {
            let verb = clause.split_whitespace().next().unwrap_or_default();
            let makes = [
                "write",
                "draft",
                "compose",
                "translate",
                "summarise",
                "summarize",
                "list",
                "describe",
                "explain",
            ];
            let verb = if makes.iter().any(|makes| makes.eq_ignore_ascii_case(verb)) {
                verb
            } else {
                "Write"
            };
            return Fill::Compose(format!("{verb} {object}."));
        }
        text_fill(object)
    }

    /// The earlier result that the order points to, as it is wanted: whole, or the names in it.
    fn referred(&self, object: &str) -> Option<String> {
        let giving = self
            .scene
            .done
            .iter()
            .rev()
            .find(|done| gives(&done.tool) && done.result.is_some() && !done.is_error)?;
        let result = giving.result.as_deref()?;
        let lower = object.to_ascii_lowercase();
        // "a list of the files here" does not point back by a word, but its own listing was just made for it.
        let is_own = self.is_served_by(giving, &lower);
        if !refers_back(object) && !is_own {
            return None;
        }
        let wants_names =
            lower.contains("name") || (giving.tool == "list" && (lower.contains("file") || lower.contains("list") || lower == "them"));
        Some(if wants_names {
            names_in(result)
        } else {
            format!("{}\n", without_remarks(result))
        })
    }

    fn is_served_by(&self, done: &Done, object: &str) -> bool {
        let argument = |wanted: fn(&str) -> bool| {
            let fields = done.arguments.as_object();
            fields.is_some_and(|fields| {
                fields
                    .iter()
                    .any(|(name, value)| wanted(name) && value.as_str().is_some_and(|value| object.contains(&value.to_ascii_lowercase())))
            })
        };
        match done.tool.as_str() {
            "list" => ["file", "folder", "director", "document"].iter().any(|word| object.contains(word)),
            _ => argument(|_| true),
        }
    }

    fn number(&self) -> Option<Fill> {
        let mut numbers = self
            .step
            .clause
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|digits| !digits.is_empty());
        let number = numbers.next()?.parse::<u64>().ok()?;
        Some(Fill::Value(json!(number)))
    }

    fn choice(&self, choices: &[Value], is_required: bool) -> Option<Fill> {
        let lower = self.step.clause.to_ascii_lowercase();
        let words: Vec<&str> = lower.split(|letter: char| !letter.is_alphanumeric()).collect();
        let named = choices.iter().find(|choice| {
            choice
                .as_str()
                .is_some_and(|choice| words.contains(&choice.to_ascii_lowercase().as_str()))
        });
        match named {
            Some(choice) if is_required => Some(Fill::Value(choice.clone())),
            Some(_) | None if is_required => Some(Fill::OneOf(choices.to_vec())),
            Some(_) | None => None,
        }
    }

    fn list(&self, name: &str, form: &Value, is_required: bool, depth: usize) -> Option<Fill> {
        let item = form.get("items").unwrap_or(&Value::Null);
        if matches!(name, "choices" | "options" | "answers") {
            let found = alternatives(&self.step.clause);
            return (is_required || !found.is_empty()).then(|| Fill::Value(json!(found)));
        }
        if !is_required {
            return None;
        }
        if item.get("properties").is_some() && depth < DEPTH_MAX {
            return match whole(self.fill_object(item, depth + 1)) {
                Some(Fill::Value(value)) => Some(Fill::Value(json!([value]))),
                Some(Fill::OneOf(_) | Fill::Compose(_) | Fill::Free) | None => None,
            };
        }
        let singular = name.strip_suffix('s').unwrap_or(name);
        match self.fill_property(singular, item, true, depth + 1) {
            Some(Fill::Value(value)) => Some(Fill::Value(json!([value]))),
            Some(Fill::OneOf(values)) => Some(Fill::Value(Value::Array(values))),
            Some(Fill::Compose(_) | Fill::Free) | None => None,
        }
    }
}

/// An object whose every property is known; else the model writes it.
fn whole(filled: Vec<(String, Fill)>) -> Option<Fill> {
    let mut fields = Map::new();
    for (name, fill) in filled {
        match fill {
            Fill::Value(value) => fields.insert(name, value),
            Fill::OneOf(_) | Fill::Compose(_) | Fill::Free => return None,
        };
    }
    Some(Fill::Value(Value::Object(fields)))
}

fn text_fill(text: String) -> Fill {
    Fill::Value(Value::String(text))
}

#[cfg(test)]
mod tests;

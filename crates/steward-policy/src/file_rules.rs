//! What the path rules leave of single files for one call: for listings, searches and commands, which meet files that
//! the call does not name.
//!
//! Never opens what `deny` closes. What `ask` speaks of is closed too, unless a person allowed the call.

use steward_domain::decision::{Effect, GateRequest};
use steward_domain::files::{FileLimit, FileRules, Leave, Place};

use crate::path::{PathGlob, names_of};
use crate::rule::Rule;

/// The path rules that bear on one call.
#[derive(Clone, Debug)]
pub(crate) struct CallRules {
    limits: Vec<Limit>,
    roots: Vec<String>,
}

#[derive(Clone, Debug)]
struct Limit {
    path: PathGlob,
    rule: String,
    bars: Bars,
}

/// What a rule keeps a call from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bars {
    Everything,
    Changing,
}

impl CallRules {
    /// Takes from `deny` and, without leave, from `ask` what bears on the call.
    pub(crate) fn new(request: &GateRequest, group: &str, lists: (&[Rule], &[Rule]), leave: Leave) -> CallRules {
        let (deny, ask) = lists;
        let mut limits = limits_of("deny", deny, request, group);
        if leave == Leave::NotGiven {
            limits.extend(limits_of("ask", ask, request, group));
        }
        CallRules {
            limits,
            roots: request.touched.roots.clone(),
        }
    }

    fn names(&self, path: &str) -> Vec<String> {
        let place = Place::Inside { path: path.to_owned() };
        names_of(&place, &self.roots, None)
    }
}

impl FileRules for CallRules {
    fn limit(&self, path: &str) -> FileLimit {
        if self.limits.is_empty() {
            return FileLimit::Free;
        }
        let names = self.names(path);
        let covering: Vec<&Limit> = self.limits.iter().filter(|limit| limit.path.covers(&names)).collect();
        let hiding = covering.iter().find(|limit| limit.bars == Bars::Everything);
        match (hiding, covering.first()) {
            (Some(limit), _) => FileLimit::Hidden { rule: limit.rule.clone() },
            (None, Some(limit)) => FileLimit::ReadOnly { rule: limit.rule.clone() },
            (None, None) => FileLimit::Free,
        }
    }

    fn may_limit_below(&self, path: &str) -> bool {
        if self.limits.is_empty() {
            return false;
        }
        let names = self.names(path);
        self.limits.iter().any(|limit| limit.path.may_match_below(&names))
    }
}

fn limits_of(list: &str, rules: &[Rule], request: &GateRequest, group: &str) -> Vec<Limit> {
    let numbered = rules.iter().enumerate();
    let bearing = numbered.filter(|(_, rule)| rule.matches_all_but_effect_and_path(request, group));
    bearing
        .filter_map(|(position, rule)| {
            Some(Limit {
                path: rule.path()?.clone(),
                rule: format!("policy.{list}[{position}]"),
                bars: bars(rule.effect(), request)?,
            })
        })
        .collect()
}

/// A command's effect is the most that it was judged to do: it may read whatever it does else, and a program that writes may also remove.
fn bars(effect: Option<Effect>, request: &GateRequest) -> Option<Bars> {
    match effect {
        None => Some(Bars::Everything),
        Some(effect) if request.touched.is_all => (effect == request.effect).then_some(Bars::Everything),
        Some(Effect::Reads) => Some(Bars::Everything),
        Some(Effect::Writes | Effect::Destroys) => Some(Bars::Changing),
        // A command has no network and no money.
        Some(Effect::Sends | Effect::Spends) => None,
    }
}

#[cfg(test)]
mod tests;

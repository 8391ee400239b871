//! The background processes of an agent: at most 16 that run, found by id.
//!
//! An agent finds only its own. All are killed when this is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steward_domain::id::AgentName;
use steward_domain::tool::{Evidence, LeftBy, ToolOutcome};
use steward_sandbox::Child;

use super::capture::Shown;
use super::process::{Begun, Process};
use super::ran;

const MAX_RUNNING: usize = 16;
/// How long a process that is ended with its turn may take to be gone.
const ENDING: Duration = Duration::from_millis(800);
/// Those that are over can still be looked at; the oldest go first.
const MAX_KEPT: usize = 48;

#[derive(Debug, Default)]
pub(crate) struct Processes {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    /// Being started, by agent.
    reserved: Vec<AgentName>,
    known: BTreeMap<u64, (AgentName, Arc<Process>)>,
}

/// Room for one process that is about to start; given back when dropped.
pub(crate) struct Slot {
    processes: Arc<Processes>,
    agent: AgentName,
}

impl Processes {
    /// Makes sure that one more may run.
    pub(crate) fn reserve(self: &Arc<Self>, agent: &AgentName) -> Result<Slot, ToolOutcome> {
        let mut state = self.state();
        let running = state
            .known
            .values()
            .filter(|(owner, process)| owner == agent && !process.is_over())
            .count();
        let starting = state.reserved.iter().filter(|owner| *owner == agent).count();
        if running + starting >= MAX_RUNNING {
            return Err(ToolOutcome::failed(format!(
                "{MAX_RUNNING} background processes run already; end one with shell_kill"
            )));
        }
        state.reserved.push(agent.clone());
        Ok(Slot {
            processes: self.clone(),
            agent: agent.clone(),
        })
    }

    /// The agent's process of that id.
    pub(crate) fn find(&self, agent: &AgentName, id: &str) -> Result<Arc<Process>, ToolOutcome> {
        let state = self.state();
        let number = id.strip_prefix('p').and_then(|digits| digits.parse::<u64>().ok());
        let found = number
            .and_then(|number| state.known.get(&number))
            .filter(|(owner, _)| owner == agent);
        if let Some((_, process)) = found {
            return Ok(process.clone());
        }
        let ids: Vec<String> = state
            .known
            .iter()
            .filter(|(_, (owner, _))| owner == agent)
            .map(|(number, _)| format!("p{number}"))
            .collect();
        let known = if ids.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there are {}", ids.join(", "))
        };
        Err(ToolOutcome::failed(format!("there is no background process {id:?}; {known}")))
    }

    /// Ends what calls of a turn or a session left running, and tells what was ended. Their output stays to be looked at.
    pub(crate) async fn end_left_running(&self, by: &LeftBy) -> Vec<Evidence> {
        let is_meant = |process: &Process| process.begun.by.contains(by) && !process.is_over();
        let meant: Vec<(u64, Arc<Process>)> = {
            let state = self.state();
            let all = state.known.iter().map(|(number, (_, process))| (*number, process.clone()));
            all.filter(|(_, process)| is_meant(process)).collect()
        };
        let ending = meant.iter().map(|(number, process)| async move {
            let end = process.end(ENDING).await;
            ran(&process.begun.line, format!("p{number}: {end}"))
        });
        futures_util::future::join_all(ending).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Takes the started process and gives it an id.
    pub(crate) fn fill(self, child: Child, begun: Begun, shown: Shown) -> String {
        let process = Arc::new(Process::start(child, begun, shown));
        let mut state = self.processes.state();
        state.count += 1;
        let number = state.count;
        state.known.insert(number, (self.agent.clone(), process));
        while state.known.len() > MAX_KEPT {
            let Some(oldest) = state
                .known
                .iter()
                .find(|(_, (_, process))| process.is_over())
                .map(|(number, _)| *number)
            else {
                break;
            };
            state.known.remove(&oldest);
        }
        drop(state);
        format!("p{number}")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.processes.state();
        if let Some(position) = state.reserved.iter().position(|agent| *agent == self.agent) {
            state.reserved.swap_remove(position);
        }
    }
}

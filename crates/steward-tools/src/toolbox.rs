//! The tools of one agent, made from its workspace and the machine's sandbox.
//!
//! The one list of tools of this crate: a tool that is not here does not exist.

use std::sync::Arc;

use steward_domain::tool::Tool;
use steward_sandbox::Sandbox;
use steward_sandbox::egress::Egress;

use crate::apply_patch::ApplyPatchTool;
use crate::change::Changer;
use crate::checkpoint::Checkpoints;
use crate::config::Config;
use crate::edit::EditTool;
use crate::list::ListTool;
use crate::outputs::Outputs;
use crate::read::ReadTool;
use crate::search::SearchTool;
use crate::shell::ShellTool;
use crate::shell::capture::Shown;
use crate::shell::processes::Processes;
use crate::shell_kill::ShellKillTool;
use crate::shell_poll::ShellPollTool;
use crate::shell_write::ShellWriteTool;
use crate::web_fetch::WebFetchTool;
use crate::web_search::WebSearchTool;
use crate::workspace::Workspace;
use crate::write::WriteTool;

/// What tools keep outside of the workspace.
#[derive(Clone)]
pub struct Kept {
    /// What files held before they were changed.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Outputs that are too long to be shown.
    pub outputs: Arc<dyn Outputs>,
    /// Characters of an output that are shown.
    pub shown_chars: usize,
}

/// Makes the tools.
#[derive(Clone, Copy, Debug)]
pub struct Toolbox;

impl Toolbox {
    /// The tools of the groups `files`, `shell` and `web`. Build them once an agent: background processes live as long as they do.
    pub fn build(config: &Config, workspace: Workspace, sandbox: Arc<Sandbox>, egress: Arc<Egress>, kept: Kept) -> Vec<Arc<dyn Tool>> {
        let changer = Changer {
            workspace: workspace.clone(),
            checkpoints: kept.checkpoints,
        };
        let shown = Shown {
            outputs: kept.outputs,
            max_chars: kept.shown_chars,
        };
        let processes = Arc::new(Processes::default());
        vec![
            Arc::new(ReadTool::new(workspace.clone())),
            Arc::new(ListTool::new(workspace.clone())),
            Arc::new(SearchTool::new(workspace.clone())),
            Arc::new(WriteTool::new(changer.clone())),
            Arc::new(EditTool::new(changer.clone())),
            Arc::new(ApplyPatchTool::new(changer)),
            Arc::new(ShellTool::new(workspace, sandbox, processes.clone(), shown)),
            Arc::new(ShellPollTool::new(processes.clone())),
            Arc::new(ShellWriteTool::new(processes.clone())),
            Arc::new(ShellKillTool::new(processes)),
            Arc::new(WebFetchTool::new(egress.clone(), config.fetch.clone())),
            Arc::new(WebSearchTool::new(egress, config.search.clone())),
        ]
    }
}

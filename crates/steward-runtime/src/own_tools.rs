//! Tools whose world is Steward itself: `message` through the outbox, `sessions` over the rows.

mod message;
mod sessions;

use std::sync::{Arc, Weak};

use steward_domain::tool::Tool;

use crate::config::Agent;
use crate::runtime::Runtime;

/// The own tools that an agent may use.
pub(crate) fn tools(runtime: &Arc<Runtime>, agent: &Agent) -> Vec<Arc<dyn Tool>> {
    let weak: Weak<Runtime> = Arc::downgrade(runtime);
    let all: [Arc<dyn Tool>; 2] = [
        Arc::new(message::MessageTool::new(weak.clone())),
        Arc::new(sessions::SessionsTool::new(weak)),
    ];
    all.into_iter()
        .filter(|tool| {
            agent
                .tools
                .iter()
                .any(|wanted| wanted == tool.spec().name || wanted == tool.spec().group)
        })
        .collect()
}

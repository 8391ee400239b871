//! Tasks that run beside the turns. Each takes no input, looks at the rows, and may run twice without harm.

mod deliver;
mod expire;
mod receive;

use std::sync::Arc;

use crate::runtime::Runtime;

/// Starts them all on the task tracker.
pub(crate) fn start(runtime: &Arc<Runtime>) {
    runtime.tasks.spawn(deliver::run(Arc::clone(runtime)));
    runtime.tasks.spawn(expire::run(Arc::clone(runtime)));
    for channel in runtime.channels.values() {
        runtime.tasks.spawn(receive::run(Arc::clone(runtime), Arc::clone(channel)));
    }
}

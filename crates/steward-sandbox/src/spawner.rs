//! The one thread that forks.
//!
//! The kernel tells a keeper of the death of the thread that forked it, not only of the process; so the thread lives as long as that.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// At most this many spawns wait for the thread.
const QUEUE: usize = 256;

struct Order {
    command: tokio::process::Command,
    runtime: Handle,
    answer: oneshot::Sender<io::Result<tokio::process::Child>>,
}

/// Starts `command` from the forking thread.
pub(crate) async fn spawn(command: tokio::process::Command) -> io::Result<tokio::process::Child> {
    let (answer, answered) = oneshot::channel();
    let order = Order {
        command,
        runtime: Handle::current(),
        answer,
    };
    let sender = sender()?;
    let gone = || io::Error::other("the thread that starts processes is gone");
    // The queue is deep; when it is full, wait on a thread that may block.
    if let Err(error) = sender.try_send(order) {
        let order = match error {
            std::sync::mpsc::TrySendError::Full(order) => order,
            std::sync::mpsc::TrySendError::Disconnected(_) => return Err(gone()),
        };
        let sender = sender.clone();
        tokio::task::spawn_blocking(move || sender.send(order).map_err(|_| gone())).await??;
    }
    answered.await.map_err(|_| gone())?
}

fn sender() -> io::Result<&'static SyncSender<Order>> {
    static SENDER: OnceLock<Option<SyncSender<Order>>> = OnceLock::new();
    SENDER
        .get_or_init(|| {
            let (sender, orders) = sync_channel::<Order>(QUEUE);
            let work = move || {
                for Order {
                    mut command,
                    runtime,
                    answer,
                } in orders
                {
                    let _inside = runtime.enter();
                    let child = command.spawn();
                    drop(command);
                    // Nobody waits any more: who gave the order let go of the lifeline too, so the child ends by itself.
                    let _ = answer.send(child);
                }
            };
            std::thread::Builder::new()
                .name("sandbox-spawn".into())
                .spawn(work)
                .ok()
                .map(|_| sender)
        })
        .as_ref()
        .ok_or_else(|| io::Error::other("the thread that starts processes could not be made"))
}

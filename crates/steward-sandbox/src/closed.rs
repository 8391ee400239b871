//! What of its workspace a command must not see or change, put in order with the control files that are guarded anyway.
//!
//! Opened by handle without following a link. What a closed place lies in cannot be moved away, for its name is what closes it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::command::{Access, Command};
use crate::control_files::{Guarded, GuardedKind};
use crate::error::SandboxError;
use crate::workspace::Handle;

/// Each is a mount of its own; a command that needs more is refused.
const MAX_CLOSED: usize = 256;

/// The guards and what is closed, parents before children, without what another one covers.
pub(crate) fn layers(workspace: &Handle, command: &Command, guarded: Vec<Guarded>) -> Result<Vec<Guarded>, SandboxError> {
    let mut closed = Vec::new();
    for path in &command.hidden {
        closed.extend(open(workspace, path, Closing::Hidden)?);
    }
    if command.workspace_access == Access::ReadWrite {
        for path in &command.read_only {
            closed.extend(open(workspace, path, Closing::ReadOnly)?);
        }
    }
    let holding: BTreeSet<PathBuf> = closed.iter().flat_map(|item| folders_above(&item.path)).collect();
    if closed.len() + holding.len() > MAX_CLOSED {
        return Err(SandboxError::Invalid {
            reason: format!("more than {MAX_CLOSED} files and folders of the workspace would have to be closed; close whole folders"),
        });
    }
    for path in holding {
        closed.extend(open(workspace, &path, Closing::Moving)?);
    }
    let mut layers: Vec<Guarded> = guarded.into_iter().chain(closed).collect();
    // Of two on the same path the stronger comes last.
    layers.sort_by(|one, other| one.path.cmp(&other.path).then(rank(one.kind).cmp(&rank(other.kind))));
    let covers = |kind: GuardedKind| layers.iter().filter(move |item| item.kind == kind).map(|item| item.path.clone());
    let hidden: Vec<PathBuf> = covers(GuardedKind::HiddenFolder).collect();
    let read_only: Vec<PathBuf> = covers(GuardedKind::ReadOnlyFolder).collect();
    layers.retain(|item| {
        let is_covered = hidden.iter().any(|folder| item.path.starts_with(folder) && item.path != *folder);
        let opens = matches!(item.kind, GuardedKind::GitFolder | GuardedKind::Fixed);
        let would_open = opens && read_only.iter().any(|folder| item.path.starts_with(folder));
        !is_covered && !would_open
    });
    Ok(layers)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    Hidden,
    ReadOnly,
    Moving,
}

fn rank(kind: GuardedKind) -> u8 {
    match kind {
        GuardedKind::Fixed => 0,
        GuardedKind::GitFolder => 1,
        GuardedKind::Hooks | GuardedKind::File | GuardedKind::ReadOnlyFolder => 2,
        GuardedKind::HiddenFile | GuardedKind::HiddenFolder => 3,
    }
}

fn folders_above(path: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    folders.map(Path::to_owned)
}

/// `None` when it is gone meanwhile.
fn open(workspace: &Handle, path: &Path, closing: Closing) -> Result<Option<Guarded>, SandboxError> {
    let failed = |errno: Errno| SandboxError::Path {
        path: workspace.path.join(path),
        source: errno.into(),
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let handle = match rustix::fs::openat2(&workspace.fd, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOENT) => return Ok(None),
        other => other.map_err(failed)?,
    };
    let stat = rustix::fs::fstat(&handle).map_err(failed)?;
    let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    let kind = match closing {
        Closing::Moving => GuardedKind::Fixed,
        Closing::Hidden if is_folder => GuardedKind::HiddenFolder,
        Closing::Hidden => GuardedKind::HiddenFile,
        Closing::ReadOnly if is_folder => GuardedKind::ReadOnlyFolder,
        Closing::ReadOnly => GuardedKind::File,
    };
    Ok(Some(Guarded {
        path: path.to_owned(),
        kind,
        handle,
    }))
}

//! Opens a path beneath a folder by handle, so that no symlink, swapped in at whatever moment, leads outside.
//!
//! Uses `openat2` where the kernel has it. Elsewhere it walks part by part and follows no symlink at all.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// May symlinks that stay inside be followed?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// Those that stay inside.
    Inside,
    /// None.
    Never,
}

/// How paths are resolved on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resolver {
    /// The kernel checks, in one call.
    Kernel,
    /// Part by part.
    Walk,
}

impl Resolver {
    /// Finds out what works, once.
    pub(super) fn probe(root: BorrowedFd<'_>) -> Resolver {
        match kernel_open(root, Path::new("."), OFlags::PATH, Links::Inside) {
            Ok(_) => Resolver::Kernel,
            Err(error) => {
                tracing::info!(%error, "openat2 does not work here, so files are opened part by part");
                Resolver::Walk
            }
        }
    }

    /// Opens `path` beneath `root`. It must exist.
    pub(super) fn open(self, root: BorrowedFd<'_>, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        match self {
            Resolver::Kernel => kernel_open(root, path, flags, links),
            Resolver::Walk => walk(root, path, flags),
        }
    }
}

/// The kernel gives up with `EAGAIN` when something is renamed meanwhile; it says to try again.
const MAX_TRIES: usize = 128;

fn kernel_open(root: BorrowedFd<'_>, path: &Path, flags: OFlags, links: Links) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let resolve = match links {
        Links::Inside => resolve,
        Links::Never => resolve | ResolveFlags::NO_SYMLINKS,
    };
    let mut last = Errno::AGAIN;
    for _ in 0..MAX_TRIES {
        match rustix::fs::openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(error @ (Errno::AGAIN | Errno::INTR)) => last = error,
            other => return other,
        }
    }
    Err(last)
}

fn walk(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let parts: Vec<&OsStr> = path.iter().collect();
    let (last, folders) = parts.split_last().ok_or(Errno::NOENT)?;
    let mut folder: Option<OwnedFd> = None;
    for part in folders {
        let here = folder.as_ref().map_or(root, AsFd::as_fd);
        folder = Some(open_child(here, *part, OFlags::PATH | OFlags::DIRECTORY)?);
    }
    open_child(folder.as_ref().map_or(root, AsFd::as_fd), *last, flags)
}

/// Opens one name in a folder, never through a symlink.
pub(crate) fn open_child(folder: BorrowedFd<'_>, name: impl rustix::path::Arg, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(folder, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests;

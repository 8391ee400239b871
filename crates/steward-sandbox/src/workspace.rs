//! Folders of the host by handle, and the user ids that commands run under.
//!
//! A path is resolved once; from then on only the handle is used, so a symlink swapped in later changes nothing.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};

use crate::error::SandboxError;
use crate::syscalls;

/// How many user ids the sandbox may use from `first_uid` on.
const UID_COUNT: u32 = 1000;
/// How many follow for workspaces with an id of their own; ends before the system's `nobody`.
const FIXED_COUNT: u32 = 500;

/// A folder or file of the host, held by handle.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) path: PathBuf,
    pub(crate) fd: OwnedFd,
    pub(crate) is_directory: bool,
    pub(crate) owner_uid: u32,
    pub(crate) owner_gid: u32,
    pub(crate) inode: u64,
}

impl Handle {
    /// Opens `path` after resolving it; what lies below `/proc`, `/sys` and `/dev`, and `/` itself, is refused.
    pub(crate) fn open(path: &Path) -> Result<Handle, SandboxError> {
        let failed = |source| SandboxError::Path {
            path: path.to_owned(),
            source,
        };
        let resolved = std::fs::canonicalize(path).map_err(failed)?;
        let is_system = resolved == Path::new("/") || ["/proc", "/sys", "/dev"].iter().any(|system| resolved.starts_with(system));
        if is_system {
            return Err(SandboxError::Invalid {
                reason: format!("{} cannot be given to a sandbox", resolved.display()),
            });
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(
            CWD,
            &resolved,
            flags,
            Mode::empty(),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
        .map_err(|errno| failed(errno.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| failed(errno.into()))?;
        Ok(Handle {
            path: resolved,
            fd,
            is_directory: FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            owner_uid: stat.st_uid,
            owner_gid: stat.st_gid,
            inode: stat.st_ino,
        })
    }

    /// Opens a workspace: a folder.
    pub(crate) fn open_folder(path: &Path) -> Result<Handle, SandboxError> {
        let handle = Handle::open(path)?;
        if !handle.is_directory {
            return Err(SandboxError::Path {
                path: path.to_owned(),
                source: io::Error::from(io::ErrorKind::NotADirectory),
            });
        }
        Ok(handle)
    }

    /// The working directory below this folder; leaving the folder, also by symlink, is an error.
    pub(crate) fn open_beneath(&self, relative: &Path) -> Result<OwnedFd, SandboxError> {
        let is_inside = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !is_inside {
            return Err(SandboxError::Invalid {
                reason: format!("the working directory {relative:?} is not inside the workspace"),
            });
        }
        let name = if relative.as_os_str().is_empty() {
            Path::new(".")
        } else {
            relative
        };
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.fd, name, flags, Mode::empty(), resolve).map_err(|errno| SandboxError::Path {
            path: self.path.join(relative),
            source: errno.into(),
        })
    }

    /// Gives every file below to `id`, without following symlinks. For file systems that cannot map owners.
    pub(crate) fn give_to(&self, id: u32) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let root = rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?;
        chown_tree(root, id, 0)
    }
}

/// Deeper folders than this are left alone.
const MAX_DEPTH: usize = 64;

fn chown_tree(folder: OwnedFd, id: u32, depth: usize) -> io::Result<()> {
    let uid = Some(rustix::fs::Uid::from_raw(id));
    let gid = Some(rustix::fs::Gid::from_raw(id));
    if rustix::fs::fstat(&folder)?.st_uid != id {
        rustix::fs::fchown(&folder, uid, gid)?;
    }
    for entry in rustix::fs::Dir::read_from(&folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(stat) = rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        // A second hard link may lie outside the workspace; such a file keeps its owner.
        let is_shared_file = kind != FileType::Directory && stat.st_nlink > 1;
        if is_shared_file {
            continue;
        }
        if kind != FileType::Directory {
            if stat.st_uid != id {
                rustix::fs::chownat(&folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        } else if depth < MAX_DEPTH {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::NOFOLLOW;
            if let Ok(inner) = rustix::fs::openat(&folder, name, flags, Mode::empty()) {
                chown_tree(inner, id, depth + 1)?;
            }
        }
    }
    Ok(())
}

/// The user ids that commands run under when Steward is root, and the namespaces that map owners to them.
#[derive(Debug)]
pub(crate) struct Ids {
    first: u32,
    used: Mutex<BTreeSet<u32>>,
    mappings: Mutex<HashMap<(u32, u32, u32), Arc<OwnedFd>>>,
}

impl Ids {
    pub(crate) fn new(first: u32) -> Arc<Ids> {
        Arc::new(Ids {
            first,
            used: Mutex::default(),
            mappings: Mutex::default(),
        })
    }

    /// An id that no other running command has.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<Lease, SandboxError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let free = (self.first..self.first + UID_COUNT).find(|id| !used.contains(id));
        let Some(id) = free else {
            return Err(SandboxError::Invalid {
                reason: format!("{UID_COUNT} commands already run; wait for one to end"),
            });
        };
        used.insert(id);
        Ok(Lease { ids: self.clone(), id })
    }

    /// The id that belongs to a workspace for good, where owners cannot be mapped.
    pub(crate) fn fixed(&self, workspace: &Handle) -> u32 {
        let hash = workspace.inode.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        self.first + UID_COUNT + (hash % u64::from(FIXED_COUNT)) as u32
    }

    /// A namespace that shows the owner of `handle` as `id`.
    pub(crate) fn mapping(&self, handle: &Handle, id: u32) -> io::Result<Arc<OwnedFd>> {
        let key = (handle.owner_uid, handle.owner_gid, id);
        let mut mappings = self.mappings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(namespace) = mappings.get(&key) {
            return Ok(namespace.clone());
        }
        let namespace = Arc::new(syscalls::mapping_namespace(handle.owner_uid, handle.owner_gid, id)?);
        mappings.insert(key, namespace.clone());
        Ok(namespace)
    }

    /// A detached mount of `handle` in which its owner is seen as `id`.
    pub(crate) fn clone_mapped(&self, handle: &Handle, id: u32) -> io::Result<OwnedFd> {
        let mapping = self.mapping(handle, id)?;
        syscalls::clone_mount(handle.fd.as_fd(), Some((*mapping).as_fd()))
    }
}

/// An id in use; free again when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    ids: Arc<Ids>,
    pub(crate) id: u32,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.ids.used.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

//! Finds the files and folders that rules close to a command, so that the sandbox can keep them from it.
//!
//! Walks by handle and follows no link: a link's target is closed, or not, by its own name. What cannot be looked at is an error.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;
use steward_domain::files::{FileLimit, FileRules};

use super::places::shown;
use super::resolve::Links;
use super::{FOLDER, FileError, InsidePath, Workspace};

/// More entries than this are not looked through.
const MAX_ENTRIES: usize = 200_000;

/// What a command must not see, and what it may not change; paths are relative to the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) hidden: Vec<PathBuf>,
    pub(crate) read_only: Vec<PathBuf>,
}

impl Closed {
    /// Looks through the folders in which the rules can close something. Blocks.
    ///
    /// # Errors
    /// When a folder cannot be read or there are too many files: then nobody knows what would have to be kept from the command.
    pub(crate) fn find(workspace: &Workspace, rules: &dyn FileRules) -> Result<Closed, FileError> {
        let mut closed = Closed::default();
        let mut left = MAX_ENTRIES;
        let mut waiting = vec![(PathBuf::new(), Above::Open)];
        while let Some((folder, above)) = waiting.pop() {
            if !rules.may_limit_below(&shown(&folder)) {
                continue;
            }
            for (name, is_folder) in entries(workspace, &folder, &mut left)? {
                let path = folder.join(OsStr::from_bytes(&name));
                let mut here = above;
                match rules.limit(&shown(&path)) {
                    FileLimit::Hidden { .. } => {
                        closed.hidden.push(path);
                        continue;
                    }
                    FileLimit::ReadOnly { .. } if above == Above::Open => {
                        closed.read_only.push(path.clone());
                        here = Above::ReadOnly;
                    }
                    FileLimit::ReadOnly { .. } | FileLimit::Free => {}
                }
                if is_folder {
                    waiting.push((path, here));
                }
            }
        }
        Ok(closed)
    }

    /// What the model is told, where something is closed.
    pub(crate) fn note(&self) -> Option<String> {
        let count = |paths: &[PathBuf], how: &str| (!paths.is_empty()).then(|| format!("{} {how}", paths.len()));
        let counts = [count(&self.hidden, "hidden"), count(&self.read_only, "read-only")];
        let counts: Vec<String> = counts.into_iter().flatten().collect();
        (!counts.is_empty()).then(|| format!("rules of the policy close files or folders to commands: {}", counts.join(", ")))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Above {
    Open,
    ReadOnly,
}

/// Names and whether each is a folder. Links are left out.
fn entries(workspace: &Workspace, folder: &Path, left: &mut usize) -> Result<Vec<(Vec<u8>, bool)>, FileError> {
    let shown_path = InsidePath::of_walk(folder);
    let failed = |errno| FileError::io("looking through", &shown_path, errno);
    let handle = match workspace.open_beneath(folder, FOLDER, Links::Never) {
        // Gone, or swapped for something else, meanwhile: what is there now is found by the next command.
        Err(Errno::NOENT) => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in Dir::read_from(&handle).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        if *left == 0 {
            return Err(FileError::Unfit {
                reason: format!(
                    "the workspace has more than {MAX_ENTRIES} entries where rules of the policy may close some, so no command can be run"
                ),
            });
        }
        *left -= 1;
        let kind = match entry.file_type() {
            FileType::Unknown => match rustix::fs::statat(&handle, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(failed(errno)),
            },
            kind => kind,
        };
        if kind != FileType::Symlink {
            found.push((entry.file_name().to_bytes().to_vec(), kind == FileType::Directory));
        }
    }
    Ok(found)
}

//! A path as a model writes it, checked by its text: relative, without `..`, below the workspace.
//!
//! Looks at no file. What the path means on disk is decided by handle, in `resolve`.

use std::path::{Component, Path, PathBuf};

use super::FileError;

const MAX_PATH_BYTES: usize = 4096;

/// A path inside the workspace: relative, normal components only. Empty means the workspace itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InsidePath(PathBuf);

impl InsidePath {
    /// Reads `text`; an absolute path is taken when it begins with one of `roots`.
    ///
    /// # Errors
    /// When it is empty, too long, leaves the workspace or holds a zero byte.
    pub(super) fn parse(text: &str, roots: &[PathBuf]) -> Result<InsidePath, FileError> {
        let outside = || FileError::Outside { path: text.to_owned() };
        if text.is_empty() {
            return Err(FileError::Unfit {
                reason: "the path is empty".into(),
            });
        }
        if text.len() > MAX_PATH_BYTES || text.contains('\0') {
            return Err(FileError::Unfit {
                reason: "the path is too long or holds a zero byte".into(),
            });
        }
        if text == "~" || text.starts_with("~/") {
            return Err(outside());
        }
        let path = Path::new(text);
        let relative = if path.is_absolute() {
            roots.iter().find_map(|root| path.strip_prefix(root).ok()).ok_or_else(outside)?
        } else {
            path
        };
        let mut parts = PathBuf::new();
        for component in relative.components() {
            match component {
                Component::Normal(name) => parts.push(name),
                Component::CurDir => {}
                // `a/../b` is `b` by its text, as the policy reads it; climbing out is refused.
                Component::ParentDir if parts.pop() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            }
        }
        Ok(InsidePath(parts))
    }

    /// A path that a walk by handle found.
    pub(super) fn of_walk(path: &Path) -> InsidePath {
        InsidePath(path.to_owned())
    }

    /// The relative path; empty for the workspace itself.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The folder it lies in, and its name there. `None` for the workspace itself.
    pub(super) fn split(&self) -> Option<(&Path, &std::ffi::OsStr)> {
        Some((self.0.parent().unwrap_or(Path::new("")), self.0.file_name()?))
    }
}

impl std::fmt::Display for InsidePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.as_os_str().is_empty() {
            return f.write_str(".");
        }
        self.0.display().fmt(f)
    }
}

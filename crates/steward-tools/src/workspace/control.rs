//! Which files make other programs run something, so that no tool may write them.
//!
//! Judges by the path alone; the caller follows no symlink on the way, so the path is the place.

use std::path::Path;

/// Names that are control files in any folder. Compared without case, as some file systems do.
const NAMES: [&str; 13] = [
    ".bash_login",
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".envrc",
    ".gitconfig",
    ".kshrc",
    ".mcp.json",
    ".profile",
    ".zlogin",
    ".zprofile",
    ".zshenv",
    ".zshrc",
];

/// Is it a control file, at any depth? All of `.git` is: hooks, configuration, and files that point git to others.
pub(super) fn is_control_file(path: &Path) -> bool {
    let mut names = path.iter().map(|name| name.to_string_lossy().to_ascii_lowercase());
    let is_in_git = names.clone().any(|name| name == ".git");
    is_in_git || names.next_back().is_some_and(|name| NAMES.contains(&name.as_str()))
}

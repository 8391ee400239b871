//! Reads the Markdown files of a workspace for the prompt, and makes a fresh workspace.
//!
//! A file that is missing is no error; one that cannot be read is said in the turn, and the rest works.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use steward_agent::context::WorkspaceFile;

/// The files of a prompt, in their order.
const PROMPT_FILES: [&str; 5] = ["SOUL.md", "IDENTITY.md", "AGENTS.md", "USER.md", "TOOLS.md"];
/// Bytes read of one file; its cap in the prompt is lower still.
const FILE_BYTES: u64 = 256 * 1024;

/// The workspace a fresh agent starts with.
const FRESH: [(&str, &str); 4] = [
    ("AGENTS.md", include_str!("../templates/AGENTS.md")),
    ("SOUL.md", include_str!("../templates/SOUL.md")),
    ("USER.md", include_str!("../templates/USER.md")),
    ("HEARTBEAT.md", include_str!("../templates/HEARTBEAT.md")),
];

/// Makes the folder and, if it is new, its first files. Existing files are never touched.
///
/// # Errors
/// When the folder cannot be made.
pub(crate) fn prepare(workspace: &Path) -> std::io::Result<()> {
    let is_new = !workspace.exists();
    std::fs::create_dir_all(workspace)?;
    if !is_new {
        return Ok(());
    }
    std::fs::create_dir_all(workspace.join("memory"))?;
    for (name, text) in FRESH {
        std::fs::write(workspace.join(name), text)?;
    }
    Ok(())
}

/// The files for the prompt.
pub(crate) fn read(workspace: &Path) -> Vec<WorkspaceFile> {
    PROMPT_FILES.iter().filter_map(|name| read_one(workspace, name)).collect()
}

fn read_one(workspace: &Path, name: &str) -> Option<WorkspaceFile> {
    let path = workspace.join(name);
    let metadata = std::fs::symlink_metadata(&path).ok()?;
    let trouble = |text: &str| {
        Some(WorkspaceFile {
            name: name.to_owned(),
            text: String::new(),
            trouble: Some(text.to_owned()),
        })
    };
    if !metadata.is_file() {
        return trouble("is no ordinary file, so it is left out");
    }
    let mut bytes = Vec::new();
    let outcome = File::open(&path).and_then(|file| file.take(FILE_BYTES).read_to_end(&mut bytes));
    if let Err(error) = outcome {
        return trouble(&format!("could not be read: {error}"));
    }
    // A cut inside a character is no fault of the file.
    let is_cut = metadata.len() > FILE_BYTES;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if is_cut && error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned()
        }
        Err(_) => return trouble("is not UTF-8, so it is left out; save it as UTF-8"),
    };
    Some(WorkspaceFile {
        name: name.to_owned(),
        text,
        trouble: is_cut.then(|| format!("is {} bytes long; only its first part is read", metadata.len())),
    })
}

#[cfg(test)]
mod tests;

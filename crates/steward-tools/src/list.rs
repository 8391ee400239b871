//! `list`: what is in a folder, sorted, with sizes.
//!
//! Follows no symlink to tell what an entry is; a symlink is shown as one.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use rustix::fs::{AtFlags, Dir, FileType};
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::{FileRules, Touched};
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{blocking, named, parse, settle};
use crate::workspace::places::{hidden_note, is_hidden};
use crate::workspace::replace::TEMPORARY;
use crate::workspace::{FileError, InsidePath, Workspace};

const MAX_SHOWN: usize = 1000;
/// More entries than this are not even counted.
const MAX_SEEN: usize = 100_000;

pub(crate) struct ListTool {
    spec: ToolSpec,
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Arguments {
    path: String,
}

impl ListTool {
    pub(crate) fn new(workspace: Workspace) -> Self {
        let spec = ToolSpec {
            name: "list",
            group: "files",
            description: include_str!("../prompts/list.md").trim_ascii(),
            input_schema: json!({ "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"] }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        ListTool { spec, workspace }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { path } = parse(arguments)?;
        // Models write an empty path for the workspace itself.
        let path = self.workspace.locate(if path.is_empty() { "." } else { &path })?;
        let workspace = self.workspace.clone();
        let (object, listing) = blocking(move || {
            let folder = workspace.open_folder(&path)?;
            let real = workspace.admit(&folder, &path, context.files.as_ref())?;
            let view = View {
                folders: [path.as_path().to_owned(), real],
                rules: context.files.as_ref(),
            };
            let listing = Listing::read(&folder, &path, &view)?;
            Ok::<_, FileError>((path.to_string(), listing))
        })
        .await??;
        let detail = format!("{} entries", listing.count);
        let evidence = vec![Evidence {
            action: EvidenceAction::Read,
            object,
            detail,
        }];
        Ok(ToolOutcome::Done(ToolOutput {
            parts: vec![Part::text(listing.text)],
            evidence,
        }))
    }
}

impl Tool for ListTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn touches(&self, arguments: &Value) -> Result<Touched, String> {
        named(&self.workspace, arguments, "path")
    }

    fn call(&self, arguments: Value, context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments, context).await) })
    }
}

struct Listing {
    text: String,
    count: usize,
}

impl Listing {
    fn read(folder: &OwnedFd, path: &InsidePath, view: &View<'_>) -> Result<Listing, FileError> {
        let failed = |errno| FileError::io("listing", path, errno);
        let mut names = Vec::new();
        let mut hidden = 0;
        for entry in Dir::read_from(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_owned();
            let is_shown = !matches!(name.to_bytes(), b"." | b"..") && !name.to_bytes().starts_with(TEMPORARY.as_bytes());
            if is_shown && view.hides(&name) {
                hidden += 1;
            } else if is_shown {
                names.push(name);
            }
            if names.len() > MAX_SEEN {
                break;
            }
        }
        names.sort();
        let count = names.len();
        let mut lines: Vec<String> = names.iter().take(MAX_SHOWN).map(|name| line(folder, name)).collect();
        if count > MAX_SEEN {
            lines.push(format!("[more than {MAX_SEEN} entries; some {MAX_SHOWN} are shown]"));
        } else if count > MAX_SHOWN {
            lines.push(format!(
                "[{} more of {count} entries are not shown; list a folder below, or search]",
                count - MAX_SHOWN
            ));
        }
        if lines.is_empty() {
            lines.push(match hidden {
                0 => format!("[{path} is an empty folder]"),
                _ => format!("[{path} holds nothing that may be seen]"),
            });
        }
        if hidden > 0 {
            lines.push(hidden_note(hidden));
        }
        Ok(Listing {
            text: lines.join("\n"),
            count,
        })
    }
}

/// A folder as the rules let the call see it.
struct View<'a> {
    /// As it was named, and where that leads.
    folders: [PathBuf; 2],
    rules: &'a dyn FileRules,
}

impl View<'_> {
    fn hides(&self, name: &std::ffi::CStr) -> bool {
        let name = OsStr::from_bytes(name.to_bytes());
        self.folders.iter().any(|folder| is_hidden(self.rules, &folder.join(name)))
    }
}

fn line(folder: &OwnedFd, name: &std::ffi::CStr) -> String {
    // A newline in a name must not look like another entry.
    let shown = name.to_string_lossy().replace(['\n', '\r'], "?");
    let Ok(stat) = rustix::fs::statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else {
        return format!("{shown} (gone)");
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => format!("{shown}/"),
        FileType::RegularFile => format!("{shown} {}", stat.st_size),
        FileType::Symlink => format!("{shown} (symlink)"),
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            format!("{shown} (special)")
        }
    }
}

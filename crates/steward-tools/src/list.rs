//! `list`: what is in a folder, sorted, with sizes.
//!
//! Follows no symlink to tell what an entry is; a symlink is shown as one.

use std::os::fd::{AsFd, OwnedFd};

use futures_util::future::BoxFuture;
use rustix::fs::{AtFlags, Dir, FileType};
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::message::Part;
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{blocking, parse, settle};
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

    async fn run(&self, arguments: Value) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { path } = parse(arguments)?;
        // Models write an empty path for the workspace itself.
        let path = self.workspace.locate(if path.is_empty() { "." } else { &path })?;
        let workspace = self.workspace.clone();
        let (object, listing) = blocking(move || {
            let folder = workspace.open_folder(&path)?;
            let listing = Listing::read(&folder, &path)?;
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

    fn call(&self, arguments: Value, _context: ToolContext) -> BoxFuture<'_, ToolOutcome> {
        Box::pin(async move { settle(self.run(arguments).await) })
    }
}

struct Listing {
    text: String,
    count: usize,
}

impl Listing {
    fn read(folder: &OwnedFd, path: &InsidePath) -> Result<Listing, FileError> {
        let failed = |errno| FileError::io("listing", path, errno);
        let mut names = Vec::new();
        for entry in Dir::read_from(folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_owned();
            let is_shown = !matches!(name.to_bytes(), b"." | b"..") && !name.to_bytes().starts_with(TEMPORARY.as_bytes());
            if is_shown {
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
            lines.push(format!("[{path} is an empty folder]"));
        }
        Ok(Listing {
            text: lines.join("\n"),
            count,
        })
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

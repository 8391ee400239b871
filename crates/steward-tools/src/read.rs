//! `read`: a file or some of its lines; an image as an image.
//!
//! Never reads more than it shows by much, however large the file is.

use std::io::{BufRead, BufReader, Read, Seek};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use steward_domain::decision::Effect;
use steward_domain::files::Touched;
use steward_domain::message::{MediaSource, Part};
use steward_domain::tool::{Evidence, EvidenceAction, Repeat, Tool, ToolContext, ToolOutcome, ToolOutput, ToolSpec};

use crate::arguments::{Stop, blocking, named, parse, settle};
use crate::workspace::{FileError, InsidePath, OpenFile, Workspace};

/// Text of one call.
const MAX_TEXT_BYTES: usize = 256 * 1024;
const MAX_IMAGE_BYTES: u64 = 5_000_000;
/// How much is looked at to tell text from other content.
const SNIFF_BYTES: u64 = 8192;

pub(crate) struct ReadTool {
    spec: ToolSpec,
    workspace: Workspace,
}

#[derive(Deserialize)]
struct Arguments {
    path: String,
    from: Option<u64>,
    to: Option<u64>,
}

/// Lines, counted from 1, both ends included.
#[derive(Clone, Copy, Debug)]
struct Range {
    from: u64,
    to: u64,
}

impl ReadTool {
    pub(crate) fn new(workspace: Workspace) -> Self {
        let spec = ToolSpec {
            name: "read",
            group: "files",
            description: include_str!("../prompts/read.md").trim_ascii(),
            input_schema: json!({
                "type": "object",
                "properties": {
                    "path": { "type": "string" },
                    "from": { "type": "integer", "minimum": 1 },
                    "to": { "type": "integer", "minimum": 1 }
                },
                "required": ["path"]
            }),
            effect: Effect::Reads,
            repeat: Repeat::Safe,
            gives_outside: false,
        };
        ReadTool { spec, workspace }
    }

    async fn run(&self, arguments: Value, context: ToolContext) -> Result<ToolOutcome, ToolOutcome> {
        let Arguments { path, from, to } = parse(arguments)?;
        let range = Range {
            from: from.unwrap_or(1).max(1),
            to: to.unwrap_or(u64::MAX),
        };
        if range.to < range.from {
            return Err(ToolOutcome::failed(format!(
                "lines {} to {} are none: `to` comes before `from`",
                range.from, range.to
            )));
        }
        let path = self.workspace.locate(&path)?;
        let workspace = self.workspace.clone();
        let stop = Stop::new();
        let flag = stop.flag();
        let part = blocking(move || {
            let open = workspace.open_file(&path)?;
            workspace.admit(&open.file, &path, context.files.as_ref())?;
            read(open, &path, range, &flag)
        })
        .await??;
        Ok(ToolOutcome::Done(part))
    }
}

impl Tool for ReadTool {
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

fn read(open: OpenFile, path: &InsidePath, range: Range, stop: &AtomicBool) -> Result<ToolOutput, ToolOutcome> {
    let OpenFile { mut file, size } = open;
    let failed = |error| ToolOutcome::from(FileError::io("reading", path, error));
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(SNIFF_BYTES).read_to_end(&mut start).map_err(failed)?;
    if let Some(media_type) = image_type(&start) {
        file.rewind().map_err(failed)?;
        return image(path, file, (size, media_type));
    }
    if start.contains(&0) {
        return Err(ToolOutcome::failed(format!(
            "{path} is not text but binary data of {size} bytes; look at it with a command"
        )));
    }
    file.rewind().map_err(failed)?;
    let excerpt = excerpt(BufReader::new(file), range, stop).map_err(failed)?;
    let text = excerpt.describe(path, range, size);
    let detail = format!("lines {}-{} of a file of {size} bytes", range.from, excerpt.last_line);
    Ok(output(path, Part::text(text), detail))
}

fn output(path: &InsidePath, part: Part, detail: String) -> ToolOutput {
    ToolOutput {
        parts: vec![part],
        evidence: vec![Evidence {
            action: EvidenceAction::Read,
            object: path.to_string(),
            detail,
        }],
    }
}

/// The media type, by the first bytes and not by the name.
fn image_type(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

fn image(path: &InsidePath, file: std::fs::File, what: (u64, &str)) -> Result<ToolOutput, ToolOutcome> {
    let (size, media_type) = what;
    let mut bytes = Vec::new();
    file.take(MAX_IMAGE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ToolOutcome::from(FileError::io("reading", path, error)))?;
    if bytes.len() as u64 > MAX_IMAGE_BYTES {
        return Err(ToolOutcome::failed(format!(
            "{path} is an image of {size} bytes; only images up to {MAX_IMAGE_BYTES} bytes can be shown"
        )));
    }
    let detail = format!("{media_type}, {} bytes", bytes.len());
    let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let source = MediaSource::Inline {
        media_type: media_type.to_owned(),
        data,
    };
    Ok(output(path, Part::Image { source, detail: None }, detail))
}

/// Some lines of a file.
#[derive(Debug, Default)]
struct Excerpt {
    bytes: Vec<u8>,
    /// The last line shown, or the last one there is when none is shown.
    last_line: u64,
    /// There is more after it.
    has_more: bool,
    /// The last line itself is cut.
    is_line_cut: bool,
}

fn excerpt(mut lines: impl BufRead, range: Range, stop: &AtomicBool) -> std::io::Result<Excerpt> {
    let mut excerpt = Excerpt::default();
    let mut line = 1;
    loop {
        let chunk = lines.fill_buf()?;
        if chunk.is_empty() || stop.load(Ordering::Relaxed) {
            return Ok(excerpt);
        }
        if line > range.to {
            excerpt.has_more = true;
            return Ok(excerpt);
        }
        let newline = chunk.iter().position(|byte| *byte == b'\n');
        let taken = newline.map_or(chunk.len(), |position| position + 1);
        excerpt.last_line = line;
        if line >= range.from {
            let room = MAX_TEXT_BYTES - excerpt.bytes.len();
            excerpt.bytes.extend_from_slice(&chunk[..taken.min(room)]);
            if taken > room {
                excerpt.has_more = true;
                excerpt.drop_partial_line();
                return Ok(excerpt);
            }
        }
        lines.consume(taken);
        if newline.is_some() {
            line += 1;
        }
    }
}

impl Excerpt {
    /// What is over the limit goes back to the last whole line, where there is one.
    fn drop_partial_line(&mut self) {
        match self.bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => {
                self.bytes.truncate(end + 1);
                self.last_line -= 1;
            }
            None => self.is_line_cut = true,
        }
    }

    fn describe(&self, path: &InsidePath, range: Range, size: u64) -> String {
        if size == 0 {
            return format!("[{path} is empty]");
        }
        if self.bytes.is_empty() {
            return format!("[{path} has only {} lines]", self.last_line);
        }
        let (mut text, is_text) = escape_invalid(&self.bytes);
        let mut notes = Vec::new();
        if !is_text {
            notes.push("not UTF-8: other bytes are shown as \\x..".to_owned());
        }
        if self.is_line_cut {
            notes.push(format!(
                "line {} is too long; its first {MAX_TEXT_BYTES} bytes are shown",
                self.last_line
            ));
        } else if self.has_more {
            notes.push(format!(
                "lines {}-{}; read on with from={}",
                range.from,
                self.last_line,
                self.last_line + 1
            ));
        }
        if !notes.is_empty() {
            let gap = if text.ends_with('\n') { "" } else { "\n" };
            text.push_str(&format!("{gap}[{path}: {}]", notes.join("; ")));
        }
        text
    }
}

/// Bytes as text, with what is no UTF-8 as `\x..`; and whether all of it was.
fn escape_invalid(bytes: &[u8]) -> (String, bool) {
    let mut text = String::with_capacity(bytes.len());
    let mut is_text = true;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            is_text = false;
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    (text, is_text)
}

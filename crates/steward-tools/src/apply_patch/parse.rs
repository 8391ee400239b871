//! Reads a patch: a unified diff, or the form between `*** Begin Patch` and `*** End Patch`.
//!
//! Line numbers and counts in hunks are hints only; models get them wrong. The text of the lines decides.

/// What the patch does to one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePatch {
    pub(super) path: String,
    pub(super) operation: Operation,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add(String),
    Delete,
    Update { hunks: Vec<Hunk>, move_to: Option<String> },
}

/// Lines that are there, and lines that should be, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hunk {
    /// Where it should be, counted from 1.
    pub(super) line: Option<usize>,
    /// A line that comes somewhere before it.
    pub(super) anchor: Option<String>,
    pub(super) old: Vec<String>,
    pub(super) new: Vec<String>,
    /// The last new line ends without a newline.
    pub(super) new_lacks_newline: bool,
    /// It belongs at the end of the file.
    pub(super) is_at_end: bool,
}

/// More than this is not a patch that a model wrote.
const MAX_FILES: usize = 200;

pub(super) fn parse(patch: &str) -> Result<Vec<FilePatch>, String> {
    let lines: Vec<&str> = patch.lines().collect();
    let files = match lines.iter().position(|line| line.trim() == "*** Begin Patch") {
        Some(start) => parse_sections(&lines[start + 1..])?,
        None => parse_unified(&lines)?,
    };
    if files.is_empty() {
        return Err("it names no file".into());
    }
    if files.len() > MAX_FILES {
        return Err(format!("it names more than {MAX_FILES} files"));
    }
    Ok(files)
}

fn parse_sections(lines: &[&str]) -> Result<Vec<FilePatch>, String> {
    let mut files = Vec::new();
    let mut position = 0;
    while let Some(line) = lines.get(position).map(|line| line.trim_end()) {
        position += 1;
        if line == "*** End Patch" {
            return Ok(files);
        }
        let length = lines[position..]
            .iter()
            .position(|line| is_section(line))
            .unwrap_or(lines.len() - position);
        let body = &lines[position..position + length];
        if let Some(path) = line.strip_prefix("*** Add File: ") {
            let content = body.iter().map(|line| line.strip_prefix('+').map(|line| format!("{line}\n")));
            let content: Option<String> = content.collect();
            let content = content.ok_or_else(|| format!("a line of the new file {path} does not begin with +"))?;
            files.push(FilePatch {
                path: path.trim().to_owned(),
                operation: Operation::Add(content),
            });
        } else if let Some(path) = line.strip_prefix("*** Delete File: ") {
            files.push(FilePatch {
                path: path.trim().to_owned(),
                operation: Operation::Delete,
            });
        } else if let Some(path) = line.strip_prefix("*** Update File: ") {
            files.push(update_section(path.trim(), body)?);
        } else if !line.is_empty() {
            return Err(format!("{line:?} is no line of a patch"));
        }
        position += length;
    }
    Err("*** End Patch is missing".into())
}

fn is_section(line: &str) -> bool {
    ["*** Add File: ", "*** Delete File: ", "*** Update File: ", "*** End Patch"]
        .iter()
        .any(|start| line.starts_with(start))
}

fn update_section(path: &str, body: &[&str]) -> Result<FilePatch, String> {
    let (move_to, body) = match body.first().and_then(|line| line.strip_prefix("*** Move to: ")) {
        Some(target) => (Some(target.trim().to_owned()), &body[1..]),
        None => (None, body),
    };
    let hunks = parse_hunks(path, body)?;
    if hunks.is_empty() && move_to.is_none() {
        return Err(format!("it has no hunk for {path}"));
    }
    Ok(FilePatch {
        path: path.to_owned(),
        operation: Operation::Update { hunks, move_to },
    })
}

fn parse_hunks(path: &str, body: &[&str]) -> Result<Vec<Hunk>, String> {
    let mut hunks: Vec<Hunk> = Vec::new();
    let mut is_last_new = false;
    for line in body {
        if let Some(header) = line.strip_prefix("@@") {
            hunks.push(header_of(header));
            continue;
        }
        if line.trim_end() == "*** End of File" {
            if let Some(hunk) = hunks.last_mut() {
                hunk.is_at_end = true;
            }
            continue;
        }
        if hunks.is_empty() {
            // The first hunk may go without its header.
            hunks.push(Hunk::default());
        }
        let hunk = hunks.last_mut().expect("one was pushed when there was none");
        match line.as_bytes().first() {
            Some(b' ') => hunk.both(&line[1..]),
            // Models drop the one space of an empty line.
            None => hunk.both(""),
            Some(b'-') => hunk.old.push(line[1..].to_owned()),
            Some(b'+') => hunk.new.push(line[1..].to_owned()),
            Some(b'\\') => {
                hunk.new_lacks_newline |= is_last_new;
                continue;
            }
            Some(_) => return Err(format!("line {line:?} of {path} begins with none of space, + and -")),
        }
        is_last_new = !line.starts_with('-');
    }
    for hunk in &mut hunks {
        hunk.trim_blank_end();
    }
    hunks.retain(|hunk| !(hunk.old.is_empty() && hunk.new.is_empty()));
    Ok(hunks)
}

impl Hunk {
    fn both(&mut self, line: &str) {
        self.old.push(line.to_owned());
        self.new.push(line.to_owned());
    }

    /// Empty context at the end is more often the end of the message than a line of the file.
    fn trim_blank_end(&mut self) {
        let is_blank = |lines: &[String]| lines.last().is_some_and(String::is_empty);
        while is_blank(&self.old) && is_blank(&self.new) && self.old != self.new {
            self.old.pop();
            self.new.pop();
        }
    }
}

/// `-10,5 +10,6 @@ fn main()` or ` fn main()`.
fn header_of(header: &str) -> Hunk {
    let header = header.trim();
    if let Some(rest) = header.strip_prefix('-') {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        return Hunk {
            line: digits.parse().ok(),
            ..Hunk::default()
        };
    }
    let anchor = header.trim_end_matches("@@").trim();
    Hunk {
        anchor: (!anchor.is_empty()).then(|| anchor.to_owned()),
        ..Hunk::default()
    }
}

fn parse_unified(lines: &[&str]) -> Result<Vec<FilePatch>, String> {
    let mut files = Vec::new();
    let mut position = 0;
    let mut rename_from: Option<&str> = None;
    while position < lines.len() {
        let line = lines[position];
        if let Some(path) = line.strip_prefix("rename from ") {
            rename_from = Some(path);
        } else if let (Some(path), Some(from)) = (line.strip_prefix("rename to "), rename_from.take()) {
            let has_hunks = lines[position + 1..]
                .iter()
                .take_while(|line| !line.starts_with("diff "))
                .any(|line| line.starts_with("--- "));
            if !has_hunks {
                let operation = Operation::Update {
                    hunks: Vec::new(),
                    move_to: Some(path.to_owned()),
                };
                files.push(FilePatch {
                    path: from.to_owned(),
                    operation,
                });
            }
        } else if is_file_header(lines, position) {
            let end = (position + 2..lines.len()).find(|next| lines[*next].starts_with("diff --git ") || is_file_header(lines, *next));
            let end = end.unwrap_or(lines.len());
            files.push(unified_file(lines[position], lines[position + 1], &lines[position + 2..end])?);
            position = end;
            continue;
        } else if line.starts_with("Binary files ") || line.starts_with("GIT binary patch") {
            return Err("it holds a binary file".into());
        }
        position += 1;
    }
    if files.is_empty() {
        return Err("it is neither a unified diff (--- a/file, +++ b/file, @@) nor begins with *** Begin Patch".into());
    }
    Ok(files)
}

/// A removed line may begin with `-- `; only the pair of headers before a hunk begins a file.
fn is_file_header(lines: &[&str], position: usize) -> bool {
    let starts = |offset: usize, start: &str| lines.get(position + offset).is_some_and(|line| line.starts_with(start));
    starts(0, "--- ") && starts(1, "+++ ") && starts(2, "@@")
}

fn unified_file(old: &str, new: &str, body: &[&str]) -> Result<FilePatch, String> {
    let old = header_path(&old[4..], "a/");
    let new = header_path(&new[4..], "b/");
    let (path, move_to) = match (old, new) {
        (None, None) => return Err("both sides of a file are /dev/null".into()),
        (None, Some(path)) => {
            let hunks = parse_hunks(&path, body)?;
            let lacks_newline = hunks.last().is_some_and(|hunk| hunk.new_lacks_newline);
            let lines: Vec<String> = hunks.into_iter().flat_map(|hunk| hunk.new).collect();
            let end = if lacks_newline || lines.is_empty() { "" } else { "\n" };
            return Ok(FilePatch {
                path,
                operation: Operation::Add(lines.join("\n") + end),
            });
        }
        (Some(path), None) => {
            return Ok(FilePatch {
                path,
                operation: Operation::Delete,
            });
        }
        (Some(old), Some(new)) if old == new => (old, None),
        (Some(old), Some(new)) => (old, Some(new)),
    };
    let hunks = parse_hunks(&path, body)?;
    if hunks.is_empty() {
        return Err(format!("it has no hunk for {path}"));
    }
    Ok(FilePatch {
        path,
        operation: Operation::Update { hunks, move_to },
    })
}

/// The path of a header; `None` for `/dev/null`.
fn header_path(text: &str, prefix: &str) -> Option<String> {
    // A tab and a date may follow.
    let path = text.split('\t').next().unwrap_or("").trim_end();
    (path != "/dev/null").then(|| path.strip_prefix(prefix).unwrap_or(path).to_owned())
}

#[cfg(test)]
mod tests;

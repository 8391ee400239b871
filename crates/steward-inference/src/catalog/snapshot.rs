//! The wide list of prices and limits: one line a model, looked up in the text itself.
//!
//! Nothing is read before it is asked for, and no line is kept once it is read. The lines are sorted by name.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::Serialize;

use super::KnownModel;
use super::price::ModelPrice;
use crate::config::ModelConfig;

const SHIPPED: &str = include_str!("../../catalog/snapshot.tsv");

/// The first word of the first line; another form of the list gets another number.
const FORM: &str = "#steward-prices-1";

/// The most bytes of a list.
const LIST_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// What stands in a line beside the name, in this order.
pub(super) const COLUMNS: usize = 15;

/// A list of prices with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    text: Cow<'static, str>,
    /// Where the lines begin.
    lines_at: usize,
    origin: Origin,
    is_shipped: bool,
}

/// Where a list of prices is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Origin {
    /// The catalogue, such as `litellm-1.110.2`.
    pub source: String,
    /// The day on which it was taken, `YYYY-MM-DD`.
    pub date: String,
    /// The checksum of the source's own file, in hex.
    pub sha256: String,
    /// The licence of the source.
    pub licence: String,
}

impl Origin {
    /// The name that a row of the ledger keeps with a price of this list.
    pub fn version(&self) -> String {
        let short = self.sha256.get(..8).unwrap_or(&self.sha256);
        format!("{}@{}#{short}", self.source, self.date)
    }
}

/// A list of prices is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list of prices is not valid: {0}")]
pub struct BadSnapshot(pub(super) String);

impl Snapshot {
    /// The list in this program.
    pub fn shipped() -> Self {
        let (origin, lines_at) = origin(SHIPPED).expect("the shipped list of prices is read by a test");
        Snapshot {
            text: Cow::Borrowed(SHIPPED),
            lines_at,
            origin,
            is_shipped: true,
        }
    }

    /// Reads a list and checks every line.
    ///
    /// # Errors
    /// It is too long, of another form, not in order, or a line is wrong.
    pub fn parse(text: String) -> Result<Self, BadSnapshot> {
        if text.len() > LIST_LIMIT_BYTES {
            return Err(BadSnapshot(format!("it is over the limit of {LIST_LIMIT_BYTES} bytes")));
        }
        let (origin, lines_at) = origin(&text)?;
        let mut last = "";
        for line in text[lines_at..].lines() {
            let name = name_of(line);
            if name <= last || !name.contains('/') {
                return Err(BadSnapshot(format!("the line of {name:?} is not in its place")));
            }
            let model = read(line).ok_or_else(|| BadSnapshot(format!("the line of {name:?} cannot be read")))?;
            ModelPrice::from_config(&model, "").map_err(|problem| BadSnapshot(format!("{name}: {problem}")))?;
            last = name;
        }
        Ok(Snapshot {
            text: Cow::Owned(text),
            lines_at,
            origin,
            is_shipped: false,
        })
    }

    /// Where it is from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Is it the one of this program, and not one that the operator put in its place?
    pub fn is_shipped(&self) -> bool {
        self.is_shipped
    }

    /// The list as text, for the file that keeps it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The names of all models, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines().lines().map(name_of)
    }

    /// What the list says of a model.
    pub(super) fn row(&self, name: &str) -> Option<ModelConfig> {
        read(find(self.lines(), name)?)
    }

    /// What the list says of a model, ready for use.
    pub(super) fn known(&self, name: &str) -> Option<KnownModel> {
        let row = self.row(name)?;
        super::known(name, &row, &self.origin.version()).ok()
    }

    fn lines(&self) -> &str {
        &self.text[self.lines_at..]
    }
}

/// The line of a model, by halving.
fn find<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    let (mut from, mut to) = (0, lines.len());
    while from < to {
        let middle = from + (to - from) / 2;
        let start = lines.as_bytes()[..middle]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let end = lines.as_bytes()[middle..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(lines.len(), |at| middle + at);
        let line = lines.get(start..end)?;
        match name_of(line).cmp(name) {
            Ordering::Equal => return Some(line),
            Ordering::Less => from = end + 1,
            Ordering::Greater => to = start,
        }
    }
    None
}

fn name_of(line: &str) -> &str {
    line.split_once('\t').map_or(line, |(name, _)| name)
}

/// The first line says where the list is from.
fn origin(text: &str) -> Result<(Origin, usize), BadSnapshot> {
    let head = text.lines().next().unwrap_or_default();
    let mut cells = head.split('\t');
    if cells.next() != Some(FORM) {
        return Err(BadSnapshot(format!("its first line does not begin with {FORM}")));
    }
    let mut cell = |what: &str| {
        let value = cells
            .next()
            .filter(|value| !value.is_empty() && value.len() <= 100)
            .map(str::to_owned);
        value.ok_or_else(|| BadSnapshot(format!("its first line has no {what}")))
    };
    let origin = Origin {
        source: cell("source")?,
        date: cell("date")?,
        sha256: cell("checksum")?,
        licence: cell("licence")?,
    };
    Ok((origin, (head.len() + 1).min(text.len())))
}

/// The first line of a list.
pub(super) fn head(origin: &Origin) -> String {
    format!(
        "{FORM}\t{}\t{}\t{}\t{}\n",
        origin.source, origin.date, origin.sha256, origin.licence
    )
}

/// One line as a model's configuration; cells at the end may be absent.
fn read(line: &str) -> Option<ModelConfig> {
    let mut cells: Vec<&str> = line.split('\t').collect();
    if cells.len() > COLUMNS {
        return None;
    }
    cells.resize(COLUMNS, "");
    let money = |at: usize| optional(cells[at]);
    let count = |at: usize| optional(cells[at]);
    let word = |at: usize| match cells[at] {
        "" => Some(None),
        "y" => Some(Some(true)),
        "n" => Some(Some(false)),
        _ => None,
    };
    Some(ModelConfig {
        input_usd_per_mtok: money(1)?,
        output_usd_per_mtok: money(2)?,
        cached_input_usd_per_mtok: money(3)?,
        cache_write_5m_usd_per_mtok: money(4)?,
        cache_write_1h_usd_per_mtok: money(5)?,
        reasoning_usd_per_mtok: money(6)?,
        audio_input_usd_per_mtok: money(7)?,
        audio_output_usd_per_mtok: money(8)?,
        image_usd: money(9)?,
        request_usd: money(10)?,
        context_tokens: count(11)?,
        max_output_tokens: count(12)?,
        tools: word(13)?,
        images: word(14)?,
        ..ModelConfig::default()
    })
}

/// Nothing, or a value; `None` when it is something else.
fn optional<T: std::str::FromStr>(cell: &str) -> Option<Option<T>> {
    if cell.is_empty() {
        return Some(None);
    }
    cell.parse().ok().map(Some)
}

#[cfg(test)]
mod tests;

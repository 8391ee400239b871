//! Values on their way into and out of rows: the four forms that SQLite and PostgreSQL share.
//!
//! Instants are epoch milliseconds, money is pico-dollars, small enums are their serde word, the rest is JSON text.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use steward_domain::clock::Timestamp;
use steward_domain::id::{AgentName, ApprovalId, BlobId, CallId, ChannelName, InboundId, KeyId, OutboxId, RequestId, SessionId, TurnId};
use steward_domain::money::Usd;

use crate::error::StoreError;

/// A value in a form both databases know.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// Something that can be bound to a `?N` of a statement.
pub(crate) trait ToCell {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError>;
}

/// Something that can be read from a column.
pub(crate) trait FromCell: Sized {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError>;
}

/// Kept as JSON text.
pub(crate) struct Json<T>(pub(crate) T);

/// A small enum, kept as the word serde gives it.
pub(crate) struct Word<T>(pub(crate) T);

fn wrong_form(wanted: &str, cell: &Cell<'_>) -> StoreError {
    let found = match cell {
        Cell::Null => "nothing",
        Cell::Int(_) => "a number",
        Cell::Text(_) => "a text",
        Cell::Bytes(_) => "bytes",
    };
    StoreError::Unreadable {
        what: format!("a column should hold {wanted} and holds {found}"),
        source: None,
    }
}

// PostgreSQL takes no NUL in a text. It never carries meaning in chat, so both databases keep the replacement character.
fn text_cell(text: &str) -> Cell<'_> {
    if text.contains('\0') {
        return Cell::Text(Cow::Owned(text.replace('\0', "\u{fffd}")));
    }
    Cell::Text(Cow::Borrowed(text))
}

impl ToCell for &str {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(text_cell(self))
    }
}

impl ToCell for String {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(text_cell(self))
    }
}

impl FromCell for String {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Text(text) => Ok(text.into_owned()),
            other => Err(wrong_form("a text", &other)),
        }
    }
}

impl ToCell for i64 {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(Cell::Int(*self))
    }
}

impl FromCell for i64 {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Int(number) => Ok(number),
            other => Err(wrong_form("a number", &other)),
        }
    }
}

impl ToCell for bool {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(Cell::Int(i64::from(*self)))
    }
}

impl FromCell for bool {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        Ok(i64::from_cell(cell)? != 0)
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl ToCell for $type {
            fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
                i64::try_from(*self)
                    .map(Cell::Int)
                    .map_err(|error| StoreError::broken_from(format!("the number {self} does not fit a column"), error))
            }
        }

        impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                let number = i64::from_cell(cell)?;
                <$type>::try_from(number).map_err(|error| StoreError::unreadable(format!("the stored number {number} is out of range"), error))
            }
        }
    )*};
}

number!(u32, u64, usize);

impl ToCell for Vec<u8> {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(Cell::Bytes(Cow::Borrowed(self)))
    }
}

impl FromCell for Vec<u8> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Bytes(bytes) => Ok(bytes.into_owned()),
            other => Err(wrong_form("bytes", &other)),
        }
    }
}

impl<T: ToCell> ToCell for Option<T> {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        match self {
            Some(value) => value.to_cell(),
            None => Ok(Cell::Null),
        }
    }
}

impl<T: FromCell> FromCell for Option<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        match cell {
            Cell::Null => Ok(None),
            other => T::from_cell(other).map(Some),
        }
    }
}

impl ToCell for Timestamp {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        Ok(Cell::Int(self.as_millisecond()))
    }
}

impl FromCell for Timestamp {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let millis = i64::from_cell(cell)?;
        Timestamp::from_millisecond(millis).map_err(|error| StoreError::unreadable(format!("the stored instant {millis} is none"), error))
    }
}

impl ToCell for Usd {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        i64::try_from(self.pico())
            .map(Cell::Int)
            .map_err(|error| StoreError::broken_from(format!("{self} USD do not fit one row"), error))
    }
}

impl FromCell for Usd {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        Ok(Usd::from_pico(i128::from(i64::from_cell(cell)?)))
    }
}

macro_rules! id {
    ($($type:ty),*) => {$(
        impl ToCell for $type {
            fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
                Ok(text_cell(self.as_str()))
            }
        }

        impl FromCell for $type {
            fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
                String::from_cell(cell).map(<$type>::from_text)
            }
        }
    )*};
}

id!(
    AgentName,
    ApprovalId,
    BlobId,
    CallId,
    ChannelName,
    InboundId,
    KeyId,
    OutboxId,
    RequestId,
    SessionId,
    TurnId
);

impl<T: Serialize> ToCell for Json<T> {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        serde_json::to_string(&self.0)
            .map(|text| Cell::Text(Cow::Owned(text)))
            .map_err(|error| StoreError::broken_from("a value does not turn into JSON", error))
    }
}

impl<T: DeserializeOwned> FromCell for Json<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let Cell::Text(text) = cell else {
            return Err(wrong_form("JSON text", &cell));
        };
        serde_json::from_str(&text)
            .map(Json)
            .map_err(|error| StoreError::unreadable("stored JSON is not what it should be", error))
    }
}

impl<T: Serialize> ToCell for Word<T> {
    fn to_cell(&self) -> Result<Cell<'_>, StoreError> {
        match serde_json::to_value(&self.0) {
            Ok(serde_json::Value::String(word)) => Ok(Cell::Text(Cow::Owned(word))),
            Ok(other) => Err(StoreError::broken(format!("{other} is no single word"))),
            Err(error) => Err(StoreError::broken_from("a value does not turn into a word", error)),
        }
    }
}

impl<T: DeserializeOwned> FromCell for Word<T> {
    fn from_cell(cell: Cell<'_>) -> Result<Self, StoreError> {
        let word = String::from_cell(cell)?;
        serde_json::from_value(serde_json::Value::String(word.clone()))
            .map(Word)
            .map_err(|error| StoreError::unreadable(format!("the stored word {word:?} is not known"), error))
    }
}

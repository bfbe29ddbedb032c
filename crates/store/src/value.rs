//! The three kinds of value both databases agree on, and rows made of them.
//!
//! Invariant: everything stored is TEXT or BIGINT or NULL, so that one statement text fits both databases.
//! Not here: what a column means.

use crate::Error;

/// A value in a statement or a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    /// SQL NULL.
    Null,
    /// BIGINT: numbers, times in Unix milliseconds, and 0/1 for booleans.
    Int(i64),
    /// TEXT: ids, words, JSON.
    Text(String),
}

impl Value {
    /// Whether it is text no database of ours stores.
    pub(crate) fn holds_nul(&self) -> bool {
        matches!(self, Self::Text(text) if text.contains('\0'))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        Self::Text(value.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A row, read from left to right.
#[derive(Debug)]
pub(crate) struct Row(std::vec::IntoIter<Value>);

impl Row {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The next column, which must be text.
    pub(crate) fn text(&mut self) -> Result<String, Error> {
        self.text_or_null()?.ok_or_else(|| Error::corrupt("a text column is NULL"))
    }

    /// The next column, text or NULL.
    pub(crate) fn text_or_null(&mut self) -> Result<Option<String>, Error> {
        match self.next()? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            Value::Int(_) => Err(Error::corrupt("a number stands where text belongs")),
        }
    }

    /// The next column, which must be a number.
    pub(crate) fn int(&mut self) -> Result<i64, Error> {
        self.int_or_null()?.ok_or_else(|| Error::corrupt("a number column is NULL"))
    }

    /// The last column, which must be a number; it is still to be read.
    pub(crate) fn last_int(&self) -> Result<i64, Error> {
        match self.0.as_slice().last() {
            Some(Value::Int(int)) => Ok(*int),
            _ => Err(Error::corrupt("the last column is no number")),
        }
    }

    /// The next column, a number or NULL.
    pub(crate) fn int_or_null(&mut self) -> Result<Option<i64>, Error> {
        match self.next()? {
            Value::Int(int) => Ok(Some(int)),
            Value::Null => Ok(None),
            Value::Text(_) => Err(Error::corrupt("text stands where a number belongs")),
        }
    }

    /// The next column, JSON text.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Error> {
        parse(&self.text()?)
    }

    /// The next column, JSON text or NULL.
    pub(crate) fn json_or_null<T: serde::de::DeserializeOwned>(&mut self) -> Result<Option<T>, Error> {
        self.text_or_null()?.map(|text| parse(&text)).transpose()
    }

    fn next(&mut self) -> Result<Value, Error> {
        self.0.next().ok_or_else(|| Error::corrupt("a row is shorter than its statement says"))
    }
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|cause| Error::Corrupt(cause.to_string()))
}

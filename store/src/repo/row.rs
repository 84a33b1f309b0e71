//! Values on their way to and from either database.

use std::error::Error;

use bytes::BytesMut;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::RepoError;

/// One value. Neither database is asked for anything but integers and texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// SQL `NULL`.
    Null,
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row. Columns are taken from left to right, in the order the statement names them.
#[derive(Debug)]
pub struct Row {
    cells: std::vec::IntoIter<Cell>,
}

impl Row {
    /// The next column, which may be `NULL`, as an integer.
    ///
    /// # Errors
    /// It is something else: the statement and its reader do not fit.
    pub fn int(&mut self) -> Result<Option<i64>, RepoError> {
        match self.cells.next() {
            Some(Cell::Int(number)) => Ok(Some(number)),
            Some(Cell::Null) => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// The next column, which may be `NULL`, as a text.
    ///
    /// # Errors
    /// It is something else: the statement and its reader do not fit.
    pub fn text(&mut self) -> Result<Option<String>, RepoError> {
        match self.cells.next() {
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Null) => Ok(None),
            _ => Err(unexpected()),
        }
    }

    /// The next column, never `NULL`, as an integer.
    ///
    /// # Errors
    /// It is something else: the statement and its reader do not fit.
    pub fn some_int(&mut self) -> Result<i64, RepoError> {
        self.int()?.ok_or_else(unexpected)
    }

    /// The next column, never `NULL`, as a text.
    ///
    /// # Errors
    /// It is something else: the statement and its reader do not fit.
    pub fn some_text(&mut self) -> Result<String, RepoError> {
        self.text()?.ok_or_else(unexpected)
    }
}

fn unexpected() -> RepoError {
    RepoError::Unavailable("a column is not of the expected type".to_owned())
}

impl From<Vec<Cell>> for Row {
    fn from(cells: Vec<Cell>) -> Self {
        Self {
            cells: cells.into_iter(),
        }
    }
}

impl TryFrom<&rusqlite::Row<'_>> for Row {
    type Error = rusqlite::Error;

    fn try_from(row: &rusqlite::Row<'_>) -> Result<Self, Self::Error> {
        let cells = (0..row.as_ref().column_count()).map(|index| {
            Ok(match row.get_ref(index)? {
                ValueRef::Integer(number) => Cell::Int(number),
                ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => Cell::Null,
            })
        });
        Ok(cells.collect::<Result<Vec<_>, Self::Error>>()?.into())
    }
}

impl rusqlite::ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

impl TryFrom<&tokio_postgres::Row> for Row {
    type Error = tokio_postgres::Error;

    fn try_from(row: &tokio_postgres::Row) -> Result<Self, Self::Error> {
        let cells = row.columns().iter().enumerate().map(|(index, column)| {
            Ok(match *column.type_() {
                Type::TEXT => row.try_get::<_, Option<&str>>(index)?.into(),
                _ => row.try_get::<_, Option<i64>>(index)?.into(),
            })
        });
        Ok(cells.collect::<Result<Vec<_>, Self::Error>>()?.into())
    }
}

impl ToSql for Cell {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(number) => number.to_sql(kind, out),
            Cell::Text(text) => text.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::INT8 | Type::TEXT)
    }

    tokio_postgres::types::to_sql_checked!();
}

//! Pages of lists.

use super::cursor::{self, List};
use super::error::Problem;
use super::query::Query;
use crate::domain::LogIndex;

/// How many entries a page has when the caller does not say.
const PAGE_DEFAULT: u64 = 100;
/// The most entries that a page may have.
const PAGE_MAX: u64 = 1000;

/// How many entries are asked for, and after which index.
///
/// # Errors
/// Names the parameter that cannot be.
pub(crate) fn page(query: &Query, list: List) -> Result<(usize, Option<LogIndex>), Problem> {
    let limit = query.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE_DEFAULT);
    let after = query.get("cursor").map(|cursor| cursor::read(list, cursor)).transpose()?;
    Ok((usize::try_from(limit).unwrap_or(usize::MAX), after))
}

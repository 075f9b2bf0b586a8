//! Query strings, read field by field. All problems of a query are reported together. Unknown and repeated fields are errors.

use std::convert::Infallible;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode_str;

use super::body::parse_integer;
use super::edge::UNMATCHED;
use super::{pages, socketio};
use crate::action::proof::shortened;
use crate::error::{FieldError, Refusal};

/// Problems reported per query. A long query could have thousands.
const MAX_PROBLEMS: usize = 20;
/// Routes that parse the query themselves. Socket.IO clients and ad networks may send fields that are ignored.
const ROUTES_WITH_QUERY: [&str; 7] = [
    "/api/v1/ws",
    "/api/v1/leaderboard/stream",
    "/api/v1/callbacks/admob",
    "/api/v1/users/{userId}/history",
    "/api/v1/boards/{board}/entries",
    "/api/v1/boards/{board}/periods",
    socketio::PATH,
];

/// Refuses the query of a route that takes none. Pages are exempt, because links to them may carry tracking parameters.
pub fn check_read(method: &str, route: &str, query: Option<&str>) -> Result<(), Refusal> {
    let Some(query) = query else { return Ok(()) };
    let is_admin_read = route.starts_with("/api/admin/") && ["GET", "HEAD"].contains(&method);
    if is_admin_read
        || route == UNMATCHED
        || ROUTES_WITH_QUERY.contains(&route)
        || pages::PATHS.contains(&route)
    {
        return Ok(());
    }
    Query::read(query).finish()
}

/// The fields of a query that are not read yet, and the problems of those that are.
pub struct Query {
    unread: Vec<(String, String)>,
    problems: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    /// Parses a raw query string.
    pub fn read(text: &str) -> Self {
        let plain = |it: &str| percent_decode_str(&it.replace('+', " ")).decode_utf8_lossy().into_owned();
        let fields = text.split('&').filter(|it| !it.is_empty());
        let unread = fields
            .map(|it| it.split_once('=').unwrap_or((it, "")))
            .map(|(name, value)| (plain(name), plain(value)));
        Self { unread: unread.collect(), problems: Vec::new() }
    }

    /// An optional string.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let place = self.unread.iter().position(|it| it.0 == name)?;
        let (_, value) = self.unread.remove(place);
        if self.unread.iter().any(|it| it.0 == name) {
            self.unread.retain(|it| it.0 != name);
            self.problems.push(FieldError::new(name, "is given twice"));
        }
        Some(value)
    }

    /// A string that may be given several times, at most `max` times.
    pub fn texts(&mut self, name: &str, max: usize) -> Vec<String> {
        let (texts, unread) = std::mem::take(&mut self.unread).into_iter().partition(|it| it.0 == name);
        self.unread = unread;
        let texts: Vec<(String, String)> = texts;
        if texts.len() > max {
            self.problems.push(FieldError::new(name, format!("may be given {max} times")));
        }
        texts.into_iter().map(|it| it.1).collect()
    }

    /// An optional value with its own parser.
    pub fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let value = self.text(name)?;
        parse(&value).map_err(|problem| self.problems.push(FieldError::new(name, problem))).ok()
    }

    /// An optional integer in a range.
    pub fn number(&mut self, name: &str, range: RangeInclusive<u32>, default: u32) -> u32 {
        let parsed = self.parsed(name, |text| match parse_integer(text).map(u32::try_from) {
            Some(Ok(number)) if range.contains(&number) => Ok(number),
            _ => Err(format!("must be a whole number between {} and {}", range.start(), range.end())),
        });
        parsed.unwrap_or(default)
    }

    /// One of the given words. The first is the default.
    pub fn choice<T: Copy>(&mut self, name: &str, options: &[(&str, T)]) -> T {
        let parsed = self.parsed(name, |text| {
            let found = options.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
            let words: Vec<&str> = options.iter().map(|it| it.0).collect();
            found.ok_or_else(|| format!("must be one of {}", words.join(", ")))
        });
        parsed.unwrap_or(options[0].1)
    }

    /// Ends the parsing.
    ///
    /// # Errors
    /// All problems that were found, and every field that was not read.
    pub fn finish(mut self) -> Result<(), Refusal> {
        self.problems
            .extend(self.unread.iter().map(|(name, _)| FieldError::new(shortened(name), "is unknown")));
        self.problems.truncate(MAX_PROBLEMS);
        if self.problems.is_empty() { Ok(()) } else { Err(Refusal::Validation(self.problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(query: Query) -> Vec<(String, String)> {
        match query.finish() {
            Err(Refusal::Validation(fields)) => {
                fields.into_iter().map(|error| (error.field, error.problem)).collect()
            }
            _ => Vec::new(),
        }
    }

    #[test]
    fn fields_are_read_by_name_and_decoded() {
        let mut query = Query::read("search=a%20b+c%C3%A9&limit=7");
        assert_eq!(query.text("search").as_deref(), Some("a b cé"));
        assert_eq!((query.number("limit", 1..=10, 5), query.number("hours", 1..=24, 24)), (7, 24));
        assert_eq!(query.choice("step", &[("hour", 1), ("day", 2)]), 1);
        assert_eq!(problems(query), []);
    }

    #[test]
    fn all_problems_are_reported_together() {
        let mut query = Query::read("limit=11&limit=2&hours=-1&step=week&x=1&");
        query.number("limit", 1..=10, 5);
        query.number("hours", 1..=24, 24);
        query.choice("step", &[("hour", 1), ("day", 2)]);
        let named: Vec<String> =
            problems(query).into_iter().map(|(field, problem)| format!("{field} {problem}")).collect();
        let wanted = [
            "limit is given twice",
            "limit must be a whole number between 1 and 10",
            "hours must be a whole number between 1 and 24",
            "step must be one of hour, day",
            "x is unknown",
        ];
        assert_eq!(named, wanted);
    }

    #[test]
    fn a_long_query_has_a_short_error() {
        assert_eq!(problems(Query::read(&"a&".repeat(8000))).len(), MAX_PROBLEMS);
    }
}

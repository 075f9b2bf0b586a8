//! How it is said what is wrong with a file of settings: all at once, each with its line, and what may have been meant.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, Error};

/// A word that is less like another one was hardly meant for it.
const LEAST_SIMILARITY: f64 = 0.6;

/// One problem as it is, several as a list.
pub fn list(of: &str, problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => format!("{} problems in {of}:\n  - {}", many.len(), many.join("\n  - ")),
    }
}

/// What is wrong with a file or a value in it: the message alone, since the whole error would show the line, and with it perhaps a
/// secret.
pub fn one_line(error: &Error) -> String {
    error.message().replace('\n', " ")
}

/// The line of a text where something begins, from 1 on.
pub fn line_of(text: &str, at: Range<usize>) -> usize {
    let before = text.as_bytes().get(..at.start).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Reads TOML whose tables and values know their places.
///
/// # Errors
/// Every line that cannot be read.
pub fn read_toml(text: &str) -> Result<DeTable<'_>, Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table.into_inner());
    }
    let mut by_line = BTreeMap::new();
    for error in &errors {
        // One mistake is often told in several ways.
        by_line.entry(line_of(text, error.span().unwrap_or_default())).or_insert(error);
    }
    let problem = |(line, error)| format!("line {line}: not TOML: {}", one_line(error));
    Err(by_line.into_iter().map(problem).collect())
}

/// The word that may have been meant, if one of these is like it.
pub fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::normalized_damerau_levenshtein(word, other);
    let rated = among.into_iter().map(|other| (likeness(other), other));
    let best = rated.filter(|it| it.0 >= LEAST_SIMILARITY).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, other)| other)
}

/// The same as the end of a sentence.
pub fn did_you_mean<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, among).map(|it| format!("; did you mean {it}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_like_a_word_is_named() {
        let words = ["none", "elapsed", "quiz", "hashcash", "signed", "webhook"];
        for (word, meant) in [
            ("elapse", Some("elapsed")),
            ("quizz", Some("quiz")),
            ("hash_cash", Some("hashcash")),
            ("Signed", Some("signed")),
            ("web-hook", Some("webhook")),
            ("crystal_ball", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words), meant, "{word}");
        }
    }

    #[test]
    fn every_syntax_error_has_its_line() {
        let problems = read_toml("a = 1\nb = \nc = 3\na = 4\n\"d = 5\n").unwrap_err();
        let lines: Vec<_> = problems.iter().filter_map(|it| it.split(':').next()).collect();
        assert_eq!(lines, ["line 2", "line 4", "line 5"], "{problems:#?}");
        assert!(read_toml("\u{feff}a = 1\r\n[b]\r\n").is_ok());
    }

    #[test]
    fn one_problem_is_one_line_and_several_are_a_list() {
        let problems = ["a: x".to_owned(), "b: y".to_owned()];
        assert_eq!(list("it", &problems[..1]), "a: x");
        assert_eq!(list("it", &problems), "2 problems in it:\n  - a: x\n  - b: y");
    }
}

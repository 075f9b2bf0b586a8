//! Problem messages for TOML files: all problems together, with lines and suggestions.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, Error};

/// Minimum similarity of a suggestion, from 0 to 1.
const MIN_SIMILARITY: f64 = 0.6;

/// One problem as a line, several as a list. `source` names where they are, such as "the configuration".
pub fn list(source: &str, problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => format!("{} problems in {source}:\n  - {}", many.len(), many.join("\n  - ")),
    }
}

/// The message of an error on one line. The error's full text is not used: it quotes the source line, which may contain a secret.
pub fn one_line(error: &Error) -> String {
    error.message().replace('\n', " ")
}

/// The line of a byte range, starting with 1.
pub fn line_of(text: &str, at: Range<usize>) -> usize {
    let before = text.as_bytes().get(..at.start).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// Parses TOML with the positions of tables and values.
///
/// # Errors
/// All lines with a syntax error.
pub fn read_toml(text: &str) -> Result<DeTable<'_>, Vec<String>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table.into_inner());
    }
    let mut by_line = BTreeMap::new();
    for error in &errors {
        // One mistake often gives several errors.
        by_line.entry(line_of(text, error.span().unwrap_or_default())).or_insert(error);
    }
    let problem = |(line, error)| format!("line {line}: not TOML: {}", one_line(error));
    Err(by_line.into_iter().map(problem).collect())
}

/// The most similar candidate, if one is similar enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let similarity = |other: &str| strsim::normalized_damerau_levenshtein(word, other);
    let rated = candidates.into_iter().map(|other| (similarity(other), other));
    let best = rated.filter(|it| it.0 >= MIN_SIMILARITY).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, other)| other)
}

/// The same as the end of a message.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|found| format!("; did you mean {found}?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similar_words_are_suggested() {
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

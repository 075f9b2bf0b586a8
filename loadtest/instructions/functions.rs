//! What callgrind wrote, as a table: the instructions of each function without what it calls.

use std::collections::HashMap;
use std::fmt::Write as _;

/// Functions below this share are left out.
const LEAST: f64 = 0.001;
/// Names with all their types may take pages.
const LONGEST: usize = 160;

/// Reads a profile (callgrind's format: names are spelt out where they come first, and the line after `calls=` is what was
/// called, not the function's own).
pub fn table(profile: &str, requests: usize) -> String {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut own: HashMap<&str, u64> = HashMap::new();
    let (mut function, mut called) = ("", false);
    for line in profile.lines() {
        if let Some(named) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            let (number, name) = named.split_once(' ').unwrap_or((named, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if line.starts_with("fn=") {
                function = number;
            }
        } else if line.starts_with("calls=") {
            called = true;
        } else if line.starts_with(|it: char| it.is_ascii_digit() || "+-*".contains(it)) {
            let count = line.split(' ').nth(1).and_then(|it| it.parse::<u64>().ok()).unwrap_or_default();
            if !std::mem::take(&mut called) {
                *own.entry(function).or_default() += count;
            }
        }
    }
    let total: u64 = own.values().sum();
    let mut functions: Vec<(&str, u64)> = own.into_iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut table = format!("{} instructions a request, with what goes on anyway\n", total / requests as u64);
    for (number, count) in functions {
        let share = count as f64 / total as f64;
        if share < LEAST {
            break;
        }
        let name: String = names.get(number).unwrap_or(&"?").chars().take(LONGEST).collect();
        let _ = writeln!(table, "{:>9} {:>5.1} %  {name}", count / requests as u64, 100.0 * share);
    }
    table
}

//! What every part of the results says: what measured it, where, and of what.

use std::process::Command;

/// What measured it, where, and of what.
pub fn provenance(command: &str) -> String {
    format!("Written by `{command}`; machine: {}, shared; commit {}.", machine(), commit())
}

/// What was measured.
pub fn commit() -> String {
    said("git", &["rev-parse", "--short", "HEAD"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned()).unwrap_or_default()
}

/// What it was measured on.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|it| it.strip_prefix("model name")).unwrap_or("unknown");
    let cores = text.lines().filter(|it| it.starts_with("processor")).count();
    format!("{cores} × {}", model.trim_start_matches(['\t', ' ', ':']))
}

//! `RESULTS.md`: one section for each part, which the part replaces, and the line that says what measured it.

use std::process::Command;

const FILE: &str = "loadtest/RESULTS.md";

/// Replaces the section with this heading, or appends it.
pub fn replace_section(heading: &str, section: &str) {
    let text = std::fs::read_to_string(FILE).unwrap();
    let (before, old) = text.split_once(&format!("{heading}\n")).unwrap_or((&text, ""));
    let after = old.find("\n## ").map_or("", |place| &old[place + 1..]);
    let parts = [before.trim_end(), section.trim_end(), after.trim_end()];
    std::fs::write(FILE, parts.join("\n\n").trim().to_owned() + "\n").unwrap();
}

/// The command, the machine and the commit, as each section begins.
pub fn provenance(command: &str) -> String {
    format!("Written by `{command}`; machine: {}, shared; commit {}.", machine(), commit())
}

pub fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Cores and processor.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    format!("{cores} × {}", model.trim_start_matches(['\t', ' ', ':']))
}

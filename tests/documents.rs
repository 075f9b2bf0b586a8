//! The documents agree with the tree: links lead somewhere, and requirements name code and tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::{files, has_test, paths};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file that is ours, with its text.
fn documents() -> Vec<(PathBuf, String)> {
    let folders = ["docs", "lua", "migrations", "clients/typescript", "loadtest", "fuzz"];
    let nested = folders.iter().flat_map(|folder| paths(folder, "md"));
    let top = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path());
    let top = top.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let ours = nested.chain(top).filter(|path| !path.iter().any(|part| part == "node_modules"));
    ours.map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// What stands between backticks in a cell.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for (path, text) in documents() {
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: there is no {link}", path.display());
            if !heading.is_empty() && target.extension().is_some_and(|ending| ending == "md") {
                let found = anchors(&fs::read_to_string(&target).unwrap()).contains(heading);
                assert!(found, "{}: there is no heading {link}", path.display());
            }
        }
    }
}

#[test]
fn every_requirement_has_its_code_and_its_test() {
    let sources: Vec<(PathBuf, String)> =
        files("tests", "rs").into_iter().chain(files("src", "rs")).collect();
    let mut requirements = 0;
    for (path, text) in files("docs/spec", "md") {
        for row in text.lines().filter(|line| line.starts_with("| ") && line.contains("::")) {
            let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
            let [.., code, tests] = cells.as_slice() else { panic!("{}: {row}", path.display()) };
            let code: Vec<&str> = quoted(code).filter(|name| name.contains('/')).collect();
            assert!(!code.is_empty(), "{}: no code: {row}", path.display());
            for name in code {
                assert!(root().join(name).exists(), "{}: there is no {name}", path.display());
            }
            for name in quoted(tests).filter(|name| name.contains("::")) {
                assert!(has_test(&sources, name), "{}: there is no test {name}", path.display());
            }
            requirements += 1;
        }
    }
    assert!(requirements >= 40);
}

/// The map names folders and files that exist.
#[test]
fn the_architecture_names_paths_that_exist() {
    for name in quoted(include_str!("../ARCHITECTURE.md")) {
        let folders = ["src/", "lua/", "tests/", "migrations/", "examples/", "deploy/", "clients/"];
        if folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ') {
            assert!(root().join(name).exists(), "there is no {name}");
        }
    }
}

/// The glossary has a word of the field for each of these.
#[test]
fn no_document_uses_retired_words() {
    let retired = [
        "door",
        "doors",
        "the ten",
        "whoever",
        "set aside",
        "set-aside",
        "deeds",
        "seat",
        "seats",
        "is told",
        "are told",
        "the lead",
        "glance",
        "lately",
        "outside users",
        "signs of cheating",
        "the rooms",
    ];
    let of_others = ["lua/", "migrations/", "clients/", "fuzz/"].map(|folder| root().join(folder));
    for (path, text) in documents() {
        if of_others.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        let words = text.to_lowercase().replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', " ");
        let words = format!(" {} ", words.split_whitespace().collect::<Vec<_>>().join(" "));
        for word in retired {
            assert!(!words.contains(&format!(" {word} ")), "{}: {word}", path.display());
        }
    }
}

//! The documents agree with the tree: links lead somewhere, and requirements name code and tests that exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use laurel::action::Catalogue;
use laurel::board::Boards;

use crate::tidy::{files, has_test, paths};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the project, with its text.
pub fn documents() -> Vec<(PathBuf, String)> {
    let folders = ["docs", "lua", "migrations", "clients/typescript", "loadtest", "fuzz"];
    let nested = folders.iter().flat_map(|folder| paths(folder, "md"));
    let top = fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path());
    let top = top.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    nested.chain(top).map(|path| (path.clone(), fs::read_to_string(&path).unwrap())).collect()
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let text = heading
        .to_lowercase()
        .chars()
        .filter(|character| character.is_alphanumeric() || " -_".contains(*character))
        .collect::<String>();
    text.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// The texts between backticks in a cell.
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
            assert!(target.exists(), "{}: {link} does not exist", path.display());
            if !heading.is_empty() && target.extension().is_some_and(|ending| ending == "md") {
                let exists = anchors(&fs::read_to_string(&target).unwrap()).contains(heading);
                assert!(exists, "{}: the heading {link} does not exist", path.display());
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
            assert!(!code.is_empty(), "{}: no code in: {row}", path.display());
            for name in code {
                assert!(root().join(name).exists(), "{}: {name} does not exist", path.display());
            }
            for name in quoted(tests).filter(|name| name.contains("::")) {
                assert!(has_test(&sources, name), "{}: the test {name} does not exist", path.display());
            }
            requirements += 1;
        }
    }
    assert!(requirements >= 40);
}

#[test]
fn the_architecture_names_paths_that_exist() {
    for name in quoted(include_str!("../ARCHITECTURE.md")) {
        let folders = ["src/", "lua/", "tests/", "migrations/", "examples/", "deploy/", "clients/"];
        if folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(' ') {
            assert!(root().join(name).exists(), "{name} does not exist");
        }
    }
}

#[test]
fn the_recipes_for_boards_are_valid() {
    let catalogue = Catalogue::load("").unwrap();
    let types: Vec<&str> = catalogue.all().iter().map(|action| action.kind.as_str()).collect();
    let text = include_str!("../docs/boards.md");
    let recipes = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let boards: Vec<usize> =
        recipes.map(|recipe| Boards::parse(recipe, &types).unwrap().all().len()).collect();
    assert_eq!(boards, [2; 5], "global and one board each");
}

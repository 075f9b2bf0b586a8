//! The layers of `src/`: which module depends on which, and on which crates, as the table in ARCHITECTURE.md has it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::tidy::files;

/// Names of modules or crates.
type Names = BTreeSet<String>;

/// Crates that only the modules named in the table may use. Other crates are free.
const WATCHED: [&str; 6] = ["axum", "jsonwebtoken", "opentelemetry", "redis", "reqwest", "sqlx"];

#[test]
fn modules_depend_on_each_other_as_the_table_says() {
    let (table, code) = (table(), code());
    let modules = |rows: &BTreeMap<String, (Names, Names)>| rows.keys().cloned().collect::<Vec<_>>();
    assert_eq!(modules(&table), modules(&code), "ARCHITECTURE.md, Layers: one row for each module of src/");
    for (module, (uses, crates)) in &code {
        let (may_use, may_use_crates) = &table[module];
        assert_eq!(uses, may_use, "ARCHITECTURE.md, Layers, {module}: left the code, right the table");
        assert_eq!(crates, may_use_crates, "ARCHITECTURE.md, Layers, crates of {module}: left the code");
    }
}

#[test]
fn no_module_depends_on_itself_through_others() {
    let mut left: BTreeMap<String, Names> =
        code().into_iter().map(|(name, (uses, _))| (name, uses)).collect();
    while !left.is_empty() {
        let free: Names =
            left.iter().filter(|(_, uses)| uses.is_empty()).map(|(name, _)| name.clone()).collect();
        assert!(
            !free.is_empty(),
            "these modules depend on each other in a cycle, or on one that does: {left:?}"
        );
        left.retain(|name, _| !free.contains(name));
        left.values_mut().for_each(|uses| uses.retain(|name| !free.contains(name)));
    }
}

#[test]
fn one_module_reads_the_clock_and_two_the_environment() {
    for (module, text) in sources() {
        assert!(module == "clock" || !text.contains("SystemTime::now"), "{module} reads the system's clock");
        let may_read = ["cli", "embedded"].contains(&module.as_str());
        assert!(may_read || !text.contains("std::env::"), "{module} reads the environment");
    }
}

#[test]
fn imports_are_read_in_every_form() {
    let text = "use crate::clock::Clock;\nuse crate::{db, error::{Fault, Refusal}, live as screen};
        fn f() { crate::ledger::check(); }\nuse sqlx::{PgPool};\n deadpool_redis::Pool; #[sqlx(rename)]";
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Names>();
    assert_eq!(modules_of(text), names(&["clock", "db", "error", "ledger", "live"]));
    assert_eq!(crates_of(text), names(&["sqlx"]));
}

/// The table of ARCHITECTURE.md: of each module, the modules and the watched crates that it may use.
fn table() -> BTreeMap<String, (Names, Names)> {
    let text = include_str!("../ARCHITECTURE.md");
    let section =
        text.split("\n## Layers\n").nth(1).expect("a section Layers").split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Names>();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [module, uses, crates] = cells[..] else { panic!("three cells: {row}") };
        (quoted(module).pop_first().unwrap(), (quoted(uses), quoted(crates)))
    })
    .collect()
}

/// What the code does.
fn code() -> BTreeMap<String, (Names, Names)> {
    let mut modules: BTreeMap<String, (Names, Names)> = BTreeMap::new();
    for (module, text) in sources() {
        let mut uses = modules_of(&text);
        uses.remove(&module);
        let (known, crates) = modules.entry(module).or_default();
        known.extend(uses);
        crates.extend(crates_of(&text));
    }
    modules
}

/// Every file of a module of `src/`, without comments and tests, under the module's name.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (path, text) in files("src", "rs") {
        let relative = path.strip_prefix(&src).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&module.as_str()) || relative.ends_with("tests.rs") {
            continue;
        }
        let code: String = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
        found.push((module, code));
    }
    assert!(fs::read_dir(&src).unwrap().count() > 20);
    found
}

/// The names after each `crate::`, also in a list.
fn modules_of(text: &str) -> Names {
    let mut names = Names::new();
    for rest in text.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(word(rest).to_owned());
            continue;
        };
        let mut depth = 1;
        let mut is_first = true;
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => is_first = true,
                _ if is_first && depth == 1 && !character.is_whitespace() => {
                    names.insert(word(&list[at..]).to_owned());
                    is_first = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names
}

fn crates_of(text: &str) -> Names {
    let is_used = |name: &str| {
        text.match_indices(&format!("{name}::"))
            .any(|(at, _)| !text[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':'))
    };
    // `opentelemetry_sdk` and its like count as the crate that they belong to.
    let is_family = |name: &str| name == "opentelemetry" && text.contains("opentelemetry_");
    WATCHED.into_iter().filter(|name| is_used(name) || is_family(name)).map(str::to_owned).collect()
}

fn word(text: &str) -> &str {
    text.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap()
}

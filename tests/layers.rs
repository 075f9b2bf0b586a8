//! The modules of `src/` depend on each other and on crates as the table "Layers" in ARCHITECTURE.md says, without a cycle.

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
fn no_modules_depend_on_each_other_in_a_cycle() {
    let mut left: BTreeMap<String, Names> =
        code().into_iter().map(|(name, (uses, _))| (name, uses)).collect();
    while !left.is_empty() {
        let free: Names =
            left.iter().filter(|(_, uses)| uses.is_empty()).map(|(name, _)| name.clone()).collect();
        assert!(!free.is_empty(), "a cycle, or modules that depend on one: {left:?}");
        left.retain(|name, _| !free.contains(name));
        left.values_mut().for_each(|uses| uses.retain(|name| !free.contains(name)));
    }
}

#[test]
fn one_module_reads_the_clock_and_two_the_environment() {
    for (module, text) in sources() {
        assert!(module == "clock" || !text.contains("SystemTime::now"), "{module} reads the system clock");
        let may_read = ["cli", "embedded"].contains(&module.as_str());
        assert!(may_read || !text.contains("std::env::"), "{module} reads the environment");
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::clock::Clock;\nuse crate::{db, error::{Fault, Refusal}, live as events};
        fn f() { crate::ledger::check(); }\nuse sqlx::{PgPool};\n deadpool_redis::Pool; #[sqlx(rename)]";
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Names>();
    assert_eq!(modules_of(text), names(&["clock", "db", "error", "ledger", "live"]));
    assert_eq!(crates_of(text), names(&["sqlx"]));
}

/// The table of ARCHITECTURE.md: of each module, the modules and the watched crates that it may use.
fn table() -> BTreeMap<String, (Names, Names)> {
    let text = include_str!("../ARCHITECTURE.md");
    let section = text
        .split("\n## Layers\n")
        .nth(1)
        .expect("ARCHITECTURE.md has a section Layers")
        .split("\n## ")
        .next()
        .unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Names>();
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [module, uses, crates] = cells[..] else { panic!("a row needs three cells: {row}") };
        (quoted(module).pop_first().unwrap(), (quoted(uses), quoted(crates)))
    })
    .collect()
}

/// The dependencies in the code: of each module, the modules and the watched crates that it uses.
fn code() -> BTreeMap<String, (Names, Names)> {
    let mut modules: BTreeMap<String, (Names, Names)> = BTreeMap::new();
    for (module, text) in sources() {
        let mut uses = modules_of(&text);
        uses.remove(&module);
        let (used_modules, used_crates) = modules.entry(module).or_default();
        used_modules.extend(uses);
        used_crates.extend(crates_of(&text));
    }
    modules
}

/// The name of the module and the text of each file in `src/`, without comments and tests.
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

/// The names after each `crate::`, in a list too.
fn modules_of(text: &str) -> Names {
    let mut names = Names::new();
    for rest in text.split("crate::").skip(1) {
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(identifier(rest).to_owned());
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
                    names.insert(identifier(&list[at..]).to_owned());
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
        text.match_indices(&format!("{name}::")).any(|(at, _)| {
            !text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
        })
    };
    // `opentelemetry_sdk` counts as `opentelemetry`.
    let is_in_family = |name: &str| name == "opentelemetry" && text.contains("opentelemetry_");
    WATCHED.into_iter().filter(|name| is_used(name) || is_in_family(name)).map(str::to_owned).collect()
}

/// The identifier at the start of a text.
fn identifier(text: &str) -> &str {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').next().unwrap()
}

//! The house stays tidy: what the architecture says is checked against the files.

use std::fs;
use std::path::{Path, PathBuf};

use laurel::store::internals::{DECLARATIONS, Declaration};

pub fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(&path).unwrap());
    paths(folder, ending).into_iter().map(read).collect()
}

pub fn paths(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn no_file_is_a_wall() {
    let ours = ["src", "tests", "loadtest", "examples", "benches", "fuzz/drivers"].map(|it| (it, "rs"));
    let pages = ["live", "admin", "docs", "common"].map(|it| format!("src/web/{it}"));
    let scripts = pages.iter().flat_map(|it| [(it.as_str(), "js"), (it.as_str(), "css")]);
    for (folder, ending) in ours.into_iter().chain(scripts).chain([("clients/typescript/src", "ts")]) {
        for (path, text) in files(folder, ending) {
            assert!(text.lines().count() <= 500, "{} is long", path.display());
        }
    }
}

#[test]
fn every_module_says_what_it_is() {
    for (path, text) in files("src", "rs") {
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
    }
}

#[test]
fn every_script_has_its_header_its_function_and_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let files_of_scripts = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let scripts = files_of_scripts.filter(|path| path.extension().is_some_and(|ending| ending == "lua"));
    assert_eq!(scripts.count(), DECLARATIONS.len(), "each script is declared");
    let functions: String = files("src/store", "rs").into_iter().map(|(_, text)| text).collect();
    let tests: String = files("tests/scripts", "rs").into_iter().map(|(_, text)| text).collect();
    let readme = include_str!("../lua/README.md");
    for declaration in DECLARATIONS {
        let name = declaration.name;
        let header: Vec<&str> =
            declaration.body.lines().map_while(|line| line.strip_prefix("--")).map(str::trim).collect();
        assert!(
            header.iter().any(|line| line.starts_with("Reply ")),
            "{name}.lua does not describe its reply"
        );
        let needs = header.iter().find_map(|line| line.strip_prefix("Needs ")).unwrap_or_default();
        let libs: Vec<String> = declaration.libs.iter().map(|lib| format!("lib/{lib}")).collect();
        assert_eq!(needs.trim_end_matches('.'), libs.join(", "), "{name}.lua needs other parts");
        assert_eq!(inputs(&header), declared_inputs(declaration), "{name}.lua describes other inputs");
        assert!(functions.contains(&format!("async fn {name}(")), "{name}.lua has no function of its name");
        // Some are called by other functions of the store only.
        let tested = [format!(".{name}("), format!("`lua/{name}.lua`")].iter().any(|it| tests.contains(it));
        assert!(tested, "{name}.lua has no test");
        assert!(readme.contains(&format!("| `{name}` |")), "lua/README.md does not name {name}");
    }
}

/// The names that a script's header describes: keys, then arguments, in order.
fn inputs(header: &[&str]) -> Vec<String> {
    let inputs = header
        .iter()
        .skip_while(|line| !line.starts_with("Keys "))
        .take_while(|line| !line.starts_with("Reply "));
    // A name and its description are two spaces apart.
    let names = inputs.filter_map(|line| {
        let line = line.strip_prefix("Keys ").or(line.strip_prefix("Arguments ")).unwrap_or(line);
        line.trim().split_once("  ").map(|(name, _)| name.to_owned())
    });
    names.collect()
}

fn declared_inputs(declaration: &Declaration) -> Vec<String> {
    let Declaration { keys, more_keys, arguments, optional, more_arguments, .. } = declaration;
    let arguments = arguments.iter().chain(*optional).map(|argument| argument.name);
    let keys = keys.iter().chain(*more_keys).copied();
    keys.chain(arguments).chain(more_arguments.iter().copied()).map(str::to_owned).collect()
}

#[test]
fn every_key_is_in_the_table() {
    let readme = include_str!("../lua/README.md");
    let keys = include_str!("../src/store/keys.rs");
    for quoted in keys.split('"').skip(1).step_by(2).filter(|it| it.contains(':') && !it.ends_with('*')) {
        // The endings of a board's keys.
        let name =
            if quoted.starts_with(':') { format!("leaderboard:global{quoted}") } else { quoted.to_owned() };
        let prefix = name.split('{').next().unwrap();
        assert!(readme.contains(&format!("| `{prefix}")), "lua/README.md does not name {quoted}");
    }
}

#[test]
fn nothing_is_left_undone() {
    let marks = ["todo!", "unimplemented!", "FIXME", "XXX", "#[ignore"];
    for (path, text) in files("src", "rs") {
        for mark in marks {
            assert!(!text.contains(mark), "{} has a {mark}", path.display());
        }
    }
}

/// Each threat names a test, and each test that is named is there.
#[test]
fn every_threat_has_its_test() {
    let threats = include_str!("../docs/threats.md");
    let rows: Vec<&str> =
        threats.lines().filter(|it| it.starts_with("| ") && it.as_bytes()[2].is_ascii_digit()).collect();
    assert!(rows.len() >= 30);
    let sources: Vec<(PathBuf, String)> =
        files("tests", "rs").into_iter().chain(files("src", "rs")).collect();
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for path in named {
            assert!(has_test(&sources, path), "{path} is named in docs/threats.md, but is not there");
        }
    }
}

/// True if the sources have the test `module::function`.
pub fn has_test(sources: &[(PathBuf, String)], test: &str) -> bool {
    let (module, function) = test.rsplit_once("::").unwrap();
    let file = module.trim_end_matches("::tests").replace("::", "/");
    sources.iter().any(|(source, text)| {
        let source = source.with_extension("");
        (source.ends_with(&file) || source.ends_with(format!("{file}/mod")))
            && text.contains(&format!("fn {function}("))
    })
}

/// What lies in the pages' folders is compiled in.
#[test]
fn every_file_of_a_page_is_in_the_table() {
    let table = include_str!("../src/web/files.rs");
    for ending in ["html", "css", "js", "svg", "woff2"] {
        for path in paths("src/web", ending) {
            let path = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web")).unwrap().display();
            assert!(table.contains(&format!("\"{path}\"")), "src/web/files.rs does not name {path}");
        }
    }
}

/// `in` finds names that every object has, such as `constructor`: what comes from outside is asked for by `Object.hasOwn`.
#[test]
fn no_page_asks_an_object_with_in() {
    let pages = ["live", "admin", "docs", "common"].map(|it| (format!("src/web/{it}"), "js"));
    for (folder, ending) in pages.into_iter().chain([("clients/typescript/src".to_owned(), "ts")]) {
        for (path, text) in files(&folder, ending) {
            for line in text.lines().filter(|it| !it.trim_start().starts_with(['/', '*'])) {
                let code = without_texts(line.split(" // ").next().unwrap());
                // What follows in a regular expression is no name.
                let named = |it: &str| it.starts_with(|it: char| it.is_alphabetic() || it == '#');
                let asks = code.split(" in ").skip(1).any(named) && !code.contains("for (");
                assert!(!asks, "{}: use Object.hasOwn: {line}", path.display());
            }
        }
    }
}

/// A line of JavaScript without what is between quotes.
fn without_texts(line: &str) -> String {
    let mut quote = None;
    line.chars()
        .filter(|it| match quote {
            Some(open) => {
                if *it == open {
                    quote = None;
                }
                false
            }
            None => {
                quote = Some(*it).filter(|it| ['\'', '"', '`'].contains(it));
                quote.is_none()
            }
        })
        .collect()
}

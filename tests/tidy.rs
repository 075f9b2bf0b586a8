//! House rules, checked against the files: sizes, headers, scripts and their tables, threats and their tests, and words.

use std::fs;
use std::path::{Path, PathBuf};

use laurel::store::internals::{DECLARATIONS, Declaration};

use crate::documents::documents;

/// The files of a folder and its subfolders with this extension, with their texts.
pub fn files(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| (path.clone(), fs::read_to_string(&path).unwrap());
    paths(folder, extension).into_iter().map(read).collect()
}

/// The paths of the files of a folder and its subfolders with this extension.
pub fn paths(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                // Installed packages are not ours.
                if !["node_modules", "tools"].iter().any(|name| path.ends_with(name)) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn no_file_has_more_than_500_lines() {
    let rust =
        ["src", "tests", "loadtest", "examples", "benches", "fuzz/drivers"].map(|folder| (folder, "rs"));
    let pages = ["live", "admin", "docs", "common"].map(|page| format!("src/web/{page}"));
    let web = pages.iter().flat_map(|folder| [(folder.as_str(), "js"), (folder.as_str(), "css")]);
    for (folder, extension) in rust.into_iter().chain(web).chain([("clients/typescript/src", "ts")]) {
        for (path, text) in files(folder, extension) {
            assert!(text.lines().count() <= 500, "{} has more than 500 lines", path.display());
        }
    }
}

#[test]
fn every_module_has_a_doc_comment() {
    for (path, text) in files("src", "rs") {
        assert!(text.starts_with("//!"), "{} has no doc comment", path.display());
    }
}

#[test]
fn every_script_has_its_header_its_function_and_its_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let files_of_scripts = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let scripts =
        files_of_scripts.filter(|path| path.extension().is_some_and(|extension| extension == "lua"));
    // redeem_list has that of redeem.
    assert_eq!(scripts.count(), DECLARATIONS.len() + 1, "each script has a declaration");
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
        assert_eq!(needs.trim_end_matches('.'), libs.join(", "), "{name}.lua needs other libraries");
        assert_eq!(inputs(&header), declared_inputs(declaration), "{name}.lua describes other inputs");
        assert!(functions.contains(&format!("async fn {name}(")), "{name}.lua has no function of its name");
        // Some scripts are called only by other functions of the store.
        let tested =
            [format!(".{name}("), format!("`lua/{name}.lua`")].iter().any(|mention| tests.contains(mention));
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
    let Declaration {
        shared_keys,
        shared_arguments,
        keys,
        optional_keys,
        more_keys,
        arguments,
        optional,
        more_arguments,
        ..
    } = declaration;
    let arguments = shared_arguments.iter().chain(*arguments).chain(*optional).map(|argument| argument.name);
    let keys = shared_keys.iter().chain(*keys).chain(*optional_keys).chain(*more_keys).copied();
    keys.chain(arguments).chain(more_arguments.iter().copied()).map(str::to_owned).collect()
}

#[test]
fn every_key_is_in_the_table() {
    let readme = include_str!("../lua/README.md");
    let keys = include_str!("../src/store/keys.rs");
    for quoted in keys.split('"').skip(1).step_by(2).filter(|it| it.contains(':') && !it.ends_with('*')) {
        // The suffix of a key of a board.
        let name =
            if quoted.starts_with(':') { format!("leaderboard:global{quoted}") } else { quoted.to_owned() };
        let prefix = name.split('{').next().unwrap();
        assert!(readme.contains(&format!("| `{prefix}")), "lua/README.md does not name {quoted}");
    }
}

#[test]
fn no_source_has_a_todo() {
    let marks = ["todo!", "unimplemented!", "FIXME", "XXX", "#[ignore"];
    for (path, text) in files("src", "rs") {
        for mark in marks {
            assert!(!text.contains(mark), "{} has a {mark}", path.display());
        }
    }
}

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
            assert!(has_test(&sources, path), "docs/threats.md names {path}, which does not exist");
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

/// Every file of a page is compiled in.
#[test]
fn every_file_of_a_page_is_in_the_table() {
    let table = include_str!("../src/web/files.rs");
    for extension in ["html", "css", "js", "svg", "woff2"] {
        for path in paths("src/web", extension) {
            let path = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src/web")).unwrap().display();
            assert!(table.contains(&format!("\"{path}\"")), "src/web/files.rs does not name {path}");
        }
    }
}

/// `in` also finds the names that every object has, such as `constructor`. `Object.hasOwn` does not.
#[test]
fn no_page_tests_keys_with_in() {
    let pages = ["live", "admin", "docs", "common"].map(|page| (format!("src/web/{page}"), "js"));
    for (folder, extension) in pages.into_iter().chain([("clients/typescript/src".to_owned(), "ts")]) {
        for (path, text) in files(&folder, extension) {
            for line in text.lines().filter(|it| !it.trim_start().starts_with(['/', '*'])) {
                let code = without_strings(line.split(" // ").next().unwrap());
                // In a regular expression no name follows.
                let is_name =
                    |rest: &str| rest.starts_with(|first: char| first.is_alphabetic() || first == '#');
                let uses_in = code.split(" in ").skip(1).any(is_name) && !code.contains("for (");
                assert!(!uses_in, "{}: use Object.hasOwn: {line}", path.display());
            }
        }
    }
}

/// A line of JavaScript without its string literals.
fn without_strings(line: &str) -> String {
    let mut quote = None;
    line.chars()
        .filter(|character| match quote {
            Some(open) => {
                if *character == open {
                    quote = None;
                }
                false
            }
            None => {
                quote = Some(*character).filter(|quote| ['\'', '"', '`'].contains(quote));
                quote.is_none()
            }
        })
        .collect()
}

/// Words of Laurel's early versions. docs/glossary.md has the words of the field that replaced them.
const RETIRED_WORDS: [&str; 47] = [
    "anew",
    "are told",
    "asker",
    "boards skipped",
    "deed",
    "deeds",
    "door",
    "doors",
    "drift checked",
    "drift entries",
    "gate refusals",
    "glance",
    "go alone",
    "handshakes at once",
    "handshakes waiting",
    "hash wait ms",
    "hashes at once",
    "heard",
    "heed",
    "heeds",
    "holds against",
    "is told",
    "lately",
    "least ms",
    "ledger lead",
    "min interval ms",
    "most ms",
    "must never know",
    "newcomers",
    "obey",
    "obeys",
    "outside user",
    "outside users",
    "promise breaks",
    "screen lag",
    "seat",
    "seats",
    "set aside",
    "signs of cheating",
    "the lead",
    "the rooms",
    "the ten",
    "token retention days",
    "told",
    "was told",
    "what comes",
    "whoever",
];

/// Retired names of types, functions, modules and constants. As words, most of them are fine.
const RETIRED_NAMES: [&str; 52] = [
    "Among",
    "Asked",
    "Asker",
    "Begun",
    "Denied",
    "Dialect",
    "Door",
    "Elsewhere",
    "Given",
    "Heard",
    "Judged",
    "Lately",
    "Lead",
    "Listener",
    "Newcomer",
    "Said",
    "Seat",
    "Seats",
    "SetAside",
    "Silence",
    "Ticket",
    "ToProve",
    "Told",
    "Unanswered",
    "Visitor",
    "Way",
    "Ways",
    "World",
    "away",
    "door",
    "doors",
    "gate",
    "gather",
    "glance",
    "hear",
    "heed",
    "lay",
    "lead",
    "lift",
    "listen_to",
    "look",
    "mend",
    "moment",
    "obey",
    "outside_users",
    "say",
    "seat",
    "settle",
    "tell",
    "ten",
    "told",
    "wait_until_safe",
];

#[test]
fn no_file_uses_retired_words() {
    let folders = [
        ("src", vec!["rs", "toml"]),
        ("src/web", vec!["html", "css", "js"]),
        ("lua", vec!["lua", "md"]),
        ("migrations", vec!["sql", "md"]),
        ("docs", vec!["md"]),
        ("deploy", vec!["yml", "yaml", "cfg", "conf", "sql", "sh", "json", "mjs"]),
        ("tests", vec!["rs", "mjs"]),
        ("fuzz/drivers", vec!["rs"]),
        ("benches", vec!["rs"]),
        ("examples", vec!["rs"]),
        ("loadtest", vec!["rs"]),
        ("clients/typescript/src", vec!["ts"]),
        ("clients/typescript/test", vec!["mjs"]),
    ];
    let mut texts = documents();
    for (folder, extensions) in &folders {
        texts.extend(extensions.iter().flat_map(|extension| files(folder, extension)));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for (path, text) in &texts {
        let path = path.strip_prefix(root).unwrap();
        // This file has the lists, and vendored files have words of others.
        let is_excepted = path.ends_with("tests/tidy.rs") || path.starts_with("src/web/vendor");
        if is_excepted {
            continue;
        }
        let words = words_of(text);
        let retired = RETIRED_WORDS.iter().filter(|word| words.contains(&format!(" {word} ")));
        let names = declared_names(text).filter(|name| RETIRED_NAMES.contains(name));
        found.extend(retired.copied().chain(names).map(|word| format!("{}: {word}", path.display())));
    }
    assert!(found.is_empty(), "docs/glossary.md has other words for these: {found:#?}");
}

/// The words of a text in lower case, separated by single spaces. The parts of an identifier are words.
fn words_of(text: &str) -> String {
    let mut words = String::from(" ");
    let mut last = ' ';
    for character in text.chars() {
        let is_start = last.is_lowercase() && character.is_uppercase();
        if (is_start || !character.is_alphanumeric()) && !words.ends_with(' ') {
            words.push(' ');
        }
        if character.is_alphanumeric() {
            words.extend(character.to_lowercase());
        }
        last = character;
    }
    words + " "
}

/// The names that a Rust, Lua or JavaScript text declares.
fn declared_names(text: &str) -> impl Iterator<Item = &str> {
    let keywords = ["struct", "enum", "type", "trait", "fn", "mod", "const", "static", "function", "class"];
    let code = text.lines().filter(|line| !line.trim_start().starts_with(['/', '*', '-', '#']));
    code.flat_map(move |line| {
        let mut words = line.split(|character: char| !character.is_alphanumeric() && character != '_');
        let declaration = words.find(|word| keywords.contains(word));
        declaration.and_then(|_| words.next())
    })
}

#[test]
fn retired_words_are_found_in_every_form() {
    let words = words_of("// Whoever is\n//! told: SetAside, set_aside and set-aside\nfn doors()");
    for word in ["whoever", "is told", "set aside and set aside", "doors"] {
        assert!(words.contains(&format!(" {word} ")), "{word} is not found in {words}");
    }
    let names: Vec<&str> = declared_names("pub async fn look(&self)\n// fn no\nstruct Seat;").collect();
    assert_eq!(names, ["look", "Seat"]);
}

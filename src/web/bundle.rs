//! Bundles the scripts and the style sheets of a page into one file each, so that a browser sends two requests instead of dozens.

/// Concatenates style sheets.
pub fn styles(paths: &[&str], read: impl Fn(&str) -> String) -> String {
    paths.iter().map(|path| read(path)).collect()
}

/// Bundles the entry modules and everything that they import into one script. Each module becomes a function that returns its exports. It
/// runs after the modules that it imports, as in a browser.
///
/// # Panics
/// Imports form a cycle, or an `import` or `export` is not on one line or has a form that `line` does not support.
pub fn script(entries: &[&str], read: impl Fn(&str) -> String) -> String {
    let mut bundle = Bundle { read, modules: Vec::new(), script: String::new() };
    for entry in entries {
        bundle.module(entry);
    }
    bundle.script
}

struct Bundle<R> {
    read: R,
    /// Paths of the modules, by number. True once the module is in the script.
    modules: Vec<(String, bool)>,
    script: String,
}

impl<R: Fn(&str) -> String> Bundle<R> {
    /// Adds a module once. Returns its number.
    fn module(&mut self, path: &str) -> usize {
        if let Some(number) = self.modules.iter().position(|module| module.0 == path) {
            assert!(self.modules[number].1, "{path} imports itself");
            return number;
        }
        let number = self.modules.len();
        self.modules.push((path.to_owned(), false));
        let (mut body, mut exports) = (String::new(), Vec::new());
        for line in (self.read)(path).lines() {
            body += &self.line(path, line, &mut exports);
            body.push('\n');
        }
        let exports = exports.join(", ");
        self.script += &format!("const m{number} = (() => {{\n{body}return {{ {exports} }};\n}})();\n");
        self.modules[number].1 = true;
        number
    }

    /// Converts a line of a module: imports become constants, exports are added to `exports`, as fields of an object.
    fn line(&mut self, path: &str, line: &str, exports: &mut Vec<String>) -> String {
        if let Some(import) = line.strip_prefix("import ") {
            let (names, from) = self.names(path, import);
            return format!("const {{ {} }} = m{from};", names.replace(" as ", ": "));
        }
        let Some(export) = line.strip_prefix("export ") else { return line.to_owned() };
        if export == "{};" {
            return String::new();
        }
        if export.starts_with('{') {
            let (names, from) = self.names(path, export);
            assert!(!names.contains(" as "), "{path}: {line}");
            exports.extend(names.split(',').map(|name| format!("{0}: m{from}.{0}", name.trim())));
            return String::new();
        }
        let words = export.strip_prefix("async ").unwrap_or(export).split_once(' ');
        let (kind, name) = words.unwrap_or_else(|| panic!("{path}: {line}"));
        assert!(["function", "class", "const"].contains(&kind), "{path}: {line}");
        let end = name.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(name.len());
        exports.push(name[..end].to_owned());
        export.to_owned()
    }

    /// Parses `{ a, b } from './module.js';` into the names and the module's number.
    fn names(&mut self, path: &str, statement: &str) -> (String, usize) {
        let parts =
            statement.strip_prefix("{ ").and_then(|rest| rest.strip_suffix("';")?.split_once(" } from '"));
        let (names, from) = parts.unwrap_or_else(|| panic!("{path}: {statement}"));
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let from = match (from.strip_prefix("./"), from.strip_prefix("/assets/")) {
            (Some(name), _) => format!("{folder}/{name}"),
            (_, Some(path)) => path.to_owned(),
            _ => panic!("{path}: {statement}"),
        };
        (names.to_owned(), self.module(&from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(files: &'static [(&str, &str)]) -> String {
        let read = |path: &str| files.iter().find(|file| file.0 == path).expect("missing file").1.to_owned();
        script(&[files[0].0], read)
    }

    #[test]
    fn a_module_is_included_once_and_after_its_imports() {
        let text = bundle(&[
            (
                "live/main.js",
                "import { one } from './one.js';\nimport { tab as storage } from '/assets/common/storage.js';\none(storage);",
            ),
            (
                "live/one.js",
                "import { tab } from '/assets/common/storage.js';\nexport function one() {}\nexport { Two } from './two.js';",
            ),
            ("live/two.js", "export class Two {}\nexport {};"),
            (
                "common/storage.js",
                "// import { x } from 'y';\nexport const tab = 1;\nexport async function later() {}",
            ),
        ]);
        let body = [
            "const m2 = (() => {\n// import { x } from 'y';\nconst tab = 1;\nasync function later() {}\nreturn { tab, later };\n})();",
            "const m3 = (() => {\nclass Two {}\n\nreturn { Two };\n})();",
            "const m1 = (() => {\nconst { tab } = m2;\nfunction one() {}\n\nreturn { one, Two: m3.Two };\n})();",
            "const m0 = (() => {\nconst { one } = m1;\nconst { tab: storage } = m2;\none(storage);\nreturn {  };\n})();\n",
        ];
        assert_eq!(text, body.join("\n"));
    }

    #[test]
    fn unsupported_imports_and_exports_panic() {
        let refused: [&'static [(&str, &str)]; 9] = [
            &[("a.js", "import './b.js';"), ("b.js", "")],
            &[("a.js", "import x from './b.js';"), ("b.js", "")],
            &[("a.js", "import {"), ("b.js", "")],
            &[("a.js", "import { x } from 'react';")],
            &[("a.js", "export default 1;")],
            &[("a.js", "export let x = 1;")],
            &[("a.js", "export * from './b.js';"), ("b.js", "")],
            &[("x/a.js", "export { x as y } from './b.js';"), ("x/b.js", "export const x = 1;")],
            &[("x/a.js", "import { b } from './b.js';"), ("x/b.js", "import { a } from './a.js';")],
        ];
        for files in refused {
            assert!(std::panic::catch_unwind(|| bundle(files)).is_err(), "{files:?}");
        }
    }
}

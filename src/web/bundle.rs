//! Bundles: files of a page joined into one, so that a browser asks for one script and one style sheet.

/// The style sheets one after another.
pub fn styles(paths: &[&str], read: impl Fn(&str) -> String) -> String {
    paths.iter().map(|path| read(path)).collect()
}

/// The entries and all modules that they import, as one script. Each module becomes a function that returns its exports, and
/// runs after the modules it imports, as the browser would have it.
///
/// # Panics
/// A module imports in a circle, or has an `import` or `export` that is not on one line or not of a form below.
pub fn script(entries: &[&str], read: impl Fn(&str) -> String) -> String {
    let mut bundle = Bundle { read, modules: Vec::new(), text: String::new() };
    for entry in entries {
        bundle.module(entry);
    }
    bundle.text
}

struct Bundle<R> {
    read: R,
    /// Paths by their number, and whether the module's text is there already.
    modules: Vec<(String, bool)>,
    text: String,
}

impl<R: Fn(&str) -> String> Bundle<R> {
    /// Adds a module unless it is there; returns its number.
    fn module(&mut self, path: &str) -> usize {
        if let Some(number) = self.modules.iter().position(|it| it.0 == path) {
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
        self.text += &format!("const m{number} = (() => {{\n{body}return {{ {exports} }};\n}})();\n");
        self.modules[number].1 = true;
        number
    }

    /// A line of a module without `import` and `export`; what it exports is added, as fields of an object.
    fn line(&mut self, path: &str, line: &str, exports: &mut Vec<String>) -> String {
        if let Some(import) = line.strip_prefix("import ") {
            let (names, from) = self.named(path, import);
            return format!("const {{ {} }} = m{from};", names.replace(" as ", ": "));
        }
        let Some(export) = line.strip_prefix("export ") else { return line.to_owned() };
        if export == "{};" {
            return String::new();
        }
        if export.starts_with('{') {
            let (names, from) = self.named(path, export);
            assert!(!names.contains(" as "), "{path}: {line}");
            exports.extend(names.split(',').map(|name| format!("{0}: m{from}.{0}", name.trim())));
            return String::new();
        }
        let words = export.strip_prefix("async ").unwrap_or(export).split_once(' ');
        let (kind, name) = words.unwrap_or_else(|| panic!("{path}: {line}"));
        assert!(["function", "class", "const"].contains(&kind), "{path}: {line}");
        let end = name.find(|it: char| !it.is_alphanumeric() && it != '_').unwrap_or(name.len());
        exports.push(name[..end].to_owned());
        export.to_owned()
    }

    /// The names in `{ a, b } from './module.js';`, and the module's number.
    fn named(&mut self, path: &str, statement: &str) -> (String, usize) {
        let parts =
            statement.strip_prefix("{ ").and_then(|it| it.strip_suffix("';")?.split_once(" } from '"));
        let (names, from) = parts.unwrap_or_else(|| panic!("{path}: {statement}"));
        let below = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let from = match (from.strip_prefix("./"), from.strip_prefix("/assets/")) {
            (Some(name), _) => format!("{below}/{name}"),
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
        let read = |path: &str| files.iter().find(|it| it.0 == path).expect("it is there").1.to_owned();
        script(&[files[0].0], read)
    }

    #[test]
    fn a_module_comes_once_and_after_what_it_imports() {
        let text = bundle(&[
            (
                "live/main.js",
                "import { one } from './one.js';\nimport { tab as kept } from '/assets/common/kept.js';\none(kept);",
            ),
            (
                "live/one.js",
                "import { tab } from '/assets/common/kept.js';\nexport function one() {}\nexport { Two } from './two.js';",
            ),
            ("live/two.js", "export class Two {}\nexport {};"),
            (
                "common/kept.js",
                "// import { x } from 'y';\nexport const tab = 1;\nexport async function later() {}",
            ),
        ]);
        let body = [
            "const m2 = (() => {\n// import { x } from 'y';\nconst tab = 1;\nasync function later() {}\nreturn { tab, later };\n})();",
            "const m3 = (() => {\nclass Two {}\n\nreturn { Two };\n})();",
            "const m1 = (() => {\nconst { tab } = m2;\nfunction one() {}\n\nreturn { one, Two: m3.Two };\n})();",
            "const m0 = (() => {\nconst { one } = m1;\nconst { tab: kept } = m2;\none(kept);\nreturn {  };\n})();\n",
        ];
        assert_eq!(text, body.join("\n"));
    }

    #[test]
    fn what_cannot_be_joined_is_refused() {
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

//! Merges defaults, file and environment into one table. The defaults are the schema: other settings are unknown, and values must have
//! the type of the default.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::de::DeValue;
use toml::{Spanned, Table, Value};

use super::problem::{did_you_mean, line_of, nearest, one_line, read_toml};
use super::tree::Config;

/// Short environment names with their section and key.
const SHORT: [(&str, &str, &str); 7] = [
    ("HOST", "server", "host"),
    ("PORT", "server", "port"),
    ("REDIS_URL", "redis", "url"),
    ("DATABASE_URL", "postgres", "url"),
    ("JWT_SECRET", "auth", "jwt_secret"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces", "endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "traces", "protocol"),
];

/// The meaning of an environment variable's name.
enum VariableName {
    /// A setting's section and key. The key may end in `_file`.
    Setting(String, String),
    /// It starts with `LAUREL_`, but is not a setting.
    Unknown,
    /// It belongs to another program.
    Foreign,
}

fn parse_name(name: &str) -> VariableName {
    let (plain, file) = match name.strip_suffix("_FILE") {
        Some(plain) => (plain, "_file"),
        None => (name, ""),
    };
    if let Some((_, section, key)) = SHORT.iter().find(|(short, ..)| *short == plain) {
        return VariableName::Setting((*section).to_owned(), format!("{key}{file}"));
    }
    match name.strip_prefix("LAUREL_").map(|it| it.split_once("__")) {
        Some(Some((section, key))) => VariableName::Setting(section.to_lowercase(), key.to_lowercase()),
        Some(None) => VariableName::Unknown,
        None => VariableName::Foreign,
    }
}

/// Reads a file with one value, such as a mounted secret. The newline at the end is not part of it.
fn read_value_file(path: &OsStr) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let path = Path::new(path).display();
    let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    // An empty secret would count as unset and silently start a private store or use a weaker key.
    if text.is_empty() { Err(format!("{path} is empty")) } else { Ok(text.to_owned()) }
}

/// The merged settings.
pub struct Merged {
    table: Table,
    /// Sources of the values that are not defaults, by `section.key`.
    sources: BTreeMap<String, String>,
}

impl Merged {
    /// Starts with the defaults.
    pub fn defaults() -> Self {
        let table = super::DEFAULTS.parse().expect("a test parses defaults.toml");
        Self { table, sources: BTreeMap::new() }
    }

    /// Merges a TOML file.
    pub fn take_file(&mut self, path: &Path, problems: &mut Vec<String>) {
        match std::fs::read_to_string(path) {
            Err(error) => problems.push(format!("LAUREL_CONFIG: cannot read {}: {error}", path.display())),
            Ok(text) => self.take_text(path, &text, problems),
        }
    }

    /// Merges the text of a TOML file.
    pub fn take_text(&mut self, path: &Path, text: &str, problems: &mut Vec<String>) {
        let path = path.display();
        let table = match read_toml(text) {
            Err(found) => return problems.extend(found.iter().map(|problem| format!("{path} {problem}"))),
            Ok(table) => table,
        };
        let from = |name: &Spanned<_>| format!("{path} line {}", line_of(text, name.span()));
        for (section, settings) in table {
            let from_section = from(&section);
            let section = section.into_inner();
            let DeValue::Table(settings) = settings.into_inner() else {
                let suggestion = self.suggestion("", &section);
                problems.push(format!(
                    "{section}: must be in a section, such as [server] ({from_section}){suggestion}"
                ));
                continue;
            };
            for (key, value) in settings {
                match Value::deserialize(value.into_deserializer()) {
                    Ok(value) => self.put(&section, key.get_ref(), value, &from(&key), problems),
                    Err(error) => {
                        problems.push(format!("{section}.{key}: {}", one_line(&error), key = key.get_ref()))
                    }
                }
            }
        }
    }

    /// Merges environment variables. Empty ones count as unset.
    pub fn take_environment(&mut self, environment: &[(OsString, OsString)], problems: &mut Vec<String>) {
        let mut taken: Vec<(String, String, bool)> = Vec::new();
        for (name, text) in
            environment.iter().filter(|(name, text)| name != "LAUREL_CONFIG" && !text.is_empty())
        {
            // No setting has a name that is not UTF-8, so a lossy name is reported as unknown.
            let name = name.to_string_lossy();
            let (section, key) = match parse_name(&name) {
                VariableName::Setting(section, key) => (section, key),
                VariableName::Unknown => {
                    let suggestion = did_you_mean(name.trim_start_matches("LAUREL_"), SHORT.map(|it| it.0));
                    problems
                        .push(format!("{name}: no such setting; use LAUREL_<SECTION>__<KEY>{suggestion}"));
                    continue;
                }
                VariableName::Foreign => continue,
            };
            let (key, from_file) = match key.strip_suffix("_file") {
                // Settings whose own name ends in `_file` are paths and not read here.
                Some(plain) if self.get(&section, &key).is_none() => (plain.to_owned(), true),
                _ => (key, false),
            };
            let is_duplicate = |it: &(_, _, bool)| (&it.0, &it.1) == (&section, &key) && (it.2 || from_file);
            if taken.iter().any(is_duplicate) {
                problems.push(format!("{section}.{key}: set twice, as a value and as a file; remove one"));
                continue;
            }
            let plain = || text.to_str().map(str::to_owned).ok_or_else(|| "must be UTF-8".to_owned());
            let text = if from_file { read_value_file(text) } else { plain() };
            match text.and_then(|text| self.parse_like(&section, &key, &text)) {
                Ok(value) => self.put(&section, &key, value, &name, problems),
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
            taken.push((section, key, from_file));
        }
    }

    /// Appends the source of the setting to each problem that starts with a setting's name.
    pub fn add_sources(&self, problems: &mut [String]) {
        for problem in problems {
            if let Some(source) = problem.split_once(':').and_then(|(name, _)| self.sources.get(name)) {
                *problem = format!("{problem} ({source})");
            }
        }
    }

    /// The typed tree, if every value has the right type and range.
    pub fn typed(&self, problems: &mut Vec<String>) -> Option<Config> {
        match self.table.clone().try_into() {
            Ok(config) => Some(config),
            Err(error) => {
                problems.push(one_line(&error));
                None
            }
        }
    }

    fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.table.get(section).and_then(|it| it.get(key))
    }

    fn put(&mut self, section: &str, key: &str, value: Value, from: &str, problems: &mut Vec<String>) {
        let default = self.get(section, key);
        // A whole number is accepted for a float, and a string for a list with one entry.
        let value = match (default, &value) {
            (Some(Value::Float(_)), Value::Integer(whole)) => Value::Float(*whole as f64),
            (Some(Value::Array(_)), Value::String(_)) => Value::Array(vec![value]),
            _ => value,
        };
        match self.table.get_mut(section).and_then(|it| it.get_mut(key)) {
            None => {
                let suggestion = self.suggestion(section, key);
                problems.push(format!("{section}.{key}: no such setting ({from}){suggestion}"));
            }
            Some(slot) if !slot.same_type(&value) => problems.push(format!(
                "{section}.{key}: must be of type {}, not {} ({from})",
                slot.type_str(),
                value.type_str()
            )),
            Some(Value::Integer(_))
                if value.as_integer().is_some_and(|number| !(0..=i64::from(u32::MAX)).contains(&number)) =>
            {
                problems.push(format!("{section}.{key}: must be between 0 and {} ({from})", u32::MAX));
            }
            Some(Value::Array(_))
                if value.as_array().is_some_and(|list| list.iter().any(|it| !it.is_str())) =>
            {
                problems.push(format!("{section}.{key}: must be a list of strings ({from})"));
            }
            Some(slot) => {
                *slot = value;
                self.sources.insert(format!("{section}.{key}"), from.to_owned());
            }
        }
    }

    /// The end of a message that suggests a similar setting: in this section, in a section with a similar name, or with the same key in
    /// any section.
    fn suggestion(&self, section: &str, key: &str) -> String {
        let keys = |section: &str| {
            let section = self.table.get(section).and_then(Value::as_table);
            section.into_iter().flat_map(|it| it.keys().map(String::as_str))
        };
        let sections = || self.table.keys().map(String::as_str);
        let same_section = nearest(key, keys(section)).map(|key| (section, key));
        let similar_section = || {
            let section = nearest(section, sections())?;
            nearest(key, keys(section)).map(|key| (section, key))
        };
        let any_section =
            || sections().find(|section| self.get(section, key).is_some()).map(|section| (section, key));
        let found = same_section.or_else(similar_section).or_else(any_section);
        found.map(|(section, key)| format!("; did you mean {section}.{key}?")).unwrap_or_default()
    }

    /// Parses a variable's text as the type of the default. List entries are separated by commas.
    fn parse_like(&self, section: &str, key: &str, text: &str) -> Result<Value, String> {
        match self.get(section, key) {
            Some(Value::Integer(_)) => text
                .parse()
                .map(Value::Integer)
                .map_err(|_| format!("{section}.{key} must be a whole number in digits")),
            Some(Value::Float(_)) => {
                text.parse().map(Value::Float).map_err(|_| format!("{section}.{key} must be a number"))
            }
            Some(Value::Boolean(_)) => {
                text.parse().map(Value::Boolean).map_err(|_| format!("{section}.{key} must be true or false"))
            }
            Some(Value::Array(_)) => Ok(Value::Array(
                text.split(',').map(|entry| Value::String(entry.trim().to_owned())).collect(),
            )),
            _ => Ok(Value::String(text.to_owned())),
        }
    }
}

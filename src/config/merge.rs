//! Defaults, file and environment into one table. The defaults are the schema: a setting they do not have is unknown, and
//! a value of another type is refused.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::de::DeValue;
use toml::{Spanned, Table, Value};

use super::problem::{did_you_mean, line_of, nearest, one_line, read_toml};
use super::tree::Config;

/// The short names of the contract, section 10, and what they stand for.
const SHORT: [(&str, &str, &str); 7] = [
    ("HOST", "server", "host"),
    ("PORT", "server", "port"),
    ("REDIS_URL", "redis", "url"),
    ("DATABASE_URL", "postgres", "url"),
    ("JWT_SECRET", "auth", "jwt_secret"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces", "endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "traces", "protocol"),
];

/// What the name of an environment variable says.
enum Named {
    /// This section and key; the key may end in `_file`.
    Setting(String, String),
    /// It looks like a setting, but is none.
    Wrong,
    /// It is somebody else's.
    NotOurs,
}

fn setting(name: &str) -> Named {
    let (plain, file) = match name.strip_suffix("_FILE") {
        Some(plain) => (plain, "_file"),
        None => (name, ""),
    };
    if let Some((_, section, key)) = SHORT.iter().find(|(short, ..)| *short == plain) {
        return Named::Setting((*section).to_owned(), format!("{key}{file}"));
    }
    match name.strip_prefix("LAUREL_").map(|it| it.split_once("__")) {
        Some(Some((section, key))) => Named::Setting(section.to_lowercase(), key.to_lowercase()),
        Some(None) => Named::Wrong,
        None => Named::NotOurs,
    }
}

/// What a file with one setting has: secrets are mounted so. The line's end, which editors add, is not part of it.
fn contents(path: &OsStr) -> Result<String, String> {
    let text = std::fs::read_to_string(path);
    let path = Path::new(path).display();
    let text = text.map_err(|error| format!("cannot read {path}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    // An empty secret would quietly stand for none, and with it for a private store or a weaker key.
    if text.is_empty() { Err(format!("{path} is empty")) } else { Ok(text.to_owned()) }
}

/// The settings so far.
pub struct Merged {
    table: Table,
    /// Where those come from that are not the defaults, by `section.key`.
    sources: BTreeMap<String, String>,
}

impl Merged {
    /// What is compiled in.
    pub fn defaults() -> Self {
        let table = super::DEFAULTS.parse().expect("defaults.toml is TOML; a test reads it");
        Self { table, sources: BTreeMap::new() }
    }

    /// Takes a TOML file over what is there.
    pub fn take_file(&mut self, path: &Path, problems: &mut Vec<String>) {
        match std::fs::read_to_string(path) {
            Err(error) => problems.push(format!("LAUREL_CONFIG: cannot read {}: {error}", path.display())),
            Ok(text) => self.take_text(path, &text, problems),
        }
    }

    /// The same for what stands in the file.
    pub fn take_text(&mut self, path: &Path, text: &str, problems: &mut Vec<String>) {
        let path = path.display();
        let table = match read_toml(text) {
            Err(found) => return problems.extend(found.iter().map(|it| format!("{path} {it}"))),
            Ok(table) => table,
        };
        let from = |name: &Spanned<_>| format!("{path} line {}", line_of(text, name.span()));
        for (section, settings) in table {
            let from_section = from(&section);
            let section = section.into_inner();
            let DeValue::Table(settings) = settings.into_inner() else {
                let meant = self.meant("", &section);
                problems.push(format!(
                    "{section}: must stand in a section, such as [server] ({from_section}){meant}"
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

    /// Takes environment variables over what is there. Empty ones count as unset.
    pub fn take_environment(&mut self, environment: &[(OsString, OsString)], problems: &mut Vec<String>) {
        let mut taken: Vec<(String, String, bool)> = Vec::new();
        for (name, text) in
            environment.iter().filter(|(name, text)| name != "LAUREL_CONFIG" && !text.is_empty())
        {
            // No setting has a name that is not UTF-8; one that looks like it is told as it can be shown.
            let name = name.to_string_lossy();
            let (section, key) = match setting(&name) {
                Named::Setting(section, key) => (section, key),
                Named::Wrong => {
                    let meant = did_you_mean(name.trim_start_matches("LAUREL_"), SHORT.map(|it| it.0));
                    problems
                        .push(format!("{name}: unknown; settings are named LAUREL_<SECTION>__<KEY>{meant}"));
                    continue;
                }
                Named::NotOurs => continue,
            };
            let (key, from_file) = match key.strip_suffix("_file") {
                // Some settings are files themselves: those are read by whoever needs them.
                Some(of) if self.get(&section, &key).is_none() => (of.to_owned(), true),
                _ => (key, false),
            };
            let twice = |it: &(_, _, bool)| (&it.0, &it.1) == (&section, &key) && (it.2 || from_file);
            if taken.iter().any(twice) {
                problems.push(format!("{section}.{key}: given as a file and in another way; leave one out"));
                continue;
            }
            let plain = || text.to_str().map(str::to_owned).ok_or_else(|| "must be UTF-8".to_owned());
            let text = if from_file { contents(text) } else { plain() };
            match text.and_then(|text| self.parse_like(&section, &key, &text)) {
                Ok(value) => self.put(&section, &key, value, &name, problems),
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
            taken.push((section, key, from_file));
        }
    }

    /// Adds to problems that begin with a setting's name where it was set.
    pub fn add_sources(&self, problems: &mut [String]) {
        for problem in problems {
            if let Some(source) = problem.split_once(':').and_then(|(name, _)| self.sources.get(name)) {
                *problem = format!("{problem} ({source})");
            }
        }
    }

    /// The typed tree, if every value has its type and range.
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
        let place = self.get(section, key);
        // A fraction may be a whole number too.
        let value = match (place, &value) {
            (Some(Value::Float(_)), Value::Integer(whole)) => Value::Float(*whole as f64),
            // A list of one may be written as what is in it.
            (Some(Value::Array(_)), Value::String(_)) => Value::Array(vec![value]),
            _ => value,
        };
        match self.table.get_mut(section).and_then(|it| it.get_mut(key)) {
            None => {
                let meant = self.meant(section, key);
                problems.push(format!("{section}.{key}: no such setting ({from}){meant}"));
            }
            Some(place) if !place.same_type(&value) => problems.push(format!(
                "{section}.{key}: must be of type {}, not {} ({from})",
                place.type_str(),
                value.type_str()
            )),
            Some(Value::Integer(_))
                if value.as_integer().is_some_and(|it| !(0..=i64::from(u32::MAX)).contains(&it)) =>
            {
                problems.push(format!("{section}.{key}: must be between 0 and {} ({from})", u32::MAX));
            }
            Some(Value::Array(_))
                if value.as_array().is_some_and(|list| list.iter().any(|it| !it.is_str())) =>
            {
                problems.push(format!("{section}.{key}: must be a list of texts ({from})"));
            }
            Some(place) => {
                *place = value;
                self.sources.insert(format!("{section}.{key}"), from.to_owned());
            }
        }
    }

    /// The setting that a name which is none may stand for: one of this section, of a section with such a name, or of any.
    fn meant(&self, section: &str, key: &str) -> String {
        let keys = |section: &str| {
            let section = self.table.get(section).and_then(Value::as_table);
            section.into_iter().flat_map(|it| it.keys().map(String::as_str))
        };
        let sections = || self.table.keys().map(String::as_str);
        let here = nearest(key, keys(section)).map(|key| (section, key));
        let there = || {
            let section = nearest(section, sections())?;
            nearest(key, keys(section)).map(|key| (section, key))
        };
        let anywhere = || sections().find(|it| self.get(it, key).is_some()).map(|section| (section, key));
        let meant = here.or_else(there).or_else(anywhere);
        meant.map(|(section, key)| format!("; did you mean {section}.{key}?")).unwrap_or_default()
    }

    /// Reads a variable's text as the type that the setting has; a list is given with commas.
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
            Some(Value::Array(_)) => {
                Ok(Value::Array(text.split(',').map(|it| Value::String(it.trim().to_owned())).collect()))
            }
            _ => Ok(Value::String(text.to_owned())),
        }
    }
}

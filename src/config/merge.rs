//! Defaults, file and environment into one table. The defaults are the schema: a setting they do not have is unknown, and
//! a value of another type is refused.

use std::path::Path;

use toml::{Table, Value};

use super::tree::Config;

/// The short names of the contract, section 10, and what they stand for.
const SHORT: [(&str, &str, &str); 7] = [
    ("HOST", "server", "host"),
    ("PORT", "server", "port"),
    ("REDIS_URL", "store", "redis_url"),
    ("DATABASE_URL", "database", "url"),
    ("JWT_SECRET", "auth", "jwt_secret"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "traces", "endpoint"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "traces", "protocol"),
];

/// What is wrong with a file or a value in it: the message alone, since the whole error would show the line, and with it perhaps a
/// secret.
pub fn one_line(error: &toml::de::Error) -> String {
    error.message().replace('\n', " ")
}

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
fn contents(path: &str) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    // An empty secret would quietly stand for none, and with it for a private store or a weaker key.
    if text.is_empty() { Err(format!("{path} is empty")) } else { Ok(text.to_owned()) }
}

/// The settings so far.
pub struct Merged(Table);

impl Merged {
    /// What is compiled in.
    pub fn defaults() -> Self {
        Self(super::DEFAULTS.parse().expect("defaults.toml is TOML; a test reads it"))
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
        let table: Table = match text.parse() {
            Err(error) => {
                let problem = one_line(&error);
                return problems.push(format!("LAUREL_CONFIG: {} is not TOML: {problem}", path.display()));
            }
            Ok(table) => table,
        };
        for (section, settings) in table {
            match settings {
                Value::Table(settings) => {
                    for (key, value) in settings {
                        self.put(&section, &key, value, "the file", problems);
                    }
                }
                _ => problems.push(format!("{section}: must be a section, as in [{section}]")),
            }
        }
    }

    /// Takes environment variables over what is there. Empty ones count as unset.
    pub fn take_environment(&mut self, environment: &[(String, String)], problems: &mut Vec<String>) {
        let mut taken: Vec<(String, String, bool)> = Vec::new();
        for (name, text) in
            environment.iter().filter(|(name, text)| name != "LAUREL_CONFIG" && !text.is_empty())
        {
            let (section, key) = match setting(name) {
                Named::Setting(section, key) => (section, key),
                Named::Wrong => {
                    problems.push(format!("{name}: unknown; settings are named LAUREL_<SECTION>__<KEY>"));
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
            let text = if from_file { contents(text) } else { Ok(text.clone()) };
            match text.and_then(|text| self.parse_like(&section, &key, &text)) {
                Ok(value) => self.put(&section, &key, value, name, problems),
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
            taken.push((section, key, from_file));
        }
    }

    /// The typed tree, if every value has its type and range.
    pub fn typed(self, problems: &mut Vec<String>) -> Option<Config> {
        match Value::Table(self.0).try_into() {
            Ok(config) => Some(config),
            Err(error) => {
                problems.push(one_line(&error));
                None
            }
        }
    }

    fn get(&self, section: &str, key: &str) -> Option<&Value> {
        self.0.get(section).and_then(|it| it.get(key))
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
        match self.0.get_mut(section).and_then(|it| it.get_mut(key)) {
            None => problems.push(format!("{section}.{key}: no such setting ({from})")),
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
            Some(place) => *place = value,
        }
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

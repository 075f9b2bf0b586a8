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

/// The settings so far.
pub struct Merged(Table);

impl Merged {
    /// What is compiled in.
    pub fn defaults() -> Self {
        Self(super::DEFAULTS.parse().expect("defaults.toml is TOML; a test reads it"))
    }

    /// Takes a TOML file over what is there.
    pub fn take_file(&mut self, path: &Path, problems: &mut Vec<String>) {
        let table: Table = match std::fs::read_to_string(path) {
            Err(error) => {
                return problems.push(format!("LAUREL_CONFIG: cannot read {}: {error}", path.display()));
            }
            Ok(text) => match text.parse() {
                Err(error) => {
                    return problems.push(format!(
                        "LAUREL_CONFIG: {} is not TOML: {}",
                        path.display(),
                        one_line(&error)
                    ));
                }
                Ok(table) => table,
            },
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
        for (name, text) in
            environment.iter().filter(|(name, text)| name != "LAUREL_CONFIG" && !text.is_empty())
        {
            let short = SHORT.iter().find(|(short, ..)| short == name);
            let (section, key) = match (short, name.strip_prefix("LAUREL_")) {
                (Some((_, section, key)), _) => ((*section).to_owned(), (*key).to_owned()),
                (None, Some(rest)) => match rest.split_once("__") {
                    Some((section, key)) => (section.to_lowercase(), key.to_lowercase()),
                    None => {
                        problems.push(format!("{name}: unknown; settings are named LAUREL_<SECTION>__<KEY>"));
                        continue;
                    }
                },
                (None, None) => continue,
            };
            match self.parse_like(&section, &key, text) {
                Ok(value) => self.put(&section, &key, value, name, problems),
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
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

    fn put(&mut self, section: &str, key: &str, value: Value, from: &str, problems: &mut Vec<String>) {
        let place = self.0.get(section).and_then(|it| it.get(key));
        // A fraction may be a whole number too.
        let value = match (place, &value) {
            (Some(Value::Float(_)), Value::Integer(whole)) => Value::Float(*whole as f64),
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
        match self.0.get(section).and_then(|it| it.get(key)) {
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

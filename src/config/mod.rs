//! The configuration: one typed tree, loaded once. Only `load` reads the environment, and secrets are never printed.

mod check;
pub mod fields;
pub(crate) mod merge;
mod problem;
mod tree;
mod urls;

pub use check::{ANY_ORIGIN, MIN_SECRET_BYTES, networks};
pub use problem::{did_you_mean, line_of, list, one_line, read_toml};
pub use tree::*;
pub use urls::RedisUrl;

use std::ffi::OsString;
use std::path::Path;

use toml::{Table, Value};

/// All problems of the configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", list("the configuration", problems))]
pub struct Problems {
    /// One line each.
    pub problems: Vec<String>,
    /// Log settings for reporting the problems; the default if they cannot be read.
    pub log: Log,
}

/// The commented defaults.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Loads the defaults, the file named by `LAUREL_CONFIG` and the environment; later sources win. A variable whose name ends in `_FILE`
/// names a file that contains the value, for mounted secrets.
///
/// # Errors
/// All problems together: unknown settings, wrong types, invalid values, weak secrets.
pub fn load(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Config, Problems> {
    let environment: Vec<_> = environment.into_iter().collect();
    let file = environment.iter().find(|(name, _)| name == "LAUREL_CONFIG").map(|(_, path)| path);
    let mut problems = Vec::new();
    let mut merged = merge::Merged::defaults();
    if let Some(path) = file.filter(|path| !path.is_empty()) {
        merged.take_file(Path::new(path), &mut problems);
    }
    merged.take_environment(&environment, &mut problems);
    let config = merged.typed(&mut problems);
    if let Some(config) = &config {
        let mut invalid = Vec::new();
        check::check(config, &mut invalid);
        merged.add_sources(&mut invalid);
        problems.extend(invalid);
    }
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        config => {
            let log = config.map_or(Log { format: String::new() }, |it| it.log);
            Err(Problems { problems, log })
        }
    }
}

impl Config {
    /// Settings that differ from the defaults, such as `server.port=3001`. The values of secrets are hidden.
    pub fn changed(&self) -> Vec<String> {
        let defaults: Table = DEFAULTS.parse().unwrap_or_default();
        let ours = Table::try_from(self).unwrap_or_default();
        let sections = ours.iter().filter_map(|(section, settings)| Some((section, settings.as_table()?)));
        let settings =
            sections.flat_map(|(section, settings)| settings.iter().map(move |setting| (section, setting)));
        let default = |section: &str, key: &str| defaults.get(section).and_then(|it: &Value| it.get(key));
        settings
            .filter(|(section, (key, value))| default(section, key) != Some(value))
            .map(|(section, (key, value))| format!("{section}.{key}={value}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
        load(pairs.iter().map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn the_defaults_are_complete_and_valid() {
        let config = with(&[]).unwrap();
        assert_eq!((config.server.port, config.limits.updates_per_minute), (3000, 10));
    }

    #[test]
    fn all_problems_are_reported_together() {
        let error = with(&[
            ("LAUREL_LIMITS__UPDATES_PER_MINUTE", "ten"),
            ("LAUREL_LIMITS__UPDATES_PER_HOUR", "1"),
            ("LAUREL_NOWHERE__KEY", "1"),
            ("LAUREL_PORT", "1"),
            ("PORT", "70000"),
            ("JWT_SECRET", "short"),
            ("LAUREL_REDIS__SHARDS", "0"),
            ("LAUREL_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1, balancer"),
        ])
        .unwrap_err();
        assert_eq!(error.problems.len(), 8, "{error}");
        assert!(!error.to_string().contains("short"), "a secret must not be printed: {error}");
    }

    #[test]
    fn environment_overrides_file_overrides_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laurel.toml");
        std::fs::write(&path, "[server]\nport = 4000\nhost = \"0.0.0.0\"\n[limits]\nnothing = 1\n").unwrap();
        let path = path.to_str().unwrap();
        let error = with(&[("LAUREL_CONFIG", path)]).unwrap_err();
        assert!(error.problems[0].contains("limits.nothing"), "{error}");

        std::fs::write(path, "[server]\nport = 4000\nhost = \"0.0.0.0\"\n").unwrap();
        let config = with(&[("LAUREL_CONFIG", path), ("LAUREL_SERVER__PORT", "5000")]).unwrap();
        assert_eq!((config.server.port, config.server.host.as_str()), (5000, "0.0.0.0"));
    }

    #[test]
    fn trace_settings_are_checked() {
        let good =
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"), ("LAUREL_TRACES__SAMPLE_RATIO", "1")];
        assert_eq!(with(&good).unwrap().traces.sample_ratio, 1.0);
        // A variable for other programs does not stop a node without tracing.
        assert!(with(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_ok());
        let bad = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@localhost:4318"),
            ("LAUREL_TRACES__SAMPLE_RATIO", "1.5"),
            ("LAUREL_TRACES__SAMPLE_RATIO", "NaN"),
            ("LAUREL_TRACES__SAMPLE_RATIO", "some"),
        ];
        for (name, value) in bad {
            let mut settings = good.to_vec();
            settings.retain(|it| it.0 != name);
            settings.push((name, value));
            let error = with(&settings).unwrap_err();
            assert!(error.problems.len() == 1 && error.problems[0].contains("traces."), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_variable_may_name_a_file_with_the_value() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let secret = "correct horse battery staple, thirty-two";
        let (key, port) = (file("key", &format!("{secret}\n")), file("port", "4000"));
        let config =
            with(&[("JWT_SECRET_FILE", &key), ("LAUREL_SERVER__PORT_FILE", &port), ("TLS_KEY_FILE", "x")]);
        let config = config.unwrap();
        assert_eq!((config.auth.jwt_secret.expose(), config.server.port), (secret, 4000));
        // Settings whose value is a path are not read.
        let config = with(&[("LAUREL_AUTH__ISSUERS_FILE", "issuers.toml")]).unwrap();
        assert_eq!(config.auth.issuers_file, "issuers.toml");

        let (weak, empty) = (file("weak", "hunter2"), file("empty", "\n"));
        for (names, part) in [
            (vec![("JWT_SECRET_FILE", weak.as_str())], "auth.jwt_secret: too weak"),
            (vec![("DATABASE_URL_FILE", &empty)], "DATABASE_URL_FILE: "),
            (vec![("REDIS_URL_FILE", "/no/such/file")], "REDIS_URL_FILE: cannot read /no/such/file"),
            (vec![("JWT_SECRET_FILE", &key), ("JWT_SECRET", secret)], "auth.jwt_secret: set twice"),
            (
                vec![("LAUREL_NOWHERE__KEY_FILE", &key)],
                "nowhere.key: no such setting (LAUREL_NOWHERE__KEY_FILE)",
            ),
        ] {
            let error = with(&names).unwrap_err();
            assert!(error.problems.len() == 1 && error.problems[0].contains(part), "{part}: {error}");
            assert!(!error.to_string().contains("hunter2") && !error.to_string().contains(secret), "{error}");
        }
    }

    #[test]
    fn origins_must_be_written_as_browsers_send_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laurel.toml");
        let from_file = |text: &str| {
            std::fs::write(&path, format!("[server]\ncors_origins = {text}\n")).unwrap();
            with(&[("LAUREL_CONFIG", path.to_str().unwrap())]).map(|it| it.server.cors_origins)
        };
        assert_eq!(with(&[]).unwrap().server.cors_origins, ["*"]);
        assert_eq!(from_file("\"*\"").unwrap(), ["*"], "a list of one");
        assert_eq!(from_file("[]").unwrap(), [""; 0]);
        let named = "*,https://game.example, http://localhost:5173,capacitor://localhost,http://[::1]:8080";
        let config = with(&[("LAUREL_SERVER__CORS_ORIGINS", named)]).unwrap();
        assert_eq!(config.server.cors_origins.join(","), named.replace(' ', ""));
        for (wrong, right) in [
            ("https://game.example/", "https://game.example"),
            ("https://game.example/play", "https://game.example"),
            ("https://Game.example", "https://game.example"),
            ("https://game.example:443", "https://game.example"),
            ("http://game.example:80", "http://game.example"),
            ("https://me@game.example", "https://game.example"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://*.game.example", "https://game.example"),
            ("capacitor://localhost/", "capacitor://localhost"),
            ("game.example", "https://game.example"),
            ("null", "https://game.example"),
            ("file://", "https://game.example"),
            ("", "https://game.example"),
        ] {
            let error = from_file(&format!("[\"*\", {wrong:?}]")).unwrap_err();
            let message = format!("{wrong:?} is not an origin as browsers send it; use {right:?}");
            assert!(error.problems.len() == 1 && error.problems[0].contains(&message), "{wrong}: {error}");
        }
    }

    #[test]
    fn changed_settings_are_listed_without_secrets() {
        assert_eq!(with(&[]).unwrap().changed(), [] as [&str; 0]);
        let secret = "correct horse battery staple, thirty-two";
        let config = with(&[
            ("PORT", "3001"),
            ("HOST", "127.0.0.1"),
            ("JWT_SECRET", secret),
            ("LAUREL_AUTH__PREVIOUS_JWT_SECRETS", "correct horse battery staple - older one"),
            ("DATABASE_URL", "postgres://u:hunter2@h/d"),
            ("LAUREL_TRACES__SAMPLE_RATIO", "0.5"),
            ("LAUREL_SERVER__TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
        ]);
        let shown = config.unwrap().changed();
        let wanted = [
            "auth.jwt_secret=\"<hidden>\"",
            "auth.previous_jwt_secrets=[\"<hidden>\"]",
            "postgres.url=\"<hidden>\"",
            "server.port=3001",
            "server.trusted_proxies=[\"10.0.0.0/8\", \"::1\"]",
            "traces.sample_ratio=0.5",
        ];
        assert!(
            shown.len() == wanted.len() && wanted.iter().all(|line| shown.iter().any(|s| s == line)),
            "{shown:?}"
        );
    }

    #[test]
    fn problems_of_a_file_have_a_line_and_a_suggestion() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laurel.toml");
        let text = "# wrong in many ways\nport = 1\n[sever]\nport = 1\n[limits]\nupdates_per_minutes = 1\n\
                    starts_per_hour = \"x\"\nlogins_per_minute = -1\n[server]\nport = 70000\ntrusted_proxies = [1]\n\
                    [live]\nsentinel_password = \"x\"\n[nothing]\nlike = \"this\"\n";
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let problems = with(&[("LAUREL_CONFIG", path)]).unwrap_err().problems;
        let expected = [
            (2, "did you mean server.port?"),
            (4, "did you mean server.port?"),
            (6, "did you mean limits.updates_per_minute?"),
            (7, "limits.starts_per_hour: must be of type integer"),
            (8, "limits.logins_per_minute: must be between"),
            (10, "server.port: must be between"),
            (11, "server.trusted_proxies: must be a list of strings"),
            (13, "did you mean redis.sentinel_password?"),
            (15, "nothing.like: no such setting"),
        ];
        for (line, part) in expected {
            let matches = |it: &&String| it.contains(&format!("{path} line {line})")) && it.contains(part);
            assert_eq!(problems.iter().filter(matches).count(), 1, "{line} {part}: {problems:#?}");
        }
        assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let secret = "correct horse battery staple, thirty-two";
        let config = with(&[("JWT_SECRET", secret), ("DATABASE_URL", "postgres://u:hunter2@h/d")]).unwrap();
        let printed = format!("{config:?}");
        assert!(!printed.contains(secret) && !printed.contains("hunter2"), "{printed}");
    }
}

//! Error messages for invalid settings, files and environment variables.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use serde_json::Value;

use super::{run, text};
use crate::harness::laurel_binary;

/// Settings and the expected lines about them.
type Case<'a> = (Vec<(&'a str, &'a str)>, Vec<&'a str>);

fn serve(settings: &[(&str, &str)]) -> Command {
    let mut command = laurel_binary();
    command.arg("serve").env("PORT", "0").envs(settings.iter().copied());
    command
}

#[tokio::test]
async fn each_problem_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let one = file("one.toml", "[server]\n\nprot = 1\n");
    let two = file("two.toml", "port = 1\n[sever]\nport = 1\n[limits]\nupdates_per_minute = \"1\"\n");
    let broken = file("broken.toml", "[server]\nport = \n[server\n");
    let catalogue = file(
        "actions.toml",
        "[[action]]\ntype = \"a\"\nnumber = 1\npoints = -1\nproof = { kind = \"none\" }\n",
    );
    let bad_catalogue =
        file("bad.toml", "[[action]]\ntype = 1\nnumber = 1\nproof = { kind = \"unknown\" }\n");
    let boards = file("boards.toml", "[[board]]\nid = \"weekly\"\nperiod = \"weeks\"\n");
    let bad_boards =
        file("other.toml", "[[board]]\nid = \"global\"\nactions = [\"watch_add\"]\n[[board]]\ntop = 2\n");
    let store = ("REDIS_URL", "redis://127.0.0.1:1");
    let database = ("DATABASE_URL", "postgres://127.0.0.1:1/x");
    let cases: Vec<Case<'_>> = vec![
        (vec![("JWT_SECRET", "secret")], vec!["auth.jwt_secret: too weak"]),
        (vec![("PORT", "x")], vec!["PORT: server.port must be a whole number"]),
        (vec![("LAUREL_PORT", "1")], vec!["did you mean PORT?"]),
        (
            vec![("LAUREL_SERVER__PROT", "1")],
            vec!["server.prot: no such setting (LAUREL_SERVER__PROT); did you mean server.port?"],
        ),
        (vec![("LAUREL_CONFIG", "/nowhere.toml")], vec!["cannot read /nowhere.toml"]),
        (vec![("LAUREL_CONFIG", &one)], vec!["one.toml line 3); did you mean server.port?"]),
        (
            vec![("LAUREL_CONFIG", &two), ("JWT_SECRET", "secret")],
            vec![
                "two.toml line 1); did you mean server.port?",
                "two.toml line 3); did you mean server.port?",
                "limits.updates_per_minute: must be of type integer, not string",
                "auth.jwt_secret: too weak",
            ],
        ),
        (
            vec![("LAUREL_CONFIG", &broken)],
            vec!["broken.toml line 2: not TOML", "broken.toml line 3: not TOML"],
        ),
        (
            vec![store, database, ("LAUREL_ACTIONS__FILE", &catalogue)],
            vec!["actions.toml line 4: action a: points must be"],
        ),
        (
            vec![store, database, ("LAUREL_ACTIONS__FILE", &bad_catalogue)],
            vec![
                "line 1: action 1: points is missing",
                "line 2: action 1: type must be",
                "line 4: action 1: proof.kind",
            ],
        ),
        (
            vec![store, database, ("LAUREL_BOARDS__FILE", &boards)],
            vec!["boards.toml line 3: board weekly: period must be one of"],
        ),
        (
            vec![store, database, ("LAUREL_BOARDS__FILE", &bad_boards)],
            vec![
                "line 2: board global: id must not be global",
                "line 3: board global: actions: the catalogue has no action watch_add; did you mean watch_ad?",
                "line 4: board 2: id is missing",
                "line 5: board 2: top must be between 3 and 100",
            ],
        ),
        (vec![store, database, ("LAUREL_BOARDS__FILE", "/nowhere.toml")], vec!["cannot read /nowhere.toml"]),
    ];
    for (settings, expected) in cases {
        let mut command = serve(&settings);
        command.current_dir(folder.path()).env("RUST_LOG", "off");
        let output = run(command).await;
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{settings:?}: {stderr}");
        for part in &expected {
            assert!(stderr.lines().any(|line| line.contains(part)), "{settings:?}, {part}: {stderr}");
        }
        let heading = usize::from(expected.len() > 1);
        assert_eq!(stderr.lines().count(), heading + expected.len(), "{settings:?}: {stderr}");
        assert!(stderr.starts_with("laurel: ") && !stderr.contains("(s)"), "{stderr}");

        let mut command = serve(&settings);
        command.current_dir(folder.path()).env("LAUREL_LOG__FORMAT", "json").env("RUST_LOG", "off");
        let stderr = text(&run(command).await.stderr);
        assert_eq!(stderr.lines().count(), 1, "{settings:?}: {stderr}");
        let line: Value = serde_json::from_str(&stderr).unwrap();
        assert_eq!(line["level"], "ERROR", "{stderr}");
        assert!(expected.iter().all(|part| line["message"].as_str().unwrap().contains(part)), "{stderr}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was started");
}

/// A name that is not UTF-8.
fn non_utf8(prefix: &str) -> OsString {
    OsStr::from_bytes(&[prefix.as_bytes(), b"caf\xe9"].concat()).to_owned()
}

#[tokio::test]
async fn only_settings_must_be_utf_8() {
    // Each case has a weak secret too, so that the node stops. It must be the only problem reported.
    for (name, value) in [
        (OsString::from("NOTE"), non_utf8("")),
        (non_utf8("NOTE"), OsString::from("x")),
        (non_utf8(""), non_utf8("")),
        (OsString::from("PWD"), non_utf8("/")),
        (OsString::from("HOMEPORT"), non_utf8("")),
    ] {
        let mut command = serve(&[("JWT_SECRET", "secret")]);
        command.env(&name, value);
        let stderr = text(&run(command).await.stderr);
        assert!(
            stderr.starts_with("laurel: auth.jwt_secret: too weak") && stderr.lines().count() == 1,
            "{name:?}: {stderr}"
        );
    }
    for (name, value, expected) in [
        (OsString::from("PORT"), non_utf8(""), "PORT: must be UTF-8"),
        (OsString::from("JWT_SECRET"), non_utf8("hunter2"), "JWT_SECRET: must be UTF-8"),
        (
            OsString::from("LAUREL_LIMITS__UPDATES_PER_MINUTE"),
            non_utf8("1"),
            "LAUREL_LIMITS__UPDATES_PER_MINUTE: must be UTF-8",
        ),
        (non_utf8("LAUREL_"), OsString::from("1"), "no such setting; use LAUREL_<SECTION>__<KEY>"),
        (non_utf8("LAUREL_SERVER__"), OsString::from("1"), "no such setting"),
        (
            OsString::from("JWT_SECRET_FILE"),
            non_utf8("/nowhere/"),
            "JWT_SECRET_FILE: cannot read /nowhere/caf",
        ),
        (OsString::from("LAUREL_CONFIG"), non_utf8("/nowhere/"), "LAUREL_CONFIG: cannot read /nowhere/caf"),
    ] {
        let mut command = serve(&[]);
        command.env(&name, value);
        let output = run(command).await;
        let stderr = text(&output.stderr);
        assert!(stderr.contains(expected) && stderr.lines().count() == 1, "{name:?}: {stderr}");
        assert!(output.status.code() == Some(1) && !stderr.contains("hunter2"), "{name:?}: {stderr}");
    }
}

#[tokio::test]
async fn files_may_have_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let (config, secret) = (folder.path().join(non_utf8("config")), folder.path().join(non_utf8("secret")));
    fs::write(&config, "[server]\nport = 70000\n").unwrap();
    fs::write(&secret, "weak").unwrap();
    let mut command = serve(&[]);
    command.env_remove("PORT").env("LAUREL_CONFIG", config).env("JWT_SECRET_FILE", secret);
    let stderr = text(&run(command).await.stderr);
    for part in ["server.port: must be between 0 and 65535", "auth.jwt_secret: too weak"] {
        assert!(stderr.contains(part), "{stderr}");
    }
}

//! Embedded stores start with any variables of the shell, in a folder with any name, and with the files of a killed store.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use super::{laurel_in, run, serve, spawn_node, stderr_of, stop};

#[track_caller]
fn assert_verified(mut command: Command, users: &str) {
    let verified = command.output().unwrap();
    let output = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success() && output.contains(users), "{output}{}", stderr_of(&verified));
}

#[test]
fn pg_variables_are_ignored() {
    let variables = [
        ("PGSSLMODE", "require"),
        ("PGSSLROOTCERT", "/nowhere.pem"),
        ("PGOPTIONS", "-c search_path=x -c default_transaction_read_only=on"),
        ("PGPORT", "6543"),
        ("PGHOST", "nowhere.example"),
        ("PGHOSTADDR", "192.0.2.1"),
        ("PGUSER", "mallory"),
        ("PGDATABASE", "other"),
        ("PGPASSWORD", "hunter2"),
        ("PGDATA", "/nowhere"),
        ("PGTZ", "nonsense"),
        ("PGDATESTYLE", "nonsense"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGAPPNAME", "laurel/0"),
    ];
    let folder = tempfile::tempdir().unwrap();
    let command = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = laurel_in(folder.path(), arguments);
        command.envs(variables.iter().copied());
        command
    };
    let (mut node, output) = spawn_node(command(&["serve"], &variables));
    assert!(output.contains("Laurel serves"), "{output}");
    let seeded = command(&["seed", "--users", "7"], &[]).output().unwrap();
    assert!(seeded.status.success(), "{}", stderr_of(&seeded));
    for variable in variables {
        assert_verified(command(&["verify"], &[variable]), "7 users");
    }
    // The printed URLs work with these variables too. PGOPTIONS is excepted: it applies to every URL.
    let line = output.lines().find(|it| it.contains("DATABASE_URL=")).unwrap();
    let url = |name: &str| line.split(name).nth(1).unwrap().split('\'').nth(1).unwrap();
    let mut joined = command(
        &["verify"],
        &variables.map(|variable| if variable.0 == "PGOPTIONS" { ("PGX", "x") } else { variable }),
    );
    joined.env("REDIS_URL", url("REDIS_URL=")).env("DATABASE_URL", url("DATABASE_URL="));
    joined.env("JWT_SECRET", std::fs::read_to_string(folder.path().join("data/jwt_secret")).unwrap().trim());
    assert_verified(joined, "7 users");
    stop(&mut node);
    assert_verified(command(&["verify"], &variables), "7 users");
}

#[test]
fn the_data_folder_may_have_any_name() {
    let outer = tempfile::tempdir().unwrap();
    for name in [&b"caf\xe9"[..], b"\xff\xfe", b"with space", b"a%20b?c#d&e='f", "ünï".as_bytes()] {
        let folder = outer.path().join(OsStr::from_bytes(name));
        std::fs::create_dir(&folder).unwrap();
        let (mut node, output) = serve(&folder);
        assert!(output.contains("Laurel serves"), "{}: {output}", folder.display());
        let seeded = run(&folder, &["seed", "--users", "3"]);
        assert!(seeded.status.success(), "{}: {}", folder.display(), stderr_of(&seeded));
        assert_verified(laurel_in(&folder, &["verify"]), "3 users");
        stop(&mut node);
        assert_verified(laurel_in(&folder, &["verify"]), "3 users");
    }
}

/// Starts a process of the Postgres account that is no Postgres.
fn spawn_unrelated(cluster: &Path, program: &str) -> Child {
    let owner = std::fs::metadata(cluster).unwrap();
    let mut command = Command::new(program);
    if owner.uid() != 0 && std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.arg("1000").current_dir("/").spawn().unwrap()
}

#[test]
fn a_stale_postmaster_pid_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = folder.path().join("data/postgres/cluster");
    let path = cluster.join("postmaster.pid");
    let (mut node, _) = serve(folder.path());
    let running = std::fs::read_to_string(&path).unwrap();
    let rest = running.split_once('\n').unwrap().1.to_owned();
    stop(&mut node);
    let mut alive = spawn_unrelated(&cluster, "sleep");
    // Not reaped until the end of the test.
    let mut zombie = spawn_unrelated(&cluster, "true");
    let unused = i32::MAX.to_string();
    for pid in [alive.id().to_string(), zombie.id().to_string(), unused, "1".to_owned()] {
        std::fs::write(&path, format!("{pid}\n{rest}")).unwrap();
        let (mut node, output) = serve(folder.path());
        assert!(output.contains("Laurel serves"), "pid {pid}: {output}");
        stop(&mut node);
    }
    // A power failure can leave an incomplete file.
    for text in ["", "12"] {
        std::fs::write(&path, text).unwrap();
        let (mut node, output) = serve(folder.path());
        assert!(output.contains("Laurel serves"), "{text:?}: {output}");
        stop(&mut node);
    }
    alive.kill().unwrap();
    alive.wait().unwrap();
    zombie.wait().unwrap();
}

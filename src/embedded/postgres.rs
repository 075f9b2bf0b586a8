//! An embedded `postgres` with its default settings, which are durable.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::child::{Account, Child, Recipe, command};
use super::{DataFolder, StartError, has_listener, url_path};

/// A running embedded Postgres.
#[derive(Debug)]
pub struct Postgres {
    child: Child,
    cluster: PathBuf,
}

/// The URL of the Postgres of a data folder, running or not, for libpq and sqlx. It is complete, so that `PG…` variables change nothing.
pub fn url(root: &Path) -> String {
    format!(
        "postgres:///laurel?host={}&port=5432&user=laurel&sslmode=disable",
        url_path(&root.join("postgres"))
    )
}

/// Whether a process listens on the socket of a data folder's Postgres.
pub async fn listens(root: &Path) -> bool {
    has_listener(&root.join("postgres/.s.PGSQL.5432")).await
}

/// Whether the Postgres of a data folder accepts connections.
pub async fn answers(root: &Path) -> bool {
    ready_pid(&cluster(root)).is_some() && listens(root).await
}

/// Whether a data folder has a cluster, valid or not.
pub fn exists(root: &Path) -> bool {
    cluster(root).exists()
}

fn cluster(root: &Path) -> PathBuf {
    root.join("postgres/cluster")
}

/// The pid in the postmaster's pid file if the file says `ready`, as pg_ctl checks. A killed postmaster leaves the file unchanged.
fn ready_pid(cluster: &Path) -> Option<u32> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let ready = text.lines().last()?.trim() == "ready";
    text.lines().next()?.trim().parse().ok().filter(|_| ready)
}

/// Replaces a stale pid in the pid file. A killed postmaster leaves its pid, which another process or a zombie may have by now, and
/// Postgres would refuse to start. The folder's lock proves that no postmaster of this cluster runs. The new pid is ours, which Postgres
/// ignores because we are its parent. The rest of the file stays: Postgres needs it to find shared memory that is still in use.
fn replace_stale_pid(cluster: &Path, account: Option<Account>) -> io::Result<()> {
    let path = cluster.join("postmaster.pid");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let Some((pid, rest)) = text.split_once('\n') else { return fs::remove_file(path) };
    // The working directory of a postmaster is its cluster.
    let working_dir = fs::canonicalize(format!("/proc/{}/cwd", pid.trim()));
    if working_dir.is_ok_and(|dir| fs::canonicalize(cluster).is_ok_and(|cluster| dir == cluster)) {
        return Ok(());
    }
    let unfinished = cluster.join("postmaster.pid.unfinished");
    fs::write(&unfinished, format!("{}\n{rest}", std::process::id()))?;
    if let Some(Account { uid, gid }) = account {
        std::os::unix::fs::chown(&unfinished, Some(uid), Some(gid))?;
    }
    fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
    fs::rename(unfinished, path)
}

impl Postgres {
    /// Creates the cluster if missing, starts Postgres and waits until it accepts connections. `extra` adds `name=value` settings.
    ///
    /// # Errors
    /// The binaries or the account are missing; the data is damaged, or from another version.
    pub async fn start(folder: &DataFolder, extra: &[&str]) -> Result<Self, StartError> {
        let account = account()?;
        let home = folder.subfolder("postgres", account)?;
        let cluster = cluster(folder.root());
        let binaries = find_binaries(&cluster)?;
        // Under root, Postgres runs as another user, who may lack access to the parent folders. It inherits an open descriptor of the
        // folder and uses it through /proc, which needs no access to them.
        let descriptor = File::open(&home)
            .map_err(|error| StartError(format!("cannot open {}: {error}", home.display())))?;
        let descriptor = Arc::new(descriptor);
        let home_path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
        let recipe = |program: &str, arguments: Vec<String>| Recipe {
            name: "postgres",
            program: binaries.join(program),
            arguments: arguments.into_iter().map(OsString::from).collect(),
            log: folder.root().join("postgres.log"),
            account,
            inherit: vec![folder.lock().clone(), descriptor.clone()],
            stop_signal: libc::SIGINT,
        };
        let cluster_path = format!("{home_path}/cluster");
        if !cluster.exists() {
            create_cluster(&recipe, &home_path, &home).await?;
        } else if !cluster.join("PG_VERSION").exists() {
            return Err(StartError(format!("{} is damaged: it has no PG_VERSION", cluster.display())));
        }
        replace_stale_pid(&cluster, account)
            .map_err(|error| StartError(format!("cannot use {}: {error}", cluster.display())))?;
        let mut arguments = vec!["-D".into(), cluster_path, "-k".into(), home_path.clone()];
        for setting in ["listen_addresses="].iter().chain(extra) {
            arguments.extend(["-c".into(), (*setting).to_owned()]);
        }
        let child = Child::spawn(recipe("postgres", arguments))?;
        let mut postgres = Self { child, cluster };
        postgres.wait_until_ready().await?;
        Ok(postgres)
    }

    /// Waits until Postgres ends, and restarts it.
    pub async fn keep_alive(&mut self) -> Result<(), StartError> {
        self.child.restart_after_exit().await?;
        self.wait_until_ready().await
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.pid()
    }

    /// Stops Postgres (fast shutdown: open transactions are rolled back) and waits for its last checkpoint.
    pub async fn stop(self) {
        self.child.stop().await;
    }

    async fn wait_until_ready(&mut self) -> Result<(), StartError> {
        loop {
            let ready = ready_pid(&self.cluster);
            if ready.is_some() && ready == self.child.pid() {
                return Ok(());
            }
            if self.child.has_ended() {
                return Err(self.child.start_error());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Creates the cluster under another name and renames it when it is complete, so that a crash leaves no partial cluster.
async fn create_cluster(
    recipe: &impl Fn(&str, Vec<String>) -> Recipe,
    home_path: &str,
    home: &Path,
) -> Result<(), StartError> {
    let unfinished = format!("{home_path}/unfinished");
    let _ = fs::remove_dir_all(home.join("unfinished"));
    let owned = |arguments: &[&str]| arguments.iter().copied().map(str::to_owned).collect();
    let initdb = ["-D", &unfinished, "-U", "laurel", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8"];
    run(recipe("initdb", owned(&initdb)), "").await?;
    let single_user = ["--single", "-D", &unfinished, "postgres"];
    run(recipe("postgres", owned(&single_user)), "CREATE DATABASE laurel;\n").await?;
    fs::rename(home.join("unfinished"), home.join("cluster"))
        .map_err(|error| StartError(format!("cannot finish {}: {error}", home.display())))
}

async fn run(recipe: Recipe, input: &str) -> Result<(), StartError> {
    let failed = |reason: String| {
        StartError(format!("{} failed: {reason} (log: {})", recipe.program.display(), recipe.log.display()))
    };
    let mut process =
        command(&recipe)?.stdin(Stdio::piped()).spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes()).await.map_err(|error| failed(error.to_string()))?;
    }
    let status = process.wait().await.map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

/// The account for Postgres, which refuses to run as root: under root, the account of Debian's package.
fn account() -> Result<Option<Account>, StartError> {
    // SAFETY: geteuid always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let fields =
        passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|it| it[0] == "postgres");
    let ids = fields.and_then(|it| Some((it.get(2)?.parse().ok()?, it.get(3)?.parse().ok()?)));
    match ids {
        Some((uid, gid)) => Ok(Some(Account { uid, gid })),
        None => Err(StartError(
            "Postgres does not run as root and there is no user `postgres`: install postgresql, or run Laurel as another user"
                .into(),
        )),
    }
}

/// The folder with the `postgres` and `initdb` of the cluster's version; the newest version if there is no cluster.
fn find_binaries(cluster: &Path) -> Result<PathBuf, StartError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|it| it.path().join("bin"));
    let mut found: Vec<(u32, PathBuf)> = std::env::split_paths(&path)
        .chain(debian)
        .filter(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
        .filter_map(|folder| Some((major_version(&folder)?, folder)))
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(StartError(
            "postgres and initdb were not found on PATH or in /usr/lib/postgresql: apt-get install postgresql, or set \
             DATABASE_URL"
                .into(),
        ));
    }
    let wanted = fs::read_to_string(cluster.join("PG_VERSION")).ok().map(|text| text.trim().to_owned());
    let fits = |major: &u32| wanted.as_ref().is_none_or(|wanted| *wanted == major.to_string());
    let versions: Vec<_> = found.iter().map(|(major, _)| major.to_string()).collect();
    found.into_iter().rev().find(|(major, _)| fits(major)).map(|(_, folder)| folder).ok_or_else(|| {
        StartError(format!(
            "{} was created by Postgres {}, but only {} is installed: install that version, or move the folder away",
            cluster.display(),
            wanted.unwrap_or_default(),
            versions.join(", ")
        ))
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn major_version(folder: &Path) -> Option<u32> {
    let output = std::process::Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

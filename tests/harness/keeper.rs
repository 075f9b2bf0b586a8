//! The thread that keeps the stores: the kernel ends a store when the thread that started it ends, and a test's thread
//! ends with the test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use laurel::config::Config;
use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use sqlx::Connection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::OnceCell;

use super::process::laurel;
use super::turned_redis::{TurnedRedis, set_clock};

pub fn keeper() -> &'static Handle {
    static KEEPER: OnceLock<Handle> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            tell.send(runtime.handle().clone()).unwrap();
            runtime.block_on(std::future::pending::<()>());
        });
        told.recv().unwrap()
    })
}

async fn open(path: PathBuf) -> DataFolder {
    match DataFolder::open(&path).await.unwrap() {
        Holder::Us(folder) => folder,
        Holder::Other { pid, .. } => panic!("{} is in use by {pid:?}", path.display()),
    }
}

/// A file of a Redis' data: its name and what is in it.
pub type DataFile = (OsString, Vec<u8>);

/// One process of a Redis; it ends with this value.
pub struct RedisProcess {
    folder: PathBuf,
    options: Vec<String>,
    server: Option<Running>,
    stopped: AtomicBool,
    /// Whether a test sets its clock.
    turned: bool,
}

enum Running {
    Private(Box<Redis>),
    Turned(TurnedRedis),
}

impl Running {
    fn pid(&self) -> Option<u32> {
        match self {
            Self::Private(server) => server.pid(),
            Self::Turned(server) => server.pid(),
        }
    }

    async fn stop(self) {
        match self {
            Self::Private(server) => server.stop().await,
            Self::Turned(server) => drop(server),
        }
    }
}

impl RedisProcess {
    /// Starts it in a folder, with these options and the ones of a private Redis.
    pub async fn start(folder: &Path, options: Vec<String>) -> Self {
        Self::start_with(folder, options, &[]).await
    }

    /// The same with further options for its first start.
    pub async fn start_with(folder: &Path, options: Vec<String>, extra: &[&str]) -> Self {
        let stopped = AtomicBool::new(false);
        let mut process = Self { folder: folder.to_owned(), options, server: None, stopped, turned: false };
        process.restart(extra).await;
        process
    }

    /// One whose clock a test sets.
    pub async fn start_turned(folder: &Path) -> Self {
        let (folder, stopped) = (folder.to_owned(), AtomicBool::new(false));
        let mut process = Self { folder, options: Vec::new(), server: None, stopped, turned: true };
        process.restart(&[]).await;
        process
    }

    /// Sets its clock: see `set_clock`.
    pub fn turn(&self, time: &str) {
        assert!(self.turned, "it goes by the machine's clock");
        set_clock(&self.folder, time);
    }

    /// The URL of its socket file.
    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.canonicalize().unwrap().join("redis/redis.sock").display())
    }

    /// Whether it is there and not stopped.
    pub fn answers(&self) -> bool {
        self.server.is_some() && !self.stopped.load(Ordering::Relaxed)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        let server = self.server.take().unwrap();
        signal(server.pid(), libc::SIGKILL);
        self.stopped.store(false, Ordering::Relaxed);
        keeper().spawn(server.stop()).await.unwrap();
    }

    /// Starts it again on its data, with further options.
    pub async fn restart(&mut self, extra: &[&str]) {
        assert!(self.server.is_none(), "it runs");
        // What a process wrote that was killed, the kernel has: no test takes the machine down.
        let mut options = ["--appendfsync", "no"].map(str::to_owned).to_vec();
        options.extend(self.options.iter().cloned());
        let folder = self.folder.clone();
        options.extend(extra.iter().map(|it| (*it).to_owned()));
        let turned = self.turned.then(|| self.url());
        let start = async move {
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            match turned {
                None => {
                    Running::Private(Box::new(Redis::start(&open(folder).await, &options).await.unwrap()))
                }
                Some(url) => Running::Turned(TurnedRedis::start(&folder, &options, &url).await),
            }
        };
        self.server = Some(keeper().spawn(start).await.unwrap());
    }

    /// Stops it, as a host that hangs would: connections stay open, nothing is answered.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        signal(self.server.as_ref().unwrap().pid(), libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal(self.server.as_ref().unwrap().pid(), libc::SIGCONT);
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// Where its data is; what it knows of its cluster is elsewhere.
    fn data(&self) -> PathBuf {
        assert!(self.server.is_none(), "it runs");
        self.folder.join("redis/appendonlydir")
    }

    /// Throws its data away; it must not run.
    pub fn lose_data(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    /// Its data as it is now; it must not run.
    pub fn copy_data(&self) -> Vec<DataFile> {
        let read = |it: std::fs::DirEntry| (it.file_name(), std::fs::read(it.path()).unwrap());
        std::fs::read_dir(self.data()).unwrap().flatten().map(read).collect()
    }

    /// Replaces its data by a copy; it must not run.
    pub fn restore_data(&self, copy: &[DataFile]) {
        self.lose_data();
        std::fs::create_dir(self.data()).unwrap();
        for (name, content) in copy {
            std::fs::write(self.data().join(name), content).unwrap();
        }
    }
}

fn signal(pid: Option<u32>, signal: libc::c_int) {
    // SAFETY: a child of ours that was not reaped yet.
    unsafe { libc::kill(pid.unwrap() as libc::pid_t, signal) };
}

/// A test's own Postgres; it ends with this value.
pub struct KeptPostgres {
    pub url: String,
    folder: PathBuf,
    server: Option<Postgres>,
}

/// Starts a Postgres on the data in a folder. Returns it and its URL.
async fn start_postgres(path: &Path, settings: &'static [&'static str]) -> (Postgres, String) {
    let folder = path.to_owned();
    let start = async move { Postgres::start(&open(folder).await, settings).await.unwrap() };
    let postgres = keeper().spawn(start).await.unwrap();
    let host = path.canonicalize().unwrap().join("postgres");
    (postgres, format!("postgres:///laurel?host={}&user=laurel", host.display()))
}

impl KeptPostgres {
    const SETTINGS: &[&str] = &["fsync=off", "max_connections=50", "shared_buffers=16MB"];

    /// Starts a Postgres in a folder.
    pub async fn start(path: &Path) -> Self {
        let (server, url) = start_postgres(path, Self::SETTINGS).await;
        Self { url, folder: path.to_owned(), server: Some(server) }
    }

    /// Takes it down, whoever is connected.
    pub async fn stop(&mut self) {
        let server = self.server.take().unwrap();
        keeper().spawn(server.stop()).await.unwrap();
    }

    /// Starts it again on its data.
    pub async fn restart(&mut self) {
        self.server = Some(start_postgres(&self.folder, Self::SETTINGS).await.0);
    }
}

static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// What stores wrote that outlive their test goes when the test binary ends.
extern "C" fn clean_up() {
    if let Some(folder) = FOLDER.get() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A new folder for a store that outlives its test.
pub fn lasting_folder(name: &str) -> PathBuf {
    let all = FOLDER.get_or_init(|| {
        // SAFETY: the handler only removes a folder.
        unsafe { libc::atexit(clean_up) };
        tempfile::Builder::new().prefix("laurel-tests").tempdir().unwrap().keep()
    });
    tempfile::Builder::new().prefix(name).tempdir_in(all).unwrap().keep()
}

/// The URL of a new database in the one Postgres of this run, a copy of another one.
async fn copy(of: &str) -> String {
    static POSTGRES: OnceCell<(Postgres, String)> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (_, admin) = POSTGRES
        .get_or_init(async || {
            // Nothing here lives long enough to be tidied up, and what wakes up for it takes time from the tests. Nobody restores it
            // either, and every connection maps the buffers anew.
            let settings = &[
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "wal_level=minimal",
                "max_wal_senders=0",
                "shared_buffers=32MB",
                "jit=off",
                "max_connections=400",
                "autovacuum=off",
                "bgwriter_delay=10s",
                "wal_writer_delay=10s",
            ];
            start_postgres(&lasting_folder("postgres"), settings).await
        })
        .await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(admin, format!("CREATE DATABASE {name} TEMPLATE {of}")).await;
    admin.replace("/laurel?", &format!("/{name}?"))
}

async fn execute(url: &str, statement: String) {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// The URL of a new, empty database.
pub async fn empty_database() -> String {
    copy("template1").await
}

/// The URL of a new database with Laurel's tables. They are copied: making them takes longer than most tests.
pub async fn database(config: &Config) -> String {
    static TABLES: OnceCell<String> = OnceCell::const_new();
    let tables = TABLES
        .get_or_init(async || {
            let url = empty_database().await;
            let mut config = config.clone();
            config.postgres.url = url.clone().into();
            let made = laurel(&config).arg("migrate").output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let name = url.split(['/', '?']).find(|it| it.starts_with("test_"));
            name.unwrap().to_owned()
        })
        .await;
    let url = copy(tables).await;
    // Whoever copies a database copies its deployment's id, which logins carry: migrations/0001_baseline.sql.
    // Nor is a new database as old as this run: users settle by the time in `rollup_heads`.
    let renew =
        "UPDATE deployment SET id = gen_random_uuid(); UPDATE rollup_heads SET seen_number_at = now()";
    execute(&url, renew.to_owned()).await;
    url
}

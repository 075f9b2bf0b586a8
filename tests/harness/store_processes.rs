//! Processes of stores. One thread starts all of them, because the kernel ends a store with the thread that started it, and the thread of a
//! test ends with the test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use laurel::config::Config;
use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use sqlx::Connection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::OnceCell;

use super::fake_time_redis::{FakeTimeRedis, set_clock};
use super::process::laurel_command;

pub fn store_runtime() -> &'static Handle {
    static RUNTIME: OnceLock<Handle> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            sender.send(runtime.handle().clone()).unwrap();
            runtime.block_on(std::future::pending::<()>());
        });
        receiver.recv().unwrap()
    })
}

async fn open_data_folder(path: PathBuf) -> DataFolder {
    match DataFolder::open(&path).await.unwrap() {
        Holder::Us(folder) => folder,
        Holder::Other { pid, .. } => panic!("{} is in use by {pid:?}", path.display()),
    }
}

/// A data file of a Redis: its name and content.
pub type DataFile = (OsString, Vec<u8>);

/// A Redis process. It ends when it is dropped.
pub struct RedisProcess {
    folder: PathBuf,
    options: Vec<String>,
    server: Option<Running>,
    stopped: AtomicBool,
    has_fake_clock: bool,
}

enum Running {
    Private(Box<Redis>),
    FakeTime(FakeTimeRedis),
}

impl Running {
    fn pid(&self) -> Option<u32> {
        match self {
            Self::Private(server) => server.pid(),
            Self::FakeTime(server) => server.pid(),
        }
    }

    async fn stop(self) {
        match self {
            Self::Private(server) => server.stop().await,
            Self::FakeTime(server) => drop(server),
        }
    }
}

impl RedisProcess {
    /// Starts a Redis in a folder, with the options of an embedded Redis and further `options`.
    pub async fn start(folder: &Path, options: Vec<String>) -> Self {
        Self::start_with(folder, options, &[]).await
    }

    /// Like `start`, with further options for the first start.
    pub async fn start_with(folder: &Path, options: Vec<String>, extra: &[&str]) -> Self {
        let stopped = AtomicBool::new(false);
        let mut process =
            Self { folder: folder.to_owned(), options, server: None, stopped, has_fake_clock: false };
        process.restart(extra).await;
        process
    }

    /// Starts a Redis with a fake clock.
    pub async fn start_with_fake_clock(folder: &Path) -> Self {
        let (folder, stopped) = (folder.to_owned(), AtomicBool::new(false));
        let mut process = Self { folder, options: Vec::new(), server: None, stopped, has_fake_clock: true };
        process.restart(&[]).await;
        process
    }

    /// Sets the fake clock, see `set_clock`.
    pub fn set_clock(&self, time: &str) {
        assert!(self.has_fake_clock, "Redis has no fake clock");
        set_clock(&self.folder, time);
    }

    /// The URL of the socket.
    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.canonicalize().unwrap().join("redis/redis.sock").display())
    }

    /// True if the process runs and is not stopped.
    pub fn is_running(&self) -> bool {
        self.server.is_some() && !self.stopped.load(Ordering::Relaxed)
    }

    /// Kills the process with SIGKILL and waits until it ends.
    pub async fn kill(&mut self) {
        let server = self.server.take().unwrap();
        signal(server.pid(), libc::SIGKILL);
        self.stopped.store(false, Ordering::Relaxed);
        store_runtime().spawn(server.stop()).await.unwrap();
    }

    /// Restarts Redis with its data and further options.
    pub async fn restart(&mut self, extra: &[&str]) {
        assert!(self.server.is_none(), "Redis runs");
        // The kernel keeps the writes of a killed process, so fsync is not needed.
        let mut options = ["--appendfsync", "no"].map(str::to_owned).to_vec();
        options.extend(self.options.iter().cloned());
        let folder = self.folder.clone();
        options.extend(extra.iter().map(|option| (*option).to_owned()));
        let fake_time_url = self.has_fake_clock.then(|| self.url());
        let start = async move {
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            match fake_time_url {
                None => Running::Private(Box::new(
                    Redis::start(&open_data_folder(folder).await, &options).await.unwrap(),
                )),
                Some(url) => Running::FakeTime(FakeTimeRedis::start(&folder, &options, &url).await),
            }
        };
        self.server = Some(store_runtime().spawn(start).await.unwrap());
    }

    /// Stops the process with SIGSTOP, as if the host hangs: connections stay open without replies.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        signal(self.server.as_ref().unwrap().pid(), libc::SIGSTOP);
    }

    /// Continues the process after `stop`.
    pub fn resume(&self) {
        signal(self.server.as_ref().unwrap().pid(), libc::SIGCONT);
        self.stopped.store(false, Ordering::Relaxed);
    }

    /// The folder of the data. It does not contain the state of the cluster.
    fn data(&self) -> PathBuf {
        assert!(self.server.is_none(), "Redis runs");
        self.folder.join("redis/appendonlydir")
    }

    /// Deletes the data. Redis must not run.
    pub fn delete_data(&self) {
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    /// Copies the data. Redis must not run.
    pub fn copy_data(&self) -> Vec<DataFile> {
        let read = |entry: std::fs::DirEntry| (entry.file_name(), std::fs::read(entry.path()).unwrap());
        std::fs::read_dir(self.data()).unwrap().flatten().map(read).collect()
    }

    /// Replaces the data by a copy. Redis must not run.
    pub fn restore_data(&self, copy: &[DataFile]) {
        self.delete_data();
        std::fs::create_dir(self.data()).unwrap();
        for (name, content) in copy {
            std::fs::write(self.data().join(name), content).unwrap();
        }
    }
}

fn signal(pid: Option<u32>, signal: libc::c_int) {
    // SAFETY: the child is not reaped yet.
    unsafe { libc::kill(pid.unwrap() as libc::pid_t, signal) };
}

/// The Postgres of a test. It ends when it is dropped.
pub struct TestPostgres {
    pub url: String,
    folder: PathBuf,
    server: Option<Postgres>,
}

/// Starts a Postgres with the data in a folder. Returns it and its URL.
async fn start_postgres(path: &Path, settings: &'static [&'static str]) -> (Postgres, String) {
    let folder = path.to_owned();
    let start = async move { Postgres::start(&open_data_folder(folder).await, settings).await.unwrap() };
    let postgres = store_runtime().spawn(start).await.unwrap();
    let host = path.canonicalize().unwrap().join("postgres");
    (postgres, format!("postgres:///laurel?host={}&user=laurel", host.display()))
}

impl TestPostgres {
    const SETTINGS: &[&str] = &["fsync=off", "max_connections=50", "shared_buffers=16MB"];

    /// Starts a Postgres in a folder.
    pub async fn start(path: &Path) -> Self {
        let (server, url) = start_postgres(path, Self::SETTINGS).await;
        Self { url, folder: path.to_owned(), server: Some(server) }
    }

    /// Stops Postgres, even with open connections.
    pub async fn stop(&mut self) {
        let server = self.server.take().unwrap();
        store_runtime().spawn(server.stop()).await.unwrap();
    }

    /// Restarts Postgres with its data.
    pub async fn restart(&mut self) {
        self.server = Some(start_postgres(&self.folder, Self::SETTINGS).await.0);
    }
}

static SHARED_FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Deletes the folders of shared stores when the test process ends.
extern "C" fn delete_shared_folder() {
    if let Some(folder) = SHARED_FOLDER.get() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// A new folder for a store that several tests share.
pub fn shared_folder(name: &str) -> PathBuf {
    let all = SHARED_FOLDER.get_or_init(|| {
        // SAFETY: the handler only removes a folder.
        unsafe { libc::atexit(delete_shared_folder) };
        tempfile::Builder::new().prefix("laurel-tests").tempdir().unwrap().keep()
    });
    tempfile::Builder::new().prefix(name).tempdir_in(all).unwrap().keep()
}

/// Copies a database of the shared Postgres. Returns the URL of the copy.
async fn copy_database(template: &str) -> String {
    static POSTGRES: OnceCell<(Postgres, String)> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (_, admin) = POSTGRES
        .get_or_init(async || {
            // No test restores these databases, so background work and WAL for replicas would only cost time. The shared buffers are
            // small, because every connection maps them.
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
            start_postgres(&shared_folder("postgres"), settings).await
        })
        .await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    execute(admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    admin.replace("/laurel?", &format!("/{name}?"))
}

async fn execute(url: &str, statement: String) {
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Creates an empty database. Returns its URL.
pub async fn create_empty_database() -> String {
    copy_database("template1").await
}

/// Creates a database with the tables of Laurel. It copies them: a migration takes longer than most tests.
pub async fn create_database(config: &Config) -> String {
    static TABLES: OnceCell<String> = OnceCell::const_new();
    let tables = TABLES
        .get_or_init(async || {
            let url = create_empty_database().await;
            let mut config = config.clone();
            config.postgres.url = url.clone().into();
            let output = laurel_command(&config).arg("migrate").output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let name = url.split(['/', '?']).find(|it| it.starts_with("test_"));
            name.unwrap().to_owned()
        })
        .await;
    let url = copy_database(tables).await;
    // A copy would have the deployment id of its template, which is part of every login, and its time in `rollup_heads`, which
    // decides when the registrations of users are final.
    let renew =
        "UPDATE deployment SET id = gen_random_uuid(); UPDATE rollup_heads SET seen_number_at = now()";
    execute(&url, renew.to_owned()).await;
    url
}

//! The thread that keeps the stores: the kernel ends a store when the thread that started it ends, and a test's thread
//! ends with the test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use laurel::embedded::{DataFolder, Holder, Postgres, Redis};
use sqlx::Connection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{OnceCell, oneshot};

use super::RedisLook;

fn keeper() -> &'static Handle {
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

/// A test's own Redis; it ends with this value.
pub struct KeptRedis {
    pub url: String,
    folder: PathBuf,
    server: Option<Redis>,
}

async fn open(path: PathBuf) -> DataFolder {
    match DataFolder::open(&path).await.unwrap() {
        Holder::Us(folder) => folder,
        Holder::Other { pid, .. } => panic!("{} is in use by {pid}", path.display()),
    }
}

async fn start_redis(path: PathBuf, extra: &'static [&str]) -> Redis {
    keeper().spawn(async move { Redis::start(&open(path).await, extra).await.unwrap() }).await.unwrap()
}

impl KeptRedis {
    /// Starts a Redis in a folder.
    pub async fn start(path: &Path) -> Self {
        let server = start_redis(path.to_owned(), &[]).await;
        let socket = path.canonicalize().unwrap().join("redis/redis.sock");
        Self { url: format!("unix://{}", socket.display()), folder: path.to_owned(), server: Some(server) }
    }

    /// As a test looks at it from outside.
    pub async fn look(&self) -> RedisLook {
        RedisLook::new(&self.url).await
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        let server = self.server.take().unwrap();
        signal(server.pid(), libc::SIGKILL);
        let (tell, told) = oneshot::channel();
        keeper().spawn(async move {
            server.stop().await;
            tell.send(()).unwrap();
        });
        told.await.unwrap();
    }

    /// Starts it again on its data.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// The same with further options.
    pub async fn restart_with(&mut self, extra: &'static [&str]) {
        self.server = Some(start_redis(self.folder.clone(), extra).await);
    }

    /// Stops it, as a host that hangs would: connections stay open, nothing is answered.
    pub fn stop(&self) {
        signal(self.server.as_ref().unwrap().pid(), libc::SIGSTOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signal(self.server.as_ref().unwrap().pid(), libc::SIGCONT);
    }

    /// Throws its data away; it must not run.
    pub fn lose_data(&self) {
        assert!(self.server.is_none());
        std::fs::remove_dir_all(self.folder.join("redis")).unwrap();
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

async fn start_postgres(path: PathBuf) -> Postgres {
    let settings = ["fsync=off", "max_connections=50", "shared_buffers=16MB"];
    let start = async move { Postgres::start(&open(path).await, &settings).await.unwrap() };
    keeper().spawn(start).await.unwrap()
}

impl KeptPostgres {
    /// Starts a Postgres in a folder.
    pub async fn start(path: &Path) -> Self {
        let server = start_postgres(path.to_owned()).await;
        let host = path.canonicalize().unwrap().join("postgres");
        let url = format!("postgres:///laurel?host={}&user=laurel", host.display());
        Self { url, folder: path.to_owned(), server: Some(server) }
    }

    /// Takes it down, whoever is connected.
    pub async fn stop(&mut self) {
        let server = self.server.take().unwrap();
        keeper().spawn(server.stop()).await.unwrap();
    }

    /// Starts it again on its data.
    pub async fn restart(&mut self) {
        self.server = Some(start_postgres(self.folder.clone()).await);
    }
}

static POSTGRES_FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// What the tests' Postgres wrote goes when the test binary ends.
extern "C" fn clean_up() {
    if let Some(folder) = POSTGRES_FOLDER.get() {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The URL of a new, empty database in the one Postgres of this run.
pub async fn database() -> String {
    static POSTGRES: OnceCell<(Postgres, String)> = OnceCell::const_new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (_, admin) = POSTGRES
        .get_or_init(async || {
            let folder = tempfile::Builder::new().prefix("laurel-pg").tempdir().unwrap().keep();
            POSTGRES_FOLDER.set(folder.clone()).unwrap();
            // SAFETY: the handler only removes a folder.
            unsafe { libc::atexit(clean_up) };
            let path = folder.clone();
            let settings = ["fsync=off", "synchronous_commit=off", "max_connections=400"];
            let start = async move { Postgres::start(&open(path).await, &settings).await.unwrap() };
            let postgres = keeper().spawn(start).await.unwrap();
            let host = folder.canonicalize().unwrap().join("postgres");
            (postgres, format!("postgres:///laurel?host={}&user=laurel", host.display()))
        })
        .await;
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = sqlx::PgConnection::connect(admin).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .execute(&mut connection)
        .await
        .unwrap();
    admin.replace("/laurel?", &format!("/{name}?"))
}

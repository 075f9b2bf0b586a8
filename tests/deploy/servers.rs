//! Redis and Postgres with the shipped configuration, started as in their images.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::harness::{RedisClient, eventually, free_port};

/// The path of a file of this project.
pub fn project_path(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A folder, readable for other accounts, with the secrets of `secrets.sh`.
pub struct Secrets {
    pub folder: TempDir,
}

impl Secrets {
    /// Creates all secrets.
    pub fn create() -> Self {
        let folder = tempfile::Builder::new().prefix("laurel").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let secrets = Self { folder };
        let script = Command::new("bash")
            .arg(project_path("deploy/compose/secrets.sh"))
            .arg(secrets.path(""))
            .output()
            .unwrap();
        assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
        secrets
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("secrets").join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }

    /// Writes a URL with the port of the test in place of a host of the compose network. Returns the path.
    pub fn write_url(&self, name: &str, host: &str, port: u16) -> PathBuf {
        let path = self.folder.path().join(name);
        let text = self.read(name).replace(host, &format!("127.0.0.1:{port}"));
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A server, stopped on drop.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: the child is not reaped yet.
        unsafe { libc::kill(self.0.id() as libc::pid_t, libc::SIGINT) };
        let _ = self.0.wait();
    }
}

/// `redis-server` with `deploy/redis/redis.conf`.
pub struct HardenedRedis {
    pub port: u16,
    _server: Server,
}

impl HardenedRedis {
    /// Starts Redis with further options. `PORT` in an option stands for its port.
    pub async fn start(secrets: &Secrets, name: &str, extra: &[&str]) -> Self {
        let (port, data) = (free_port(), secrets.folder.path().join(name));
        std::fs::create_dir(&data).unwrap();
        let server = Command::new("redis-server")
            .arg(project_path("deploy/redis/redis.conf"))
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--logfile", "redis.log", "--aclfile"])
            .arg(secrets.path("redis_users"))
            .args(extra.iter().map(|option| option.replace("PORT", &port.to_string())))
            .current_dir(&data)
            .spawn();
        let redis = Self { port, _server: Server(server.unwrap()) };
        eventually("Redis to listen", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        redis
    }

    /// Connects as the user `operator`, who may read everything.
    pub async fn connect_operator(&self, secrets: &Secrets) -> RedisClient {
        self.connect_as("operator", &secrets.read("redis_operator_password")).await
    }

    pub async fn connect_as(&self, user: &str, password: &str) -> RedisClient {
        RedisClient::new(&format!("redis://{user}:{password}@127.0.0.1:{}", self.port)).await
    }
}

/// `postgres` with the files of `deploy/postgres/`. It has a superuser only.
pub struct HardenedPostgres {
    pub port: u16,
    folder: PathBuf,
    programs: PathBuf,
    _server: Server,
}

impl HardenedPostgres {
    /// Starts Postgres with further settings.
    pub async fn start(secrets: &Secrets, extra: &[String]) -> Self {
        let (port, folder) = (free_port(), secrets.folder.path().join("postgres"));
        std::fs::create_dir(&folder).unwrap();
        let account = postgres_account();
        give_to_postgres(&folder);
        // The account may have no access to the folder of the project.
        for (from, name) in [
            (project_path("deploy/postgres/postgresql.conf"), "postgresql.conf"),
            (project_path("deploy/postgres/pg_hba.conf"), "pg_hba.conf"),
            (secrets.path("postgres_password"), "password"),
        ] {
            std::fs::copy(from, folder.join(name)).unwrap();
            give_to_postgres(&folder.join(name));
        }
        let programs = find_programs();
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(&folder).stdout(Stdio::null()).arg("-D").arg(folder.join("data"));
            if let Some((uid, gid)) = account {
                command.uid(uid).gid(gid);
            }
            command
        };
        let initdb = run("initdb")
            .args(["-U", "postgres", "--auth=scram-sha-256", "--pwfile=password", "--data-checksums"])
            .status();
        assert!(initdb.unwrap().success());
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let files = ["config_file=postgresql.conf", "hba_file=pg_hba.conf"];
        let files = files.map(|file| file.replacen('=', &format!("={}/", folder.display()), 1));
        let server = run("postgres")
            .args(["-c", &files[0], "-c", &files[1], "-c", "listen_addresses=127.0.0.1", "-c"])
            .args([&format!("port={port}"), "-k", &folder.display().to_string()])
            .args(extra.iter().flat_map(|setting| ["-c", setting]))
            .stderr(log)
            .spawn();
        let postgres = Self { port, folder, programs, _server: Server(server.unwrap()) };
        let url = postgres.superuser_url(secrets);
        eventually("Postgres to start", async || PgConnection::connect(&url).await.ok()).await;
        postgres
    }

    /// The URL of the superuser, over the Unix socket.
    pub fn superuser_url(&self, secrets: &Secrets) -> String {
        let (folder, password) = (self.folder.display(), secrets.read("postgres_password"));
        format!("postgres:///postgres?host={folder}&port={}&user=postgres&password={password}", self.port)
    }

    /// Runs `role.sql`, which creates the role and the database of Laurel.
    pub fn create_role(&self, secrets: &Secrets) {
        let psql = Command::new(self.programs.join("psql"))
            .args([
                "-q",
                "-U",
                "postgres",
                "-p",
                &self.port.to_string(),
                "-h",
                &self.folder.display().to_string(),
            ])
            .args(["-v", &format!("password={}", secrets.read("laurel_password")), "-f"])
            .arg(project_path("deploy/postgres/role.sql"))
            .env("PGPASSWORD", secrets.read("postgres_password"))
            .output()
            .unwrap();
        assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    }
}

/// The folder of the Postgres programs: Debian's, or the first on the PATH.
fn find_programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    found.extend(std::env::split_paths(&path));
    found.into_iter().find(|folder| folder.join("initdb").exists()).expect("make test-deps installs Postgres")
}

/// Changes the owner of a file to the account of Postgres.
pub fn give_to_postgres(path: &Path) {
    if let Some((uid, gid)) = postgres_account() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// The ids of the Postgres account, if the tests run as root.
fn postgres_account() -> Option<(u32, u32)> {
    // SAFETY: geteuid always succeeds.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line =
        passwd.lines().find(|it| it.starts_with("postgres:")).expect("the package creates the account");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

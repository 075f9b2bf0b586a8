//! A real PgBouncer in front of the Postgres of a test, on loopback.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::cluster::ports::Ports;
use super::{Proxy, eventually};

pub struct PgBouncer {
    config: PathBuf,
    ports: Ports,
    process: Option<Child>,
    /// PgBouncer runs as another user, who may have no access to the folder of the socket.
    _proxy: Proxy,
}

impl PgBouncer {
    /// Starts a PgBouncer in front of the Postgres whose socket is in the folder `postgres`. `settings` are lines of `pgbouncer.ini`.
    pub async fn start(folder: &Path, postgres: &Path, settings: &str) -> Self {
        let proxy = Proxy::start(&postgres.join(".s.PGSQL.5432")).await;
        let (ports, config) = (Ports::take(), folder.join("pgbouncer.ini"));
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=laurel\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\nauth_type = any\n{settings}\n",
            proxy.port,
            ports.client(0)
        );
        std::fs::write(&config, text).unwrap();
        let mut bouncer = Self { config, ports, process: None, _proxy: proxy };
        bouncer.restart().await;
        bouncer
    }

    /// The URL for the setting `postgres.url`.
    pub fn url(&self) -> String {
        format!("postgres://laurel@127.0.0.1:{}/laurel", self.ports.client(0))
    }

    /// Kills PgBouncer and all its sessions with SIGKILL.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Starts PgBouncer and waits until it accepts connections.
    pub async fn restart(&mut self) {
        let mut command = Command::new("/usr/sbin/pgbouncer");
        // SAFETY: geteuid always succeeds.
        if unsafe { libc::geteuid() } == 0 {
            command.args(["--user", "postgres"]);
        }
        command.arg("--quiet").arg(&self.config).stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("make test-deps installs pgbouncer"));
        let port = self.ports.client(0);
        eventually("PgBouncer to listen", async || {
            tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

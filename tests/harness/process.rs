//! A node in its own process, for tests that kill it; and commands of the program.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use laurel::config::Config;

pub struct NodeProcess {
    pub base: String,
    child: Child,
}

/// The program without settings, except a time-out of Redis that is long enough for a busy machine.
pub fn laurel_binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_laurel"));
    let settings = ["DATABASE_URL", "REDIS_URL", "JWT_SECRET", "PORT"];
    let is_setting = |name: &str| name.starts_with("LAUREL_") || settings.contains(&name);
    for (name, _) in std::env::vars().filter(|(name, _)| is_setting(name)) {
        command.env_remove(name);
    }
    command.env("LAUREL_REDIS__TIMEOUT_MS", "10000");
    command
}

/// The program on these stores.
pub fn laurel_command(config: &Config) -> Command {
    let mut command = laurel_binary();
    command
        .env("REDIS_URL", config.redis.url.expose())
        .env("LAUREL_REDIS__SHARDS", config.redis.shards.to_string())
        .env("LAUREL_REDIS__TIMEOUT_MS", config.redis.timeout_ms.to_string())
        .env("DATABASE_URL", config.postgres.url.expose())
        .env("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", config.postgres.acquire_timeout_ms.to_string())
        .env("LAUREL_SERVER__REQUEST_TIMEOUT_MS", config.server.request_timeout_ms.to_string())
        .env("JWT_SECRET", config.auth.jwt_secret.expose());
    command
}

impl NodeProcess {
    /// Starts a node and waits until it prints its address.
    pub async fn start(config: &Config, settings: &[(&str, &str)]) -> Self {
        Self::start_with_log(config, settings, Stdio::inherit()).await
    }

    /// Starts a node that logs to `log`.
    pub async fn start_with_log(config: &Config, settings: &[(&str, &str)], log: impl Into<Stdio>) -> Self {
        Self::run(laurel_command(config), settings, log).await
    }

    /// Starts a node with a limit of open files.
    pub async fn start_with_file_limit(config: &Config, settings: &[(&str, &str)], files: u64) -> Self {
        let mut command = laurel_command(config);
        let limit = libc::rlimit { rlim_cur: files, rlim_max: files };
        let set_limit = move || match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        };
        // SAFETY: setrlimit is safe between fork and exec.
        unsafe { command.pre_exec(set_limit) };
        Self::run(command, settings, Stdio::inherit()).await
    }

    async fn run(mut command: Command, settings: &[(&str, &str)], log: impl Into<Stdio>) -> Self {
        command
            .arg("serve")
            .env("PORT", "0")
            .env("LAUREL_LIMITS__REGISTERS_PER_MINUTE_PER_IP", "0")
            .env("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_IP", "0")
            .env("LAUREL_LIMITS__REQUESTS_PER_MINUTE_PER_USER", "0")
            .env("LAUREL_LIMITS__CONNECTIONS_PER_IP", "0")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let first_line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let line = first_line.await.unwrap();
        let start = line.find("http://").unwrap_or_else(|| panic!("the node did not start: {line:?}"));
        let address = line[start..].split(['"', '\n']).next().unwrap().replace("localhost", "127.0.0.1");
        Self { base: address, child }
    }

    /// The port, for a restart.
    pub fn port(&self) -> &str {
        self.base.rsplit(':').next().unwrap()
    }

    /// Kills the process with SIGKILL and waits until it ends.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process ends. Returns its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Sends SIGTERM.
    pub fn send_sigterm(&self) {
        // SAFETY: the child is not reaped yet.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
    }

    /// Sends SIGTERM and waits until the process ends. Returns its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.send_sigterm();
        self.exit_code()
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

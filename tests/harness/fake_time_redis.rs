//! A redis-server with a fake clock. libfaketime (Debian: `faketime`) reads the time from a file.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redis::ConnectionLike;

const LIBRARY: &str = "faketime/libfaketime.so.1";
const OPTIONS: [&str; 8] =
    ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "", "--port", "0"];

/// A running server. It ends when it is dropped.
pub struct FakeTimeRedis(Child);

/// The file with the time for the Redis in a folder.
pub fn clock_file(folder: &Path) -> PathBuf {
    folder.join("redis/clock")
}

/// Sets the clock for the next commands, in the format of `faketime(1)`: an offset in seconds (`+86400`, `-4`) or a fixed time in UTC
/// (`2026-11-29 23:59:57`).
pub fn set_clock(folder: &Path, time: &str) {
    let (file, new_file) = (clock_file(folder), folder.join("redis/clock.new"));
    std::fs::write(&new_file, time).unwrap();
    // Atomic, because the server may read the file at any time.
    std::fs::rename(new_file, file).unwrap();
}

impl FakeTimeRedis {
    /// Starts Redis with the data in a folder and waits until it replies at `url`. It ends with the calling thread.
    pub async fn start(folder: &Path, options: &[&str], url: &str) -> Self {
        let data = folder.join("redis");
        std::fs::create_dir_all(&data).unwrap();
        if !clock_file(folder).exists() {
            set_clock(folder, "+0");
        }
        let mut command = Command::new("redis-server");
        command
            .args(OPTIONS)
            .args([
                "--dir",
                data.to_str().unwrap(),
                "--unixsocket",
                data.join("redis.sock").to_str().unwrap(),
            ])
            .args(options)
            // jemalloc would read the time while libfaketime allocates memory, a deadlock. The allocator of the C library does not.
            .env("LD_PRELOAD", format!("{}:libc.so.6", library().display()))
            .env("FAKETIME_TIMESTAMP_FILE", clock_file(folder))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: only prctl is called between fork and exec, which is safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn().unwrap();
        let client = redis::Client::open(url).unwrap();
        super::eventually("a Redis with a fake clock", async || {
            client.get_connection().is_ok_and(|mut connection| connection.check_connection()).then_some(())
        })
        .await;
        Self(child)
    }

    pub fn pid(&self) -> Option<u32> {
        Some(self.0.id())
    }
}

impl Drop for FakeTimeRedis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian installs the library in a folder of the architecture.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|it| it.path());
    folders.map(|it| it.join(LIBRARY)).find(|it| it.exists()).expect("make test-deps installs faketime")
}

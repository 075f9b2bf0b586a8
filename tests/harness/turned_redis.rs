//! A redis-server whose clock a test sets. It runs under libfaketime (Debian: `faketime`), which reads the time from a file.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redis::ConnectionLike;

const LIBRARY: &str = "faketime/libfaketime.so.1";
const OPTIONS: [&str; 8] =
    ["--appendonly", "yes", "--maxmemory-policy", "noeviction", "--save", "", "--port", "0"];

/// A running server; it ends with this value.
pub struct TurnedRedis(Child);

/// The file that says what time it is for the Redis of this folder.
pub fn clock_file(folder: &Path) -> PathBuf {
    folder.join("redis/clock")
}

/// Sets the clock, as `faketime(1)` reads it: `+86400` and `-4` are seconds beside the right time, `2026-11-29 23:59:57` stands still
/// (in UTC). It counts from the server's next command on.
pub fn set_clock(folder: &Path, time: &str) {
    let (file, fresh) = (clock_file(folder), folder.join("redis/clock.new"));
    std::fs::write(&fresh, time).unwrap();
    // In one step: the server may read it at any moment.
    std::fs::rename(fresh, file).unwrap();
}

impl TurnedRedis {
    /// Starts it on its data in a folder, and waits until it answers at `url`. Whoever calls is the thread that it ends with.
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
            // jemalloc asks for the time while libfaketime asks for memory; so the C library's allocator stands before it.
            .env("LD_PRELOAD", format!("{}:libc.so.6", library().display()))
            .env("FAKETIME_TIMESTAMP_FILE", clock_file(folder))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: prctl alone is called between fork and exec, and is safe there.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn().unwrap();
        let client = redis::Client::open(url).unwrap();
        super::eventually("a Redis whose clock can be set", async || {
            client.get_connection().is_ok_and(|mut it| it.check_connection()).then_some(())
        })
        .await;
        Self(child)
    }

    pub fn pid(&self) -> Option<u32> {
        Some(self.0.id())
    }
}

impl Drop for TurnedRedis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Debian keeps it in a folder of the machine's architecture.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|it| it.path());
    folders.map(|it| it.join(LIBRARY)).find(|it| it.exists()).expect("apt-get install faketime")
}

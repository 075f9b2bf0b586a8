//! Script binding: scripts with the run id of a Redis baked in (`lua/lib/epoch.lua`). They need not query the run id, which costs as much
//! as half an award.
//!
//! A bound script is loaded over the connection that returned the run id, and a connection does not outlive its process. Redis 7 neither
//! persists nor replicates the script cache. So if EVALSHA of a bound script succeeds, the process is that run; any other process answers
//! NOSCRIPT, and the unbound script is called. Within one process the replication id can change: each poll checks it (`check_run`).
//!
//! Byte-level proxies are safe. A proxy that speaks the Redis protocol and moves a connection to another process would break this.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::connect::connect_to_run;
use super::redis_error::fault;
use super::server::Server;
use crate::error::Fault;
use crate::store::script::Script;

/// Redis 7 is the first version that neither persists nor replicates scripts.
const MIN_VERSION: u32 = 7;

/// Pause between two attempts, for accounts that may not load scripts and for older versions.
const RETRY_AFTER: Duration = Duration::from_secs(30);

const OPERATION: &str = "bind_scripts";

/// The scripts that are bound to one run of Redis.
struct Bound {
    run: String,
    /// Names and SHA-1 digests.
    scripts: Vec<(&'static str, String)>,
}

/// The bound scripts of one server.
#[derive(Default)]
pub struct Binding {
    bound: ArcSwapOption<Bound>,
    tried_at: Mutex<Option<Instant>>,
}

impl Binding {
    /// The SHA-1 of the bound form of a script.
    pub fn sha(&self, script: &Script) -> Option<String> {
        let bound = self.bound.load();
        bound.as_ref()?.scripts.iter().find(|(name, _)| *name == script.name).map(|(_, sha)| sha.clone())
    }

    /// Forgets the bound scripts: the server is another run.
    pub fn clear(&self) {
        self.bound.store(None);
        *self.tried_at.lock() = None;
    }

    /// Clears the binding if the server is in another run.
    pub fn check_run(&self, run: &str) {
        if self.bound.load().as_ref().is_some_and(|it| it.run != run) {
            self.clear();
        }
    }

    /// Whether the caller should bind now; then nobody else does during the pause.
    fn start(&self) -> bool {
        if self.bound.load().is_some() {
            return false;
        }
        let mut tried_at = self.tried_at.lock();
        let is_due = tried_at.is_none_or(|it| it.elapsed() > RETRY_AFTER);
        if is_due {
            *tried_at = Some(Instant::now());
        }
        is_due
    }
}

/// Binds scripts at a server in the background, unless they are bound or it was tried recently.
pub fn bind(server: &Arc<Server>, scripts: &[&Script]) {
    if !server.binding.start() {
        return;
    }
    let (server, scripts) = (server.clone(), scripts.iter().copied().cloned().collect::<Vec<_>>());
    tokio::spawn(async move {
        match load(&server, &scripts).await {
            Ok(bound) => server.binding.bound.store(bound.map(Arc::new)),
            Err(fault) => {
                tracing::warn!(%fault, "script binding failed, scripts query the run id and run slower")
            }
        }
    });
}

async fn load(server: &Server, scripts: &[Script]) -> Result<Option<Bound>, Fault> {
    let timeout = server.timeout();
    let (mut connection, run, info) = connect_to_run(&server.client, OPERATION, timeout, timeout).await?;
    let version: Option<String> = info.get("redis_version");
    let major_version = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let is_safe_in_lua = run.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_safe_in_lua || major_version.is_none_or(|it| it < MIN_VERSION) {
        return Ok(None);
    }
    let mut pipeline = redis::pipe();
    for script in scripts {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.bound_to(&run));
    }
    let shas: Vec<String> =
        pipeline.query_async(&mut connection).await.map_err(|error| fault(OPERATION, error))?;
    Ok(Some(Bound { run, scripts: scripts.iter().map(|it| it.name).zip(shas).collect() }))
}

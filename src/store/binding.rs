//! Scripts that are bound to one run of Redis: they know its two ids (`lua/lib/epoch.lua`) and need not ask for it, which costs as much as half an award.
//! Such a script is loaded over a connection that first said which run it leads to, and a connection does not outlive a process;
//! within one, the replication id may change, which each look compares (`is_for`): then the next calls ask again.
//! Redis 7 neither keeps scripts over a restart nor gives them to its replicas. So a process that has the script is that run, and
//! any other says NOSCRIPT: then the script is called that asks. A proxy that speaks Redis' protocol, and goes on with a connection at
//! another process, would break this; one that passes bytes on does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::connect::connect_to_run;
use super::redis_error::fault;
use super::script::Script;
use super::server::Server;
use crate::error::Fault;

/// The first version that keeps scripts to the process that was given them.
const FIRST_VERSION: u32 = 7;

/// Between two tries: an account that may not load scripts, or an older Redis, is not asked at every request.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

const DOING: &str = "bind the scripts to a run of Redis";

/// Scripts that one run of Redis knows.
struct Bound {
    run: String,
    /// By script: its name and the SHA-1 of what is loaded.
    scripts: Vec<(&'static str, String)>,
}

/// What is bound at one server.
#[derive(Default)]
pub struct Binding {
    bound: ArcSwapOption<Bound>,
    tried: Mutex<Option<Instant>>,
}

impl Binding {
    /// What a script is called by, if it is bound.
    pub fn sha(&self, script: &Script) -> Option<String> {
        let bound = self.bound.load();
        bound.as_ref()?.scripts.iter().find(|(name, _)| *name == script.name).map(|(_, sha)| sha.clone())
    }

    /// It is another run by now.
    pub fn lost(&self) {
        self.bound.store(None);
        *self.tried.lock() = None;
    }

    /// A look says which run it is.
    pub fn is_for(&self, run: &str) {
        if self.bound.load().as_ref().is_some_and(|it| it.run != run) {
            self.lost();
        }
    }

    /// Whether to try now; nobody else does for a while.
    fn begin(&self) -> bool {
        if self.bound.load().is_some() {
            return false;
        }
        let mut tried = self.tried.lock();
        let may = tried.is_none_or(|it| it.elapsed() > AGAIN_AFTER);
        if may {
            *tried = Some(Instant::now());
        }
        may
    }
}

/// Binds these scripts at a server in the background, unless that is done, or was tried just now.
pub fn bind(server: &Arc<Server>, scripts: &[&Script]) {
    if !server.binding.begin() {
        return;
    }
    let (server, scripts) = (server.clone(), scripts.iter().map(|it| (*it).clone()).collect::<Vec<_>>());
    tokio::spawn(async move {
        match load(&server, &scripts).await {
            Ok(bound) => server.binding.bound.store(bound.map(Arc::new)),
            Err(fault) => {
                tracing::warn!(%fault, "each script asks which run of Redis it is in, which costs time")
            }
        }
    });
}

async fn load(server: &Server, scripts: &[Script]) -> Result<Option<Bound>, Fault> {
    let timeout = server.timeout();
    let (mut connection, run, info) = connect_to_run(&server.client, DOING, timeout, timeout).await?;
    let version: Option<String> = info.get("redis_version");
    let version = version.and_then(|it| it.split('.').next()?.parse::<u32>().ok());
    let is_a_name = run.bytes().all(|it| it.is_ascii_alphanumeric());
    if !is_a_name || version.is_none_or(|it| it < FIRST_VERSION) {
        return Ok(None);
    }
    let mut pipeline = redis::pipe();
    for script in scripts {
        pipeline.cmd("SCRIPT").arg("LOAD").arg(script.bound_to(&run));
    }
    let shas: Vec<String> =
        pipeline.query_async(&mut connection).await.map_err(|error| fault(DOING, error))?;
    Ok(Some(Bound { run, scripts: scripts.iter().map(|it| it.name).zip(shas).collect() }))
}

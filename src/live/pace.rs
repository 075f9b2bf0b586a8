//! How much a client may say. Those who listen say little; each message costs the node something, so whoever floods it is closed.

use std::time::Duration;

use tokio::time::Instant;

/// Messages a second.
pub struct Pace {
    most: u32,
    since: Instant,
    count: u32,
}

impl Pace {
    /// So many messages a second at the most; 0: any.
    pub fn new(most: u32) -> Self {
        Self { most, since: Instant::now(), count: 0 }
    }

    /// Counts one message; whether it may be heard.
    pub fn allows_one_more(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            (self.since, self.count) = (Instant::now(), 0);
        }
        self.count += 1;
        self.most == 0 || self.count <= self.most
    }
}

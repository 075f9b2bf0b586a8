//! Every key and channel, made here and nowhere else. `lua/README.md` says what each holds.

use uuid::Uuid;

use crate::network::Network;

/// Where a changed board is published.
pub const BOARD_CHANNEL: &str = "board:global";

/// Where a traced award says, before the board it changed is published, which trace that board belongs to. Not a line of the
/// publication, whose readers of older releases know no more lines; and nobody listens here whose tracing is off.
pub const TRACE_CHANNEL: &str = "trace:global";

/// Where a user's own changes are published.
pub fn personal_channel(user: Uuid) -> String {
    format!("personal:{user}")
}

/// What goes out on a user's channel with a ban (`lua/apply_restrictions.lua`).
pub const BANNED_NEWS: &str = "banned";

/// What begins so is loaded from the ledger.
pub const IN_THE_LEDGER: [&str; 3] = ["user:score:", "quarantine:", "ban:"];

/// What begins so may have been used up since an older copy of Redis was made.
pub const USED_UP: [&str; 3] = ["token:", "session:", "proven:"];

/// Every kind of key there is, by how its bare name begins.
pub const ALL: [&str; 17] = [
    "leaderboard:",
    "user:score:",
    "token:",
    "session:",
    "spent:",
    "judging:",
    "once:",
    "proven:",
    "asked:",
    "answer:",
    "rate:",
    "limit:",
    "points:",
    "ban:",
    "quarantine:",
    "banned",
    "outbox",
];

pub const ONCE: &str = "once:";

/// The names of one shard's keys: bare where it is the only one, else under a tag in braces, which Redis Cluster hashes, so that
/// they share a slot.
pub struct Keys {
    pub tag: String,
    pub board: String,
    pub state: String,
    pub top: String,
    /// There while the board may not be published again.
    pub throttle: String,
    /// What replicas are asked for: whoever has it has what was written before it.
    pub fence: String,
    /// What the shards hold of the ten, at the board that is merged of them.
    pub shards: String,
    pub outbox: String,
    /// Everybody who is banned, by the moment of the ban.
    pub banned: String,
}

impl Keys {
    /// Under a tag; an empty one for bare names.
    pub fn new(tag: String) -> Self {
        let name = |bare: &str| format!("{tag}{bare}");
        Self {
            board: name("leaderboard:global"),
            state: name("leaderboard:global:state"),
            top: name("leaderboard:global:top"),
            throttle: name("leaderboard:global:throttle"),
            fence: name("leaderboard:global:fence"),
            shards: name("leaderboard:global:shards"),
            outbox: name("outbox"),
            banned: name("banned"),
            tag,
        }
    }

    fn of(&self, kind: &str, whose: &str) -> String {
        [&self.tag, kind, whose].concat()
    }

    fn of_user(&self, kind: &str, user: Uuid) -> String {
        self.of(kind, user.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }

    fn of_both(&self, kind: &str, user: Uuid, which: &str) -> String {
        let mut key = self.of_user(kind, user);
        key.push(':');
        key + which
    }

    fn of_network(&self, kind: &str, network: Network) -> String {
        self.of(kind, &network.to_string())
    }

    pub fn user_score(&self, user: Uuid) -> String {
        self.of_user("user:score:", user)
    }

    pub fn token(&self, id: &str) -> String {
        self.of("token:", id)
    }

    pub fn spent(&self, token_id: &str) -> String {
        self.of("spent:", token_id)
    }

    pub fn judging(&self, token_id: &str) -> String {
        self.of("judging:", token_id)
    }

    pub fn answer(&self, user: Uuid, key_digest: &str) -> String {
        self.of_both("answer:", user, key_digest)
    }

    pub fn award_rate(&self, user: Uuid) -> String {
        self.of_user("rate:awards:", user)
    }

    pub fn init_rate(&self, user: Uuid) -> String {
        self.of_user("rate:inits:", user)
    }

    pub fn start_rate(&self, user: Uuid) -> String {
        self.of_user("rate:starts:", user)
    }

    pub fn session(&self, user: Uuid) -> String {
        self.of_user("session:", user)
    }

    pub fn login_rate(&self, username_digest: &str) -> String {
        self.of("rate:logins:", username_digest)
    }

    pub fn login_rate_from(&self, network: Network) -> String {
        self.of_network("rate:logins-from:", network)
    }

    pub fn init_rate_from(&self, network: Network) -> String {
        self.of_network("rate:inits-from:", network)
    }

    pub fn register_rate_from(&self, network: Network) -> String {
        self.of_network("rate:registers-from:", network)
    }

    pub fn request_rate(&self, user: Uuid) -> String {
        self.of_user("rate:requests:", user)
    }

    pub fn request_rate_from(&self, network: Network) -> String {
        self.of_network("rate:requests-from:", network)
    }

    pub fn asked(&self, user: Uuid, action: &str) -> String {
        self.of_both("asked:", user, action)
    }

    pub fn proven(&self, user: Uuid) -> String {
        self.of_user("proven:", user)
    }

    pub fn once(&self, digest: &str) -> String {
        self.of(ONCE, digest)
    }

    pub fn quarantine(&self, user: Uuid) -> String {
        self.of_user("quarantine:", user)
    }

    pub fn ban(&self, user: Uuid) -> String {
        self.of_user("ban:", user)
    }

    pub fn action_limit(&self, user: Uuid, action: &str) -> String {
        self.of_both("limit:", user, action)
    }

    pub fn points(&self, user: Uuid) -> String {
        self.of_user("points:", user)
    }
}

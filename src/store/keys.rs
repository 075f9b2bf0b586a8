//! Makes every key and channel name; no other file does. `lua/README.md` describes what each holds.

use uuid::Uuid;

use super::BoardId;
use crate::network::Network;

/// Channel of a board.
pub fn board_channel(board: BoardId) -> String {
    format!("board:{board}")
}

/// Channel of the trace context of a traced award that changed a board, published before the board. Only nodes that trace subscribe.
pub fn trace_channel(board: BoardId) -> String {
    format!("trace:{board}")
}

/// Channel on which changes of a board's entries are announced. `address` is a board's id, or `id@value`.
pub fn entries_channel(address: &str) -> String {
    format!("entries:{address}")
}

/// What the channel of a user begins with.
pub const PERSONAL: &str = "personal:";

/// Channel of one user.
pub fn personal_channel(user: Uuid) -> String {
    format!("{PERSONAL}{user}")
}

/// The message on a user's channel that announces a ban (`lua/apply_restrictions.lua`).
pub const BAN_MESSAGE: &str = "banned";

/// Prefixes of the keys that a load from the ledger writes.
pub const IN_THE_LEDGER: [&str; 3] = ["user:score:", "quarantine:", "ban:"];

/// Prefixes of the keys that may have been used up since an older copy of Redis was made.
pub const USED_UP: [&str; 3] = ["token:", "session:", "proven:"];

/// How the bare name of every key begins.
pub const ALL: [&str; 19] = [
    "shard:",
    "leaderboard:",
    "user:score:",
    "token:",
    "session:",
    "spent:",
    "judging:",
    "once:",
    "proven:",
    "questions:",
    "answer:",
    "rate:",
    "limit:",
    "points:",
    "attempts:",
    "ban:",
    "quarantine:",
    "banned",
    "outbox",
];

pub const ONCE: &str = "once:";

/// The keys of one board in one shard, or of the merged board.
pub struct BoardKeys {
    /// The sorted set of scores.
    pub scores: String,
    pub state: String,
    pub top: String,
    /// Exists while the board must not be published again.
    pub throttle: String,
    /// What the merged board has of each shard.
    pub shards: String,
    /// The channels have no tag: they are the same in every shard.
    pub channel: String,
    pub trace_channel: String,
}

impl BoardKeys {
    fn new(tag: &str, board: BoardId) -> Self {
        let name = |ending: &str| format!("{tag}leaderboard:{board}{ending}");
        Self {
            scores: name(""),
            state: name(":state"),
            top: name(":top"),
            throttle: name(":throttle"),
            shards: name(":shards"),
            channel: board_channel(board),
            trace_channel: trace_channel(board),
        }
    }
}

/// The keys of one shard: bare names where there is one shard, else under a tag in braces. Redis Cluster hashes the tag only, so all keys
/// of a shard share one slot.
pub struct Keys {
    pub tag: String,
    /// What is true of the shard. The merged board is confirmed by itself, so there it is the board's own state.
    pub shard_state: String,
    /// Written before a node waits for replicas: a replica that has it has everything written before it.
    pub fence: String,
    pub outbox: String,
    /// Every banned user, by the time of the ban.
    pub banned: String,
    global: BoardKeys,
}

impl Keys {
    /// The keys of one shard, under its tag; empty for bare names.
    pub fn of_shard(tag: String) -> Self {
        let name = |bare: &str| format!("{tag}{bare}");
        Self {
            shard_state: name("shard:state"),
            fence: name("leaderboard:global:fence"),
            outbox: name("outbox"),
            banned: name("banned"),
            global: BoardKeys::new(&tag, BoardId::GLOBAL),
            tag,
        }
    }

    /// The keys of the board that is merged from all shards, under its tag.
    pub fn of_merged_board(tag: String) -> Self {
        let keys = Self::of_shard(tag);
        Self { shard_state: keys.global.state.clone(), ..keys }
    }

    /// The keys of a board. There is one board so far.
    pub fn board(&self, _: BoardId) -> &BoardKeys {
        &self.global
    }

    /// The sorted set of one period of a board that follows the ledger; these are the keys of that board's place. The keys of the other
    /// parts begin with it.
    pub fn period(&self, period: &str) -> String {
        format!("leaderboard:{}:{period}", self.tag)
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

    pub fn questions(&self, user: Uuid, action: &str) -> String {
        self.of_both("questions:", user, action)
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

    pub fn attempts(&self, user: Uuid) -> String {
        self.of_user("attempts:", user)
    }

    pub fn points(&self, user: Uuid) -> String {
        self.of_user("points:", user)
    }
}

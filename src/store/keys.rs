//! Every key and channel, made here and nowhere else. `lua/README.md` says what each holds.

use uuid::Uuid;

pub const BOARD: &str = "leaderboard:global";
pub const BOARD_STATE: &str = "leaderboard:global:state";
pub const BOARD_TEN: &str = "leaderboard:global:ten";
/// What replicas are asked for: whoever has it has what was written before it.
pub const BOARD_FENCE: &str = "leaderboard:global:fence";
pub const BOARD_WINDOW: &str = "leaderboard:global:window";
pub const OUTBOX: &str = "outbox";

/// Where a changed board is published.
pub const BOARD_CHANNEL: &str = "board:global";

/// Where a traced award says, before the board it changed is published, which trace that board belongs to. Not a line of the
/// publication, whose readers of older releases know no more lines; and nobody listens here whose tracing is off.
pub const TRACE_CHANNEL: &str = "trace:global";

/// Where a user's own changes are published.
pub fn personal_channel(user: Uuid) -> String {
    format!("personal:{user}")
}

/// What goes out on a user's channel with a ban (`lua/restrict.lua`).
pub const BANNED_NEWS: &str = "banned";

pub fn user_score(user: Uuid) -> String {
    format!("user:score:{user}")
}

/// What begins so is loaded from the ledger.
pub const IN_THE_LEDGER: [&str; 3] = ["user:score:", "aside:", "ban:"];

/// What begins so may have been used up since an older copy of Redis was made.
pub const USED_UP: [&str; 3] = ["token:", "session:", "proven:"];

pub fn token(id: &str) -> String {
    format!("token:{id}")
}

pub fn spent(token_id: &str) -> String {
    format!("spent:{token_id}")
}

pub fn answer(user: Uuid, key_digest: &str) -> String {
    format!("answer:{user}:{key_digest}")
}

pub fn award_rate(user: Uuid) -> String {
    format!("rate:awards:{user}")
}

pub fn init_rate(user: Uuid) -> String {
    format!("rate:inits:{user}")
}

pub fn start_rate(user: Uuid) -> String {
    format!("rate:starts:{user}")
}

pub fn session(user: Uuid) -> String {
    format!("session:{user}")
}

pub fn login_rate(username_digest: &str) -> String {
    format!("rate:logins:{username_digest}")
}

pub fn login_rate_from(address: std::net::IpAddr) -> String {
    format!("rate:logins-from:{address}")
}

/// Everybody who is banned, by the moment of the ban.
pub const BANNED: &str = "banned";

pub fn init_rate_from(address: std::net::IpAddr) -> String {
    format!("rate:inits-from:{address}")
}

pub fn asked(user: Uuid, action: &str) -> String {
    format!("asked:{user}:{action}")
}

pub fn proven(user: Uuid) -> String {
    format!("proven:{user}")
}

pub const ONCE: &str = "once:";

pub fn once(digest: &str) -> String {
    format!("{ONCE}{digest}")
}

pub fn aside(user: Uuid) -> String {
    format!("aside:{user}")
}

pub fn register_rate_from(address: std::net::IpAddr) -> String {
    format!("rate:registers-from:{address}")
}

pub fn request_rate(user: Uuid) -> String {
    format!("rate:requests:{user}")
}

pub fn request_rate_from(address: std::net::IpAddr) -> String {
    format!("rate:requests-from:{address}")
}

pub fn ban(user: Uuid) -> String {
    format!("ban:{user}")
}

pub fn action_limit(user: Uuid, action: &str) -> String {
    format!("limit:{user}:{action}")
}

pub fn points(user: Uuid) -> String {
    format!("points:{user}")
}

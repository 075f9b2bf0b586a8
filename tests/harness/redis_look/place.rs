//! Where a command goes that a test says in bare names, as `lua/README.md` has them: with several shards each key has its
//! shard in front, `{8.3}user:score:…`, and some are in every shard.

use laurel::store::shard_of;
use uuid::Uuid;

/// Keys with a user's id in them, in that user's shard.
const OF_USERS: [&str; 13] = [
    "user:score:",
    "session:",
    "proven:",
    "asked:",
    "answer:",
    "rate:awards:",
    "rate:starts:",
    "rate:inits:",
    "rate:requests:",
    "limit:",
    "points:",
    "ban:",
    "quarantine:",
];

/// Keys of the board that is shown.
const SHOWN: [&str; 3] =
    ["leaderboard:global:top", "leaderboard:global:throttle", "leaderboard:global:shards"];

/// Who is to do it.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// One of them, whichever.
    Any,
    /// Everybody who can be written to.
    Masters,
    /// Every process.
    Everybody,
    /// These hash tags, with the key in front of which they stand being the first word after the command.
    Tags(Vec<String>),
    /// The one of these tags that has the key.
    Holder(Vec<String>),
}

/// Where a command goes with so many shards.
pub fn of(words: &[&str], shards: usize) -> Place {
    match words[0] {
        "FLUSHALL" | "KEYS" => return Place::Masters,
        "CONFIG" | "CLIENT" | "PUBSUB" | "SCRIPT" | "INFO" | "REPLICAOF" => return Place::Everybody,
        "TIME" | "PUBLISH" => return Place::Any,
        _ => {}
    }
    let (key, rest) = (words[1], &words[2..]);
    let tag = |shard: usize| format!("{{{shards}.{shard}}}");
    let of_user = |user: Uuid| Place::Tags(vec![tag(shard_of(user.as_bytes(), shards))]);
    let every = || (0..shards).map(tag).collect();
    let user = || rest.iter().find_map(|it| Uuid::parse_str(it.split(' ').next()?).ok());
    if OF_USERS.iter().any(|it| key.starts_with(it)) {
        of_user(key.split(':').find_map(|it| Uuid::parse_str(it).ok()).unwrap())
    } else if key.starts_with("rate:") {
        let text = key.rsplit(':').next().unwrap();
        Place::Tags(vec![tag(shard_of(text.as_bytes(), shards))])
    } else if SHOWN.contains(&key) || shows(key, rest) {
        Place::Tags(vec![format!("{{{shards}.all}}")])
    } else if let Some(user) = user() {
        of_user(user)
    } else if words[0] == "ZADD" {
        // Somebody whom no shard knows.
        Place::Tags(vec![tag(0)])
    } else if ["token:", "spent:", "judging:", "once:"].iter().any(|it| key.starts_with(it)) {
        Place::Holder(every())
    } else {
        Place::Tags(every())
    }
}

/// Of the board's state, what is said of the board that is shown; the rest each shard says of itself.
fn shows(key: &str, rest: &[&str]) -> bool {
    key == "leaderboard:global:state" && ["version", "published"].contains(&rest[0])
}

/// A key without its shard.
pub fn bare(key: &str) -> &str {
    if key.starts_with('{') { key.split_once('}').unwrap().1 } else { key }
}

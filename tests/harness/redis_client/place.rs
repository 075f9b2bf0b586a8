//! Routing of commands by keys without prefixes, as `lua/README.md` lists them. With several shards each key has the prefix of its shard,
//! `{8.3}user:score:…`, and some keys exist in every shard.

use laurel::store::shard_of;
use uuid::Uuid;

/// Keys with a user's id, which are in the shard of this user.
const OF_USERS: [&str; 13] = [
    "user:score:",
    "session:",
    "proven:",
    "questions:",
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

/// Keys of the merged board.
const SHOWN: [&str; 3] =
    ["leaderboard:global:top", "leaderboard:global:throttle", "leaderboard:global:shards"];

/// Where a command runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// On any process.
    Any,
    /// On every master.
    Masters,
    /// On every process.
    All,
    /// With each of these hash tags as the prefix of the key.
    Tags(Vec<String>),
    /// With the one of these hash tags for which the key exists.
    Holder(Vec<String>),
}

/// Where a command runs, by the number of shards.
pub fn of(words: &[&str], shards: usize) -> Place {
    match words[0] {
        "FLUSHALL" | "KEYS" => return Place::Masters,
        "CONFIG" | "CLIENT" | "PUBSUB" | "SCRIPT" | "INFO" | "REPLICAOF" => return Place::All,
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
    } else if SHOWN.contains(&key) || is_merged_state(key, rest) {
        Place::Tags(vec![format!("{{{shards}.all}}")])
    } else if let Some(user) = user() {
        of_user(user)
    } else if words[0] == "ZADD" {
        // A member that is no user.
        Place::Tags(vec![tag(0)])
    } else if ["token:", "spent:", "judging:", "once:"].iter().any(|it| key.starts_with(it)) {
        Place::Holder(every())
    } else {
        Place::Tags(every())
    }
}

/// Whether a command reads a field of the merged board's state. The other fields exist in every shard.
fn is_merged_state(key: &str, rest: &[&str]) -> bool {
    key == "leaderboard:global:state"
        && rest.first().is_some_and(|field| ["version", "published"].contains(field))
}

/// A key without the prefix of its shard.
pub fn bare(key: &str) -> &str {
    if key.starts_with('{') { key.split_once('}').unwrap().1 } else { key }
}

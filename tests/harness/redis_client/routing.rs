//! Routes commands by their keys, which `lua/README.md` lists without prefixes. With several shards each key has the prefix of its shard, such as
//! `{8.3}user:score:…`, and some keys exist in every shard.

use laurel::store::shard_of;
use uuid::Uuid;

/// Keys with the id of a user, which are in the shard of this user.
const USER_KEYS: [&str; 13] = [
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
const MERGED_BOARD_KEYS: [&str; 3] =
    ["leaderboard:global:top", "leaderboard:global:throttle", "leaderboard:global:shards"];

/// Where a command runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Route {
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

/// Where a command runs with this number of shards.
pub fn route(words: &[&str], shards: usize) -> Route {
    match words[0] {
        "FLUSHALL" | "KEYS" => return Route::Masters,
        "CONFIG" | "CLIENT" | "PUBSUB" | "SCRIPT" | "INFO" | "REPLICAOF" => return Route::All,
        "TIME" | "PUBLISH" => return Route::Any,
        _ => {}
    }
    let (key, rest) = (words[1], &words[2..]);
    let tag = |shard: usize| format!("{{{shards}.{shard}}}");
    let of_user = |user: Uuid| Route::Tags(vec![tag(shard_of(user.as_bytes(), shards))]);
    let every = || (0..shards).map(tag).collect();
    let user = || rest.iter().find_map(|word| Uuid::parse_str(word.split(' ').next()?).ok());
    if USER_KEYS.iter().any(|prefix| key.starts_with(prefix)) {
        of_user(key.split(':').find_map(|part| Uuid::parse_str(part).ok()).unwrap())
    } else if key.starts_with("rate:") {
        let text = key.rsplit(':').next().unwrap();
        Route::Tags(vec![tag(shard_of(text.as_bytes(), shards))])
    } else if MERGED_BOARD_KEYS.contains(&key) || is_merged_state(key, rest) {
        Route::Tags(vec![format!("{{{shards}.all}}")])
    } else if let Some(user) = user() {
        of_user(user)
    } else if words[0] == "ZADD" {
        // The member is not a user.
        Route::Tags(vec![tag(0)])
    } else if ["token:", "spent:", "judging:", "once:"].iter().any(|prefix| key.starts_with(prefix)) {
        Route::Holder(every())
    } else {
        Route::Tags(every())
    }
}

/// True if a command reads a field of the state of the merged board. The other fields exist in every shard.
fn is_merged_state(key: &str, rest: &[&str]) -> bool {
    key == "leaderboard:global:state"
        && rest.first().is_some_and(|field| ["version", "published"].contains(field))
}

/// A key without the prefix of its shard.
pub fn without_prefix(key: &str) -> &str {
    if key.starts_with('{') { key.split_once('}').unwrap().1 } else { key }
}

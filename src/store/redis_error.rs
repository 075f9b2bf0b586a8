//! What an error of Redis means: whether it passes, and what an operator reads of it.

use redis::{ErrorKind, RedisError, ServerError};

use crate::error::Fault;

/// A fault of what was `doing`, in Redis' own words. It passes (503) unless the command itself is wrong (500).
pub fn fault(doing: &'static str, error: RedisError) -> Fault {
    let words = words(&error);
    if is_wrong(&error) { Fault::new(doing, words) } else { Fault::retryable(doing, words) }
}

/// What the server said, or the system of the connection to it.
pub fn words(error: &RedisError) -> String {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, first), ..]) => {
            format!("{} {}", first.code(), first.details().unwrap_or_default()).trim_end().to_owned()
        }
        // redis-rs keeps none of the server's words: `greet` asks for them.
        _ if error.kind() == ErrorKind::AuthenticationFailed => "Redis refuses the login".to_owned(),
        // What speaks another protocol is shown byte by byte.
        _ if error.kind() == ErrorKind::Parse => error.to_string().replace('\n', " ").trim_end().to_owned(),
        _ => error.to_string(),
    }
}

/// What an operator can do where Redis says this when a node starts.
pub fn advice(words: &str) -> &'static str {
    let says = |codes: &[&str]| codes.iter().any(|it| words.starts_with(it));
    if says(&LOGIN) {
        "set the user and the password in REDIS_URL to the server's"
    } else if says(&["NOPERM"]) {
        "give the user in REDIS_URL the rights in deploy/redis/users.acl"
    } else if says(&["LOADING"]) {
        "start again when it has loaded its data"
    } else if says(&["ERR"]) {
        "is REDIS_URL right?"
    } else {
        "is Redis running there, and is REDIS_URL right?"
    }
}

/// How the words of a server begin that wants another login.
pub const LOGIN: [&str; 3] = ["NOAUTH", "WRONGPASS", "ERR AUTH"];

/// Whether Redis will say so again: the command is wrong, or its answer has not the type that is expected. All else passes: a server
/// is full, lacks replicas or changes its role, and an operator changes its password or Laurel's rights.
fn is_wrong(error: &RedisError) -> bool {
    match error.clone().into_server_errors() {
        Some(errors) => errors.iter().any(|(_, it)| is_wrong_command(it)),
        None => matches!(
            error.kind(),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::InvalidClientConfig
        ),
    }
}

/// What passes, but has no code of its own in Redis 7.0.
const PASSING: [&str; 2] = ["The user executing the script can't", "max number of clients reached"];

fn is_wrong_command(error: &ServerError) -> bool {
    let details = error.details().unwrap_or_default();
    ["ERR", "WRONGTYPE", "CROSSSLOT"].contains(&error.code())
        && !PASSING.iter().any(|it| details.starts_with(it))
}

/// Whether a server says that it does not serve a slot, or not just now: then it has done nothing. Of a pipeline's commands all are
/// about one slot.
pub fn is_elsewhere(error: &RedisError) -> bool {
    let codes = ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN"];
    let one = error.code().is_some_and(|code| codes.contains(&code));
    one || error
        .clone()
        .into_server_errors()
        .is_some_and(|errors| !errors.is_empty() && errors.iter().all(|(_, it)| codes.contains(&it.code())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> RedisError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(redis::Value::ServerError(error)) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_wrong_command_is_our_fault() {
        for line in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "NOREPLICAS Not enough good replicas to write.",
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
            "READONLY You can't write against a read only replica.",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "NOPERM this user has no permissions to run the 'zadd' command",
            "ERR The user executing the script can't run this command or subcommand script: 8982c4",
            "ERR The user executing the script can't access at least one of the keys mentioned",
            "ERR max number of clients reached",
            "DENIED Redis is running in protected mode because protected mode is enabled",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN The cluster is down",
            "EXECABORT Transaction discarded because of previous errors.",
            "WHATEVER a later version says",
        ] {
            let fault = fault("ask", said(line));
            assert!(fault.retryable && fault.to_string() == format!("could not ask: {line}"), "{fault}");
        }
        for line in [
            "ERR unknown command 'NOTHING', with args beginning with: ",
            "ERR user_script:1: attempt to index a nil value",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "CROSSSLOT Keys in request don't hash to the same slot",
        ] {
            assert!(!fault("ask", said(line)).retryable, "{line}");
        }
    }
}

//! Classification of Redis errors: whether a retry can help, and what an operator reads.

use redis::{ErrorKind, RedisError, ServerError};

use crate::error::Fault;

/// Converts an error to a fault with the text of Redis: retryable (503), unless the command itself is wrong (500).
pub fn fault(operation: &'static str, error: RedisError) -> Fault {
    let text = error_text(&error);
    if is_permanent(&error) { Fault::new(operation, text) } else { Fault::retryable(operation, text) }
}

/// The fault for the text of an error reply that a script returned.
pub fn script_error(operation: &'static str, text: &[u8]) -> Fault {
    let reply = [b"-", text, b"\r\n"].concat();
    match redis::parse_redis_value(&reply).and_then(redis::Value::extract_error) {
        Err(error) => fault(operation, error),
        Ok(_) => Fault::new(operation, String::from_utf8_lossy(text).into_owned()),
    }
}

/// The error reply of the server, or the error of the connection.
pub fn error_text(error: &RedisError) -> String {
    match error.clone().into_server_errors().as_deref() {
        Some([(_, first), ..]) => {
            format!("{} {}", first.code(), first.details().unwrap_or_default()).trim_end().to_owned()
        }
        // redis-rs drops the reply; `Server::log_in` reads it.
        _ if error.kind() == ErrorKind::AuthenticationFailed => "Redis refuses the login".to_owned(),
        // The text of another protocol may have several lines.
        _ if error.kind() == ErrorKind::Parse => error.to_string().replace('\n', " ").trim_end().to_owned(),
        _ => error.to_string(),
    }
}

/// What an operator can do about an error at startup.
pub fn advice(text: &str) -> &'static str {
    let starts_with = |codes: &[&str]| codes.iter().any(|code| text.starts_with(code));
    if starts_with(&LOGIN_ERRORS) {
        "set the user and the password in REDIS_URL to those of the server"
    } else if starts_with(&["NOPERM"]) {
        "grant the user in REDIS_URL the rights in deploy/redis/users.acl"
    } else if starts_with(&["LOADING"]) {
        "start again when it has loaded its data"
    } else if starts_with(&["ERR"]) {
        "check REDIS_URL"
    } else {
        "check that Redis runs there and that REDIS_URL is right"
    }
}

/// Prefixes of errors about the login.
pub const LOGIN_ERRORS: [&str; 3] = ["NOAUTH", "WRONGPASS", "ERR AUTH"];

/// Whether a retry fails too: the command is wrong, or the reply has an unexpected type. Other errors are temporary: a server is full,
/// lacks replicas or changes its role, or an operator changes its password or the rights of Laurel.
fn is_permanent(error: &RedisError) -> bool {
    match error.clone().into_server_errors() {
        Some(errors) => errors.iter().any(|(_, it)| is_wrong_command(it)),
        None => matches!(
            error.kind(),
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType | ErrorKind::InvalidClientConfig
        ),
    }
}

/// Temporary errors that have only the code ERR in Redis 7.0.
const TEMPORARY: [&str; 2] = ["The user executing the script can't", "max number of clients reached"];

fn is_wrong_command(error: &ServerError) -> bool {
    let details = error.details().unwrap_or_default();
    ["ERR", "WRONGTYPE", "CROSSSLOT"].contains(&error.code())
        && !TEMPORARY.iter().any(|prefix| details.starts_with(prefix))
}

/// Whether a server does not serve a slot, or not now: it has executed nothing. All commands of a pipeline are about one slot.
pub fn is_redirect(error: &RedisError) -> bool {
    let codes = ["MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN", "READONLY", "MASTERDOWN"];
    error.code().is_some_and(|code| codes.contains(&code))
        || error.clone().into_server_errors().is_some_and(|errors| {
            !errors.is_empty() && errors.iter().all(|(_, error)| codes.contains(&error.code()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_reply(line: &str) -> RedisError {
        match redis::parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(redis::Value::ServerError(error)) => error.into(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_wrong_command_is_permanent() {
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
            let fault = fault("ping_redis", error_reply(line));
            assert!(
                fault.retryable && fault.to_string() == format!("could not ping redis: {line}"),
                "{fault}"
            );
        }
        for line in [
            "ERR unknown command 'NOTHING', with args beginning with: ",
            "ERR user_script:1: attempt to index a nil value",
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "CROSSSLOT Keys in request don't hash to the same slot",
        ] {
            assert!(!fault("ping_redis", error_reply(line)).retryable, "{line}");
        }
    }
}

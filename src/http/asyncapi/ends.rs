//! How a connection ends by each protocol, and what a client does then. Codes and reasons are those of `live::End`.

use serde_json::{Value, json};

use crate::live::End;

/// The ends that a client may come to; what a broken frame is told says how it was broken.
const ENDS: [(End, &str, &str); 8] = [
    (
        End::Draining { retry_ms: 742 },
        "The node stops",
        "Comes back after so many ms: another number for each, 200 to 2000",
    ),
    (End::LoginOver, "The login has run out", "Logs in again"),
    (End::Banned, "The user is banned", "Stays away"),
    (End::TooSlow, "Nothing was read for `live.write_timeout_ms`", "Comes back"),
    (End::TooMuch, "More than 100 messages were said in a second", "Says less"),
    (End::Broken(1002), "A frame was broken", "Is mended"),
    (End::Broken(1007), "A text was no UTF-8", "Is mended"),
    (End::Broken(1009), "A message had more than 4 KiB (Socket.IO: 16 KiB) or 64 frames", "Says less"),
];

/// Close codes (RFC 6455, section 7.4) with their reasons.
pub fn web_socket() -> Value {
    ends(|end| Some(json!({ "sign": "a close frame", "code": end.code(), "reason": end.reason() })))
}

/// A client that hears no packet comes back by itself, and one that hears one does not.
pub fn socket_io() -> Value {
    ends(|end| Some(json!({ "sign": if end.is_for_good() { "`41`" } else { "the transport closes" } })))
}

/// Who reads events says nothing that could be wrong, and who reads none hears no last words.
pub fn stream() -> Value {
    ends(|end| match end {
        End::Broken(_) | End::TooMuch => None,
        End::TooSlow => Some(json!({ "sign": "the end" })),
        _ => Some(json!({ "sign": format!("`retry: {}`, the end", end.retry_ms()) })),
    })
}

fn ends(sign: impl Fn(&End) -> Option<Value>) -> Value {
    let told = ENDS.iter().filter_map(|(end, why, client)| {
        let mut told = sign(end)?;
        (told["why"], told["client"]) = ((*why).into(), (*client).into());
        Some(told)
    });
    told.collect()
}

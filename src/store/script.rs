//! The scripts, each put together from its file and the parts of `lua/lib` that it needs. EVALSHA loads a missing one by
//! itself, so a restarted Redis needs no care.

use redis::Script;

macro_rules! lua {
    ($file:literal needs $($part:literal)*) => {
        Script::new(concat!(
            $(include_str!(concat!("../../lua/lib/", $part, ".lua")), "\n",)*
            include_str!(concat!("../../lua/", $file, ".lua"))
        ))
    };
}

/// One field a script, named like its file.
pub struct Scripts {
    pub issue: Script,
    pub redeem: Script,
    pub start: Script,
    pub session: Script,
    pub finish: Script,
    pub standing: Script,
    pub attempt: Script,
    pub lease: Script,
    pub look: Script,
    pub flush: Script,
    pub mend: Script,
    pub settle: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            issue: lua!("issue" needs "reply" "clock" "rate" "door" "limits" "outbox"),
            redeem: lua!("redeem" needs "reply" "clock" "rate" "limits" "session" "board" "outbox"),
            start: lua!("start" needs "reply" "clock" "rate" "door" "session" "outbox"),
            session: lua!("session" needs "reply" "clock" "session"),
            finish: lua!("finish" needs "reply" "clock" "session" "outbox"),
            standing: lua!("standing" needs "clock"),
            attempt: lua!("attempt" needs "rate"),
            lease: lua!("lease" needs),
            look: lua!("look" needs),
            flush: lua!("flush" needs "clock" "board"),
            mend: lua!("mend" needs "clock" "board"),
            settle: lua!("settle" needs),
        }
    }
}

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
    pub prove: Script,
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
    pub confirm: Script,
    pub lift: Script,
    pub load: Script,
    pub restrict: Script,
    pub adjust: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            issue: lua!("issue" needs "reply" "clock" "epoch" "rate" "door" "limits" "token" "outbox"),
            prove: lua!("prove" needs "reply" "clock" "epoch" "rate" "door" "limits" "session" "token" "proof" "outbox"),
            redeem: lua!("redeem" needs "reply" "clock" "epoch" "rate" "limits" "session" "token" "proof" "board" "outbox"),
            start: lua!("start" needs "reply" "clock" "epoch" "rate" "door" "session" "token" "outbox"),
            session: lua!("session" needs "reply" "clock" "session"),
            finish: lua!("finish" needs "reply" "clock" "epoch" "session" "outbox"),
            standing: lua!("standing" needs "reply" "clock" "epoch"),
            attempt: lua!("attempt" needs "rate"),
            look: lua!("look" needs "clock" "epoch"),
            lease: lua!("lease" needs),
            flush: lua!("flush" needs "clock" "board"),
            mend: lua!("mend" needs "clock" "board" "merge"),
            confirm: lua!("confirm" needs "clock" "epoch" "board"),
            load: lua!("load" needs),
            lift: lua!("lift" needs "clock" "epoch" "board"),
            restrict: lua!("restrict" needs "reply" "clock" "epoch" "board" "merge" "outbox"),
            adjust: lua!("adjust" needs "reply" "clock" "epoch" "board" "merge" "outbox"),
        }
    }
}

//! The scripts, each put together from its file and the parts of `lua/lib` that it needs. A Redis that does not know one is told it
//! in full, and then knows it, so one that was restarted or took over needs no care.

use redis::Cmd;

/// One script.
#[derive(Clone)]
pub struct Script {
    /// Its file's.
    pub name: &'static str,
    /// What comes behind the line that says which run it is bound to.
    code: &'static str,
    /// Of the one that is bound to none.
    sha: String,
}

impl Script {
    fn new(name: &'static str, code: &'static str) -> Self {
        let sha = redis::Script::new(&begun(UNBOUND, code)).get_hash().to_owned();
        Self { name, code, sha }
    }

    /// Called by its SHA-1, or by that of the same script bound to a run.
    pub fn by_name(&self, bound: Option<&str>, keys: &[&str], arguments: &[String]) -> Cmd {
        call("EVALSHA", bound.unwrap_or(&self.sha), keys, arguments)
    }

    /// The same script for one run of Redis: see `lua/lib/epoch.lua`.
    pub fn bound_to(&self, run: &str) -> String {
        begun(&format!("'{run}'"), self.code)
    }

    /// Called by all that it is.
    pub fn in_full(&self, keys: &[&str], arguments: &[String]) -> Cmd {
        call("EVAL", &begun(UNBOUND, self.code), keys, arguments)
    }
}

const UNBOUND: &str = "nil";

/// How every script begins: with the run that it is bound to.
fn begun(run: &str, code: &str) -> String {
    format!("local RUN = {run}\n{code}")
}

fn call(command: &str, script: &str, keys: &[&str], arguments: &[String]) -> Cmd {
    let mut call = redis::cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    call
}

macro_rules! lua {
    ($file:literal needs $($part:literal)*) => {
        Script::new($file, concat!(
            $(include_str!(concat!("../../lua/lib/", $part, ".lua")), "\n",)*
            include_str!(concat!("../../lua/", $file, ".lua"))
        ))
    };
}

/// One field a script, named like its file.
pub struct Scripts {
    pub issue: Script,
    pub action_waits: Script,
    pub prove: Script,
    pub redeem: Script,
    pub release: Script,
    pub start: Script,
    pub session: Script,
    pub finish: Script,
    pub standing: Script,
    pub attempt: Script,
    pub lease: Script,
    pub poll: Script,
    pub count_above: Script,
    pub merge_shard: Script,
    pub complete_answer: Script,
    pub flush: Script,
    pub refill_top: Script,
    pub open_board: Script,
    pub raise_version: Script,
    pub load: Script,
    pub apply_restrictions: Script,
    pub adjust: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            issue: lua!("issue" needs "reply" "clock" "epoch" "rate" "precheck" "limits" "token" "outbox"),
            action_waits: lua!("action_waits" needs "clock" "limits"),
            prove: lua!("prove" needs "reply" "clock" "epoch" "rate" "precheck" "limits" "session" "token" "proof" "judging" "answer" "outbox"),
            redeem: lua!("redeem" needs "reply" "clock" "epoch" "rate" "limits" "session" "token" "proof" "judging" "answer" "board" "outbox"),
            release: lua!("release" needs "reply" "judging"),
            start: lua!("start" needs "reply" "clock" "epoch" "rate" "precheck" "session" "token" "outbox"),
            session: lua!("session" needs "reply" "clock" "session"),
            finish: lua!("finish" needs "reply" "clock" "epoch" "session" "outbox"),
            standing: lua!("standing" needs "reply" "clock" "epoch"),
            attempt: lua!("attempt" needs "rate"),
            poll: lua!("poll" needs "clock" "epoch"),
            count_above: lua!("count_above" needs),
            merge_shard: lua!("merge_shard" needs "clock" "epoch" "board" "merge"),
            complete_answer: lua!("complete_answer" needs),
            lease: lua!("lease" needs "rate"),
            flush: lua!("flush" needs "clock" "board"),
            refill_top: lua!("refill_top" needs "clock" "epoch" "board" "merge"),
            open_board: lua!("open_board" needs "clock" "epoch" "board"),
            load: lua!("load" needs),
            raise_version: lua!("raise_version" needs "clock" "epoch" "board"),
            apply_restrictions: lua!("apply_restrictions" needs "reply" "clock" "epoch" "board" "merge" "outbox"),
            adjust: lua!("adjust" needs "reply" "clock" "epoch" "board" "merge" "outbox"),
        }
    }

    /// The scripts on the way of an award that check the run of Redis.
    pub fn bindable(&self) -> [&Script; 6] {
        [&self.issue, &self.prove, &self.redeem, &self.start, &self.finish, &self.merge_shard]
    }
}

//! The scripts, assembled from their declarations. Redis gets a script's full text only where it does not know the script yet, so
//! a Redis that was restarted or took over needs no extra step.

pub(in crate::store) mod declaration;
pub(in crate::store) mod reply;

use std::sync::Arc;

use redis::Cmd;

use crate::store::outbox::entry::words_in_lua;
use crate::store::script::declaration::{Declaration, ScriptCall};

/// One script.
#[derive(Clone)]
pub struct Script {
    /// Its file's name without the ending.
    pub name: &'static str,
    /// The text after the first line, which names the run of Redis that the script is bound to.
    code: Arc<str>,
    /// SHA-1 of the script that is bound to no run.
    sha: String,
}

impl Script {
    pub fn new(declaration: &Declaration) -> Self {
        let code: Arc<str> = assemble(declaration).into();
        let sha = redis::Script::new(&with_run(UNBOUND, &code)).get_hash().to_owned();
        Self { name: declaration.name, code, sha }
    }

    /// Calls it by its SHA-1, or by that of the same script bound to a run.
    pub fn by_sha(&self, bound: Option<&str>, call: &dyn ScriptCall) -> Cmd {
        command("EVALSHA", bound.unwrap_or(&self.sha), call)
    }

    /// The text for one run of Redis: see `lua/lib/epoch.lua`.
    pub fn bound_to(&self, run: &str) -> String {
        with_run(&format!("'{run}'"), &self.code)
    }

    /// Calls it by its text.
    pub fn by_text(&self, call: &dyn ScriptCall) -> Cmd {
        command("EVAL", &with_run(UNBOUND, &self.code), call)
    }
}

const UNBOUND: &str = "nil";

fn with_run(run: &str, code: &str) -> String {
    format!("local RUN = {run}\n{code}")
}

/// Arguments and bytes of a usual call, so that encoding one allocates once.
const USUAL_ARGUMENTS: usize = 56;
const USUAL_BYTES: usize = 1536;

fn command(name: &str, script: &str, call: &dyn ScriptCall) -> Cmd {
    let mut command = Cmd::with_capacity(USUAL_ARGUMENTS, USUAL_BYTES);
    command.arg(name).arg(script);
    call.encode(&mut command);
    command
}

/// The parts that a script shares with others, the prologue, and the script's own text.
fn assemble(declaration: &Declaration) -> String {
    let mut body = declaration.body.to_owned();
    for (name, fields) in declaration.fields {
        body = body.replace(name, &fields.join(", "));
    }
    let libs = LIBS.iter().filter(|(name, _)| declaration.libs.contains(name));
    let libs: String = libs.flat_map(|(_, text)| [*text, "\n"]).collect();
    libs.replace("ENTRY_WORDS", &words_in_lua()) + &declaration.prologue() + &body
}

macro_rules! libs {
    ($($name:ident)*) => {
        /// The parts, in the order in which they may use each other.
        const LIBS: &[(&str, &str)] = &[$((
            stringify!($name),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/lib/", stringify!($name), ".lua")),
        )),*];
    };
}

libs!(reply clock epoch rate precheck limits session token proof attempts judging answer entry board merge personal_update outbox entry_order);

macro_rules! scripts {
    ($($name:ident: $Call:path),* $(,)?) => {
        /// One field for each script, with its file's name.
        pub struct Scripts {
            $(pub $name: Script,)*
        }

        impl Scripts {
            pub fn new() -> Self {
                Self { $($name: Script::new(&<$Call>::DECLARATION),)* }
            }
        }

        /// The declaration of every script.
        pub const DECLARATIONS: &[Declaration] = &[$(<$Call>::DECLARATION),*];
    };
}

scripts! {
    issue: crate::store::commands::issue::IssueCall<'_>,
    action_waits: crate::store::commands::action_waits::ActionWaitsCall<'_>,
    prove: crate::store::commands::prove::ProveCall<'_>,
    redeem: crate::store::commands::redeem::RedeemCall<'_>,
    release: crate::store::commands::judging::ReleaseCall<'_>,
    start: crate::store::commands::session::StartCall<'_>,
    session: crate::store::commands::session::SessionCall<'_>,
    finish: crate::store::commands::session::FinishCall<'_>,
    standing: crate::store::commands::session::StandingCall<'_>,
    attempt: crate::store::commands::attempt::AttemptCall<'_>,
    lease: crate::store::commands::lease::LeaseCall<'_>,
    poll: crate::store::board::poll::PollCall<'_>,
    flush: crate::store::board::poll::FlushCall<'_>,
    refill_top: crate::store::board::poll::RefillTopCall<'_>,
    count_above: crate::store::board::rank::CountAboveCall<'_>,
    merge_shard: crate::store::board::merged::MergeShardCall<'_>,
    complete_answer: crate::store::board::merged::CompleteAnswerCall<'_>,
    open_board: crate::store::board::opening::OpenBoardCall<'_>,
    raise_version: crate::store::board::opening::RaiseVersionCall<'_>,
    advance_clock: crate::store::board::advance_clock::AdvanceClockCall<'_>,
    load: crate::store::board::load::LoadCall<'_>,
    apply_restrictions: crate::store::commands::admin::ApplyRestrictionsCall<'_>,
    adjust: crate::store::commands::admin::AdjustCall<'_>,
    apply_entries: crate::store::entries::apply::ApplyEntriesCall<'_>,
    replace_entries: crate::store::entries::load::ReplaceEntriesCall<'_>,
    read_entries: crate::store::entries::read::ReadEntriesCall<'_>,
}

impl Scripts {
    /// The scripts that check the run of Redis in an award, which a node binds to a run.
    pub fn bindable(&self) -> [&Script; 6] {
        [&self.issue, &self.prove, &self.redeem, &self.start, &self.finish, &self.merge_shard]
    }
}

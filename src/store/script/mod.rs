//! The scripts, assembled from their declarations. Redis gets a script's full text only where it does not know the script yet, so
//! a Redis that was restarted or took over needs no extra step.

pub(in crate::store) mod declaration;
pub(in crate::store) mod reply;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use redis::Cmd;

use crate::store::commands::redeem::RedeemCall;
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
        Self::of_code(declaration.name, assemble(declaration, None).into())
    }

    /// The script for a list of these calls.
    fn list(name: &'static str, declaration: &Declaration, text: &str) -> Self {
        Self::of_code(name, assemble(declaration, Some(text)).into())
    }

    fn of_code(name: &'static str, code: Arc<str>) -> Self {
        let sha = redis::Script::new(&with_run(UNBOUND, &code)).get_hash().to_owned();
        Self { name, code, sha }
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
pub const USUAL_ARGUMENTS: usize = 56;
pub const USUAL_BYTES: usize = 1536;

fn command(name: &str, script: &str, call: &dyn ScriptCall) -> Cmd {
    let mut command = Cmd::with_capacity(USUAL_ARGUMENTS, USUAL_BYTES);
    command.arg(name).arg(script);
    call.encode(&mut command);
    command
}

/// The parts that a script shares with others, the prologue, and the script's own text; for a list of calls in a function, and then the
/// text that calls it.
fn assemble(declaration: &Declaration, list: Option<&str>) -> String {
    let mut body = declaration.body.to_owned();
    for (name, fields) in declaration.fields {
        body = body.replace(&format!("{name}_FIELDS"), &fields.join(", "));
        body = body.replace(&format!("{name}_LINES"), &fields.join(" .. '\\n' .. "));
    }
    let libs = LIBS.iter().filter(|(name, _)| declaration.libs.contains(name));
    let libs: String = libs.flat_map(|(_, text)| [*text, "\n"]).collect();
    let libs = libs.replace("ENTRY_WORDS", &words_in_lua());
    let (shared, own) = body.split_once(EACH).unwrap_or(("", &body));
    let shared = declaration.shared_prologue() + shared;
    let prologue = declaration.prologue(list.is_some());
    let own = own.replace("IS_IN_LIST", if list.is_some() { "true" } else { "false" });
    let code = match list {
        Some(rest) => {
            let [first_key, first_arg] = declaration.first_own();
            let rest = rest.replace("FIRST_KEY", &first_key.to_string());
            let rest = rest.replace("FIRST_ARG", &first_arg.to_string());
            let begin = "\nlocal function redeem_one(first_key, last_key, first_arg, last_arg)\n";
            [&libs, &shared, begin, &prologue, &own, "end\n", &rest].concat()
        }
        None if shared.is_empty() => [&libs, &*prologue, &own].concat(),
        None => [&libs, &shared, "\nlocal last_key = #KEYS\n", &prologue, &own].concat(),
    };
    inline_constants(&without_unused_functions(&code))
}

/// The end of the comment in `redeem.lua` after which its text is that of one token.
const EACH: &str = "redeem_list.lua has it in a function.";

/// Puts the values of constants where their names are: each script call would create and look up some thirty of them, and a Lua function
/// may use at most sixty locals from outside.
fn inline_constants(code: &str) -> String {
    let mut values = HashMap::<&str, String>::new();
    let mut inlined = String::with_capacity(code.len());
    for line in code.lines() {
        let line_inlined = replace_words(line, &values);
        let constant = line.strip_prefix("local ").and_then(|rest| rest.split_once(" = "));
        let constant =
            constant.filter(|(name, _)| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
        let value = line_inlined.split_once(" = ").map(|(_, value)| value);
        match (constant, value) {
            (Some((name, _)), Some(value))
                if value.bytes().all(|byte| byte.is_ascii_digit() || b" *()".contains(&byte)) =>
            {
                values.insert(name, format!("({value})"));
            }
            _ => inlined += &line_inlined,
        }
        inlined.push('\n');
    }
    inlined
}

/// Drops the functions that a script does not use: each script call would create them. A function uses only those before it, so the last one
/// is looked at first.
fn without_unused_functions(code: &str) -> String {
    const BEGIN: &str = "\nlocal function ";
    const END: &str = "\nend\n";
    let mut counts = HashMap::<&str, usize>::new();
    words(code).for_each(|word| *counts.entry(word).or_default() += 1);
    let mut kept = Vec::new();
    let mut rest = code;
    while let Some(begin) = rest.rfind(BEGIN) {
        let end = rest[begin..].find(END).map_or(rest.len(), |found| begin + found + END.len() - 1);
        let (function, after) = rest[begin..].split_at(end - begin);
        rest = &rest[..begin];
        kept.push(after);
        let name = words(&function[BEGIN.len()..]).next().unwrap_or_default();
        let own = words(function).filter(|word| *word == name).count();
        if counts.get(name) == Some(&own) {
            words(function).for_each(|word| *counts.entry(word).or_default() -= 1);
        } else {
            kept.push(function);
        }
    }
    kept.push(rest);
    kept.reverse();
    kept.concat()
}

/// The words of all lines that are no comments.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("--"));
    lines.flat_map(|line| line.split(|char| !is_in_word(char)).filter(|word| !word.is_empty()))
}

fn is_in_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}

/// Replaces whole words.
fn replace_words(line: &str, values: &HashMap<&str, String>) -> String {
    let mut replaced = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(start) = rest.find(is_in_word) {
        let (before, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(|char| !is_in_word(char)).unwrap_or(from.len()));
        replaced += before;
        replaced += values.get(word).map_or(word, String::as_str);
        rest = after;
    }
    replaced + rest
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
            pub redeem_list: Script,
        }

        /// All scripts, assembled once.
        pub static SCRIPTS: LazyLock<Scripts> = LazyLock::new(Scripts::new);

        impl Scripts {
            fn new() -> Self {
                let list = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/redeem_list.lua"));
                Self {
                    $($name: Script::new(&<$Call>::DECLARATION),)*
                    redeem_list: Script::list("redeem_list", &RedeemCall::DECLARATION, list),
                }
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
    pub fn bindable(&self) -> [&Script; 7] {
        [
            &self.issue,
            &self.prove,
            &self.redeem,
            &self.redeem_list,
            &self.start,
            &self.finish,
            &self.merge_shard,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_has_only_what_it_uses() {
        let code = "
local DAY_MS = 86400000
local YEAR_MS = 365 * DAY_MS
local NAMES = { 'day' }
local function inner()
  return 1
end
local function unused()
  return inner() -- used
end
local function used()
  return YEAR_MS * 2, NOT_DAY_MS
end
used()
";
        let assembled = "

local NAMES = { 'day' }
local function used()
  return (365 * (86400000)) * 2, NOT_DAY_MS
end
used()
";
        let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n");
        let found = inline_constants(&without_unused_functions(code));
        assert_eq!(lines(&found), lines(assembled));
    }
}

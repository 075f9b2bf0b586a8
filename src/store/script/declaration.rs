//! Declares a Lua script: its keys, arguments and reply fields, in order, once. From a declaration come the Lua prologue, which
//! gives each key and argument a name, the Rust struct that a caller fills in, and the Rust structs that a reply is read into.
//! `lua/README.md` describes what the scripts see.

use redis::Cmd;
use uuid::Uuid;

use crate::action::{Flow, Limits};
use crate::error::Fault;
use crate::store::script::Script;
use crate::store::script::reply::Reply;
use crate::store::{BoardEntry, ShardPosition};

/// What the assembled text of a script is made from.
#[derive(Debug)]
pub struct Declaration {
    /// The script's file is `lua/<name>.lua`.
    pub name: &'static str,
    /// The file's text.
    pub body: &'static str,
    /// The files of `lua/lib` that it uses.
    pub libs: &'static [&'static str],
    /// Keys that the calls of a list share, before the others. Locals `<key>_key`.
    pub shared_keys: &'static [&'static str],
    /// Arguments that the calls of a list share, before the others. Locals of the same names.
    pub shared_arguments: &'static [Argument],
    /// Locals `<key>_key`.
    pub keys: &'static [&'static str],
    /// Keys after those that a call may leave out: nil in Lua at the end, some other key before others.
    pub optional_keys: &'static [&'static str],
    /// Keys after those, any number of them; none or one name. The local `<NAME>_KEYS_FROM` is the first one's index in KEYS.
    pub more_keys: &'static [&'static str],
    /// Locals of the same names.
    pub arguments: &'static [Argument],
    /// Arguments after those that a call may leave out; nil in Lua where absent or empty.
    pub optional: &'static [Argument],
    /// Arguments after those, any number of them; none or one name. The local `<NAME>_FROM` is the first one's index in ARGV.
    pub more_arguments: &'static [&'static str],
    /// Where the script's text has `<NAME>_FIELDS`, it gets these names instead, with commas between; for `<NAME>_LINES` their concatenation as
    /// lines of one text.
    pub fields: &'static [(&'static str, &'static [&'static str])],
    /// Tables of the positions, from 1, of these names.
    pub positions: &'static [(&'static str, &'static [&'static [&'static str]])],
}

/// One argument.
#[derive(Debug)]
pub struct Argument {
    /// Its name in Lua and in Rust.
    pub name: &'static str,
    /// The Lua function that reads the text, if it is not used as it comes.
    pub read_by: &'static [&'static str],
}

impl Declaration {
    /// The Lua lines that name the keys and arguments that the calls of a list share.
    pub fn shared_prologue(&self) -> String {
        if self.shared_keys.is_empty() {
            return String::new();
        }
        let keys = key_names(self.shared_keys);
        let arguments = argument_names(self.shared_arguments);
        let mut lua = name_range("KEYS", &keys, &range(1, keys.len()));
        lua += &name_range("ARGV", &arguments, &range(1, arguments.len()));
        lua + &read_arguments(self.shared_arguments, &[])
    }

    /// The Lua lines that name the other keys and arguments: of the only call, or between the locals `first_key` and `last_key`, `first_arg`
    /// and `last_arg` of a call in a list.
    pub fn prologue(&self, is_in_list: bool) -> String {
        let keys = [key_names(self.keys), key_names(self.optional_keys)].concat();
        let arguments = [argument_names(self.arguments), argument_names(self.optional)].concat();
        let [key_range, argument_range] = if is_in_list {
            [["first_key", "last_key"], ["first_arg", "last_arg"]].map(|range| range.map(str::to_owned))
        } else {
            let [first_key, first_arg] = self.first_own();
            [range(first_key, keys.len()), range(first_arg, arguments.len())]
        };
        let ([first_key, _], [first_arg, _]) = (&key_range, &argument_range);
        let mut lua = name_range("KEYS", &keys, &key_range);
        lua += &name_range("ARGV", &arguments, &argument_range);
        lua += &read_arguments(self.arguments, self.optional);
        for name in self.more_keys {
            lua += &format!("local {}_KEYS_FROM = {first_key} + {}\n", name.to_uppercase(), keys.len());
        }
        for name in self.more_arguments {
            lua += &format!("local {}_FROM = {first_arg} + {}\n", name.to_uppercase(), arguments.len());
        }
        for (name, lists) in self.positions {
            let names = lists.iter().flat_map(|list| list.iter());
            let places = names.enumerate().map(|(place, name)| format!("{name} = {}", place + 1));
            lua += &format!("local {name} = {{ {} }}\n", places.collect::<Vec<_>>().join(", "));
        }
        lua
    }

    /// The indexes in `KEYS` and `ARGV` of the first ones that are not shared.
    pub fn first_own(&self) -> [usize; 2] {
        [self.shared_keys.len() + 1, self.shared_arguments.len() + 1]
    }
}

fn key_names(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| format!("{key}_key")).collect()
}

fn argument_names(arguments: &[Argument]) -> Vec<String> {
    arguments.iter().map(|argument| argument.name.to_owned()).collect()
}

/// The first and the last index of so many elements; `first` counts from 1.
fn range(first: usize, count: usize) -> [String; 2] {
    [first, first + count - 1].map(|index| index.to_string())
}

/// Names the elements of a Lua table between two indexes.
fn name_range(table: &str, names: &[String], [first, last]: &[String; 2]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!("local {} = unpack({table}, {first}, {last})\n", names.join(", "))
}

/// Replaces texts by what is read from them, and absent or empty optional ones by nil.
fn read_arguments(arguments: &[Argument], optional: &[Argument]) -> String {
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for Argument { name, read_by } in arguments {
        for function in *read_by {
            names.push(*name);
            values.push(format!("{function}({name})"));
        }
    }
    for Argument { name, read_by } in optional {
        let or_nil = format!("{name} ~= '' and {name} or nil");
        names.push(name);
        values.push(read_by.first().map_or(or_nil.clone(), |function| format!("{function}({or_nil})")));
    }
    if names.is_empty() { String::new() } else { format!("{} = {}\n", names.join(", "), values.join(", ")) }
}

/// How many of these are passed: up to the last one that is given, or all if more follow.
pub fn given(is_given: &[bool], has_more: bool) -> usize {
    let last = is_given.iter().rposition(|it| *it || has_more);
    last.map_or(0, |last| last + 1)
}

/// A call of one script, with its keys and arguments.
pub trait ScriptCall: Sync {
    /// The script that it calls.
    fn script(&self) -> &'static Script;

    /// Adds the number of keys, the keys and the arguments.
    fn encode(&self, command: &mut Cmd);
}

/// The fields of a reply, or of a part of it.
pub trait Fields: Sized {
    /// Their names, in order.
    const FIELDS: &'static [&'static str];

    /// Reads them.
    ///
    /// # Errors
    /// The reply is too short, or a field has another type.
    fn read(reply: &mut Reply) -> Result<Self, Fault>;
}

/// What a call may pass as an argument.
pub trait Encode {
    /// Adds the argument to a command.
    fn encode(&self, command: &mut Cmd);
}

macro_rules! encode_as_it_is {
    ($($type:ty)*) => {
        $(impl Encode for $type {
            fn encode(&self, command: &mut Cmd) {
                command.arg(self);
            }
        })*
    };
}

encode_as_it_is!(&str String u64 i64 u32 usize);

impl Encode for &[u8] {
    fn encode(&self, command: &mut Cmd) {
        command.arg(self);
    }
}

impl Encode for bool {
    fn encode(&self, command: &mut Cmd) {
        command.arg(if *self { "1" } else { "0" });
    }
}

impl Encode for Uuid {
    fn encode(&self, command: &mut Cmd) {
        command.arg(&*self.hyphenated().encode_lower(&mut Self::encode_buffer()));
    }
}

/// An absent value is an empty text.
impl<T: Encode> Encode for Option<T> {
    fn encode(&self, command: &mut Cmd) {
        match self {
            Some(value) => value.encode(command),
            None => "".encode(command),
        }
    }
}

/// Several arguments in a row.
impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, command: &mut Cmd) {
        self.0.encode(command);
        self.1.encode(command);
    }
}

/// A command of `lua/load.lua`: the number of its words, and the words.
impl Encode for Vec<String> {
    fn encode(&self, command: &mut Cmd) {
        command.arg(self.len()).arg(self);
    }
}

impl Encode for BoardEntry {
    fn encode(&self, command: &mut Cmd) {
        self.to_string().encode(command);
    }
}

/// As `read_open` of `lua/lib/epoch.lua` takes it.
impl Encode for ShardPosition {
    fn encode(&self, command: &mut Cmd) {
        format!("{} {:016}", self.epoch, self.hlc_us).encode(command);
    }
}

/// As `read_limits` of `lua/lib/limits.lua` reads it.
impl Encode for &Limits {
    fn encode(&self, command: &mut Cmd) {
        let Limits { cooldown_ms, cap_per_hour, cap_per_day, opens_at_ms, open_for_ms, span_ms } = self;
        if **self == Limits::default() {
            return "".encode(command);
        }
        format!("{cooldown_ms} {cap_per_hour} {cap_per_day} {opens_at_ms} {open_for_ms} {span_ms}")
            .encode(command);
    }
}

impl Encode for Flow {
    fn encode(&self, command: &mut Cmd) {
        match self {
            Self::Actions => "actions",
            Self::Tokens => "tokens",
            Self::Game => "game",
        }
        .encode(command);
    }
}

/// Declares the script `lua/<name>.lua` and the struct for its calls, with a field for each key and argument:
///
/// - `needs`: the files of `lua/lib`.
/// - `shared_keys` and `shared_args`, which the calls of a list share.
/// - `keys`, then `optional_keys` that a call may leave out, then `more_keys` of any number.
/// - `args`, then `optional` ones that a call may leave out, then `more_args` of any number. `=> function` is the Lua function that reads
///   the text.
/// - `fields`: lists of reply fields that the script's text names.
/// - `positions`: Lua tables of positions in lists of fields.
macro_rules! script {
    (
        $(#[$doc:meta])*
        $name:ident as $Call:ident needs [$($lib:ident)*]
        $(shared_keys [$($shared_key:ident)*]
        shared_args { $($shared_arg:ident: $SharedArg:ty $(=> $shared_read_by:ident)?),* $(,)? })?
        keys [$($key:ident)*] $(optional_keys [$($opt_key:ident)*])? $(more_keys $more_keys:ident)?
        args { $($arg:ident: $Arg:ty $(=> $read_by:ident)?),* $(,)? }
        $(optional { $($opt:ident: $Opt:ty $(=> $opt_read_by:ident)?),* $(,)? })?
        $(more_args { $more_args:ident: $MoreArg:ty })?
        $(fields { $($list:ident: $Fields:ty),* $(,)? })?
        $(positions { $($table:ident: [$($names:expr),*]),* $(,)? })?
    ) => {
        $(#[$doc])*
        pub(in crate::store) struct $Call<'a> {
            $($(pub $shared_key: std::borrow::Cow<'a, str>,)*)?
            $(pub $key: std::borrow::Cow<'a, str>,)*
            $($(pub $opt_key: Option<std::borrow::Cow<'a, str>>,)*)?
            $(pub $more_keys: Vec<String>,)?
            $($(pub $shared_arg: $SharedArg,)*)?
            $(pub $arg: $Arg,)*
            $($(pub $opt: Option<$Opt>,)*)?
            $(pub $more_args: &'a [$MoreArg],)?
        }

        impl $Call<'_> {
            pub const DECLARATION: $crate::store::script::declaration::Declaration = {
                use $crate::store::script::declaration::*;
                Declaration {
                    name: stringify!($name),
                    body: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", stringify!($name), ".lua")),
                    libs: &[$(stringify!($lib)),*],
                    shared_keys: &[$($(stringify!($shared_key)),*)?],
                    shared_arguments: &[
                        $($(Argument { name: stringify!($shared_arg), read_by: &[$(stringify!($shared_read_by))?] }),*)?
                    ],
                    keys: &[$(stringify!($key)),*],
                    optional_keys: &[$($(stringify!($opt_key)),*)?],
                    more_keys: &[$(stringify!($more_keys))?],
                    arguments: &[
                        $(Argument { name: stringify!($arg), read_by: &[$(stringify!($read_by))?] }),*
                    ],
                    optional: &[
                        $($(Argument { name: stringify!($opt), read_by: &[$(stringify!($opt_read_by))?] }),*)?
                    ],
                    more_arguments: &[$(stringify!($more_args))?],
                    fields: &[$($((stringify!($list), <$Fields as Fields>::FIELDS)),*)?],
                    positions: &[$($((stringify!($table), &[$($names),*])),*)?],
                }
            };

            $(
                /// The shared keys.
                pub fn shared_keys(&self) -> impl Iterator<Item = &str> {
                    [$(&*self.$shared_key),*].into_iter()
                }

                /// Adds the shared arguments.
                pub fn encode_shared_arguments(&self, command: &mut redis::Cmd) {
                    use $crate::store::script::declaration::Encode;
                    $(self.$shared_arg.encode(command);)*
                }
            )?

            /// The other keys.
            pub fn own_keys(&self) -> impl Iterator<Item = &str> {
                #[allow(unused_imports, reason = "a script may have no optional keys")]
                use $crate::store::script::declaration::given;
                let keys = [$(Some(&*self.$key)),*].into_iter();
                let has_more = false $(|| !self.$more_keys.is_empty())?;
                let _ = has_more;
                $(
                    let optional = [$(self.$opt_key.as_deref()),*];
                    let count = given(&optional.map(|key| key.is_some()), has_more);
                    let keys = keys.chain(optional.into_iter().take(count));
                )?
                $(let keys = keys.chain(self.$more_keys.iter().map(|key| Some(key.as_str())));)?
                let filler = [$(&*self.$key),*].into_iter().next().unwrap_or_default();
                keys.map(move |key| key.unwrap_or(filler))
            }

            /// Adds the other arguments.
            pub fn encode_own_arguments(&self, command: &mut redis::Cmd) {
                #[allow(unused_imports, reason = "a script may have no arguments")]
                use $crate::store::script::declaration::{Encode, given};
                $(self.$arg.encode(command);)*
                let has_more = false $(|| !self.$more_args.is_empty())?;
                let _ = (has_more, &command);
                $(
                    let optional: &[&dyn Encode] = &[$(&self.$opt),*];
                    let count = given(&[$(self.$opt.is_some()),*], has_more);
                    optional.iter().take(count).for_each(|argument| argument.encode(command));
                )?
                $(for argument in self.$more_args {
                    argument.encode(command);
                })?
            }
        }

        impl $crate::store::script::declaration::ScriptCall for $Call<'_> {
            fn script(&self) -> &'static $crate::store::script::Script {
                &$crate::store::script::SCRIPTS.$name
            }

            fn encode(&self, command: &mut redis::Cmd) {
                let keys = self.own_keys();
                $(
                    const _: &[&str] = &[$(stringify!($shared_key)),*];
                    let keys = self.shared_keys().chain(keys);
                )?
                let keys: Vec<&str> = keys.collect();
                command.arg(keys.len()).arg(keys);
                $(
                    const _: &[&str] = &[$(stringify!($shared_arg)),*];
                    self.encode_shared_arguments(command);
                )?
                self.encode_own_arguments(command);
            }
        }
    };
}

/// Declares fields of a reply, in order: a struct that reads them.
macro_rules! fields {
    ($(#[$doc:meta])* $vis:vis struct $Fields:ident { $($(#[$field_doc:meta])* $field:ident: $Field:ty),* $(,)? }) => {
        $(#[$doc])*
        $vis struct $Fields {
            $($(#[$field_doc])* pub $field: $Field,)*
        }

        impl $crate::store::script::declaration::Fields for $Fields {
            const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];

            fn read(reply: &mut $crate::store::script::reply::Reply) -> Result<Self, $crate::error::Fault> {
                Ok(Self { $($field: reply.next()?),* })
            }
        }
    };
}

pub(in crate::store) use {fields, script};

#[cfg(test)]
mod tests {
    use crate::store::board::merged::{CompleteAnswerCall, MergeShardCall};
    use crate::store::commands::lease::LeaseCall;

    #[test]
    fn the_prologue_names_keys_and_arguments_in_order() {
        let lines = [
            "local rate_key = unpack(KEYS, 1, 1)",
            "local limit, window_ms, wanted = unpack(ARGV, 1, 3)",
            "limit, wanted = tonumber(limit), tonumber(wanted)",
        ];
        assert_eq!(LeaseCall::DECLARATION.prologue(false).lines().collect::<Vec<_>>(), lines);
        let merge = MergeShardCall::DECLARATION.prologue(false);
        assert!(merge.contains("shard ~= '' and shard or nil"), "{merge}");
        assert!(merge.ends_with("local ENTRIES_FROM = 1 + 7\n"), "{merge}");
        let complete = CompleteAnswerCall::DECLARATION.prologue(false);
        assert!(complete.contains("request_digest = 1, code = 2, score = 3, rank = 4, "), "{complete}");
        assert!(complete.contains(", action = 13, top = 14 }"), "{complete}");
    }
}

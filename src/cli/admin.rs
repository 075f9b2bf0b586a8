//! `laurel admin`: what operators do, on the machine that has the stores.

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use nix::unistd::{Uid, gethostname, getuid};

use super::letters::{self, LettersCommand};
use super::output::Output;
use crate::account::User;
use crate::admin::{self, Changed, Decision, Restriction};
use crate::app::App;
use crate::error::{Error, Refusal};

/// Whom, and why.
#[derive(Args)]
pub struct Target {
    /// The user: number, UUID or name
    user: String,
    /// Why, for the audit
    #[arg(long, value_parser = Decision::read_reason)]
    reason: String,
}

/// Whom, why, and under which word.
#[derive(Args)]
pub struct Once {
    #[command(flatten)]
    target: Target,
    /// A word of your own for this one operation: a repeat with it is done once
    #[arg(long, value_parser = read_key)]
    key: Option<String>,
}

/// What a user may do.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// The operators' API
    Admin,
    /// To play
    Player,
}

/// What can be done.
#[derive(Subcommand)]
pub enum AdminCommand {
    /// Give a user a role
    Grant {
        #[command(flatten)]
        target: Target,
        /// Which
        #[arg(long, value_enum, default_value = "admin")]
        role: Role,
    },
    /// Off every board, no awards, sockets closed
    Ban(Once),
    /// Back, with the score
    Unban(Once),
    /// Go on taking awards, but do not show them
    Quarantine(Once),
    /// Show what was held of a user who was set aside
    Approve(Once),
    /// Take away what was held of a user who was set aside
    Void(Once),
    /// Change a total by an entry of its own in the ledger
    Adjust {
        #[command(flatten)]
        once: Once,
        /// How many; below 0 to take away, as in --points=-50
        #[arg(long, allow_negative_numbers = true)]
        points: i64,
    },
    /// Entries that could not be written to the ledger
    DeadLetters {
        #[command(subcommand)]
        command: LettersCommand,
    },
}

impl AdminCommand {
    /// Whether it changes what Redis has; what is only in Postgres can be looked at whatever Redis does.
    pub fn needs_an_open_board(&self) -> bool {
        !matches!(self, Self::DeadLetters { .. })
    }
}

/// Does it, and says what came of it.
pub async fn run(
    app: &App,
    command: AdminCommand,
    on_behalf_of: Option<&str>,
    output: &mut Output,
) -> Result<()> {
    do_it(app, command, &Operator::new(on_behalf_of), output).await.map_err(|error| match error {
        Error::Refused(refusal) => anyhow!(refusal.message()),
        Error::Fault(fault) => anyhow!(fault),
    })
}

async fn do_it(
    app: &App,
    command: AdminCommand,
    operator: &Operator,
    output: &mut Output,
) -> Result<(), Error> {
    let (target, done) = match command {
        AdminCommand::Grant { target, role } => {
            let user = admin::find_user(app, &target.user).await?;
            admin::grant(app, &user, matches!(role, Role::Admin), &operator.decision(&target.reason)).await?;
            (target, "has the role now")
        }
        AdminCommand::Ban(once) => {
            (restrict(app, once, Restriction::Ban, operator, output).await?, "is banned")
        }
        AdminCommand::Unban(once) => {
            (restrict(app, once, Restriction::Unban, operator, output).await?, "is back")
        }
        AdminCommand::Quarantine(once) => {
            (restrict(app, once, Restriction::Quarantine, operator, output).await?, "is set aside")
        }
        AdminCommand::Approve(once) => {
            (restrict(app, once, Restriction::Approve, operator, output).await?, "is confirmed")
        }
        AdminCommand::Void(Once { target, key }) => {
            let user = admin::find_user(app, &target.user).await?;
            let decision = operator.decision(&target.reason);
            tell(&user, admin::void(app, user.id, key.as_deref(), &decision).await?, output);
            (target, "has lost what was held")
        }
        AdminCommand::DeadLetters { command } => return letters::run(app, command, operator, output).await,
        AdminCommand::Adjust { once: Once { target, key }, points } => {
            let user = admin::find_user(app, &target.user).await?;
            let decision = operator.decision(&target.reason);
            let changed = admin::adjust(app, &user, points, key.as_deref(), &decision).await?;
            tell(&user, Some(changed), output);
            (target, "has another total now")
        }
    };
    output.line(format_args!("{} {done}", target.user));
    Ok(())
}

async fn restrict(
    app: &App,
    Once { target, key }: Once,
    restriction: Restriction,
    operator: &Operator,
    output: &mut Output,
) -> Result<Target, Error> {
    let user = match admin::find_user(app, &target.user).await {
        Err(Error::Refused(Refusal::UserNotFound)) => {
            letters::tell_of_unknown(app, &target.user, output).await?;
            return Err(Refusal::UserNotFound.into());
        }
        found => found?,
    };
    admin::restrict(app, user.id, restriction, key.as_deref(), &operator.decision(&target.reason)).await?;
    Ok(target)
}

/// As the header `Idempotency-Key` has it.
fn read_key(text: &str) -> Result<String, String> {
    let holds = (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    holds.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 64 visible ASCII characters".to_owned())
}

fn tell(user: &User, changed: Option<Changed>, output: &mut Output) {
    if let Some(it) = changed {
        output.line(format_args!("{}: {} before, {} now", user.username, it.before, it.after));
    }
}

/// Reads the name that is given with `--as`.
pub fn read_name(text: &str) -> Result<String, String> {
    let holds = (1..=30).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    holds.then(|| text.to_owned()).ok_or_else(|| "use 1 to 30 characters on one line".to_owned())
}

/// Who runs a command.
pub struct Operator {
    actor: String,
    host: String,
}

impl Operator {
    /// The account that runs this process, by its user id: anybody can set `USER`. A name that is given stands beside it.
    fn new(on_behalf_of: Option<&str>) -> Self {
        let account = account(getuid());
        let host = gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let actor = match on_behalf_of {
            Some(name) => format!("cli:{account} as {name}"),
            None => format!("cli:{account}"),
        };
        Self { actor, host }
    }

    /// What is decided, for this reason. The host is not part of the actor: a repeat under a key is done once, whichever host it runs on.
    pub fn decision(&self, reason: &str) -> Decision {
        Decision { actor: self.actor.clone(), host: Some(self.host.clone()), reason: reason.to_owned() }
    }
}

/// An account's name, or its number where it has none, as in a container that runs as any user id.
fn account(uid: Uid) -> String {
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => user.name.chars().filter(|it| !it.is_control()).take(60).collect(),
        _ => format!("uid {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_the_system_or_by_its_number() {
        assert_eq!(account(Uid::from_raw(0)), "root");
        for nobodys in [54_321, 1_000_000_007, u32::MAX - 2] {
            assert_eq!(account(Uid::from_raw(nobodys)), format!("uid {nobodys}"));
        }
    }

    #[test]
    fn a_name_beside_the_account_fits_the_audit() {
        for good in ["mary", "Mary Ann", "é", &"x".repeat(30)] {
            assert_eq!(read_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a\nb", "\u{7f}", &"x".repeat(31)] {
            assert!(read_name(bad).is_err(), "{bad:?}");
        }
    }
}

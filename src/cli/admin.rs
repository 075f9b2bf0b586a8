//! `laurel admin`: moderation and roles, on a machine with access to the stores.

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use nix::unistd::{Uid, gethostname, getuid};

use super::dead_letters::{self, DeadLettersCommand};
use super::output::Output;
use crate::account::User;
use crate::admin::{self, Adjustment, Decision, Restriction};
use crate::app::App;
use crate::error::{Error, Refusal};

/// The user and the reason.
#[derive(Args)]
pub struct Target {
    /// The user: number, UUID or username
    user: String,
    /// Reason for the audit log
    #[arg(long, value_parser = Decision::read_reason)]
    reason: String,
}

/// The user, the reason and an idempotency key.
#[derive(Args)]
pub struct IdempotentTarget {
    #[command(flatten)]
    target: Target,
    /// Idempotency key: a repeat with the same key changes nothing
    #[arg(long, value_parser = read_key)]
    key: Option<String>,
}

/// A user's role.
#[derive(Clone, Copy, ValueEnum)]
pub enum Role {
    /// May play and use the admin API
    Admin,
    /// May play
    Player,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Player => "player",
        }
    }
}

/// The admin actions.
#[derive(Subcommand)]
pub enum AdminCommand {
    /// Assign a role to a user
    Grant {
        #[command(flatten)]
        target: Target,
        /// Role to assign
        #[arg(long, value_enum, default_value = "admin")]
        role: Role,
    },
    /// Ban a player: hide from the board, refuse awards, close connections
    Ban(IdempotentTarget),
    /// Lift a ban and restore the score
    Unban(IdempotentTarget),
    /// Quarantine a player: hold new points until they are approved
    Quarantine(IdempotentTarget),
    /// Approve the held points of a quarantined player
    Approve(IdempotentTarget),
    /// Remove the held points of a quarantined player
    Void(IdempotentTarget),
    /// Add or remove points with a ledger entry
    Adjust {
        #[command(flatten)]
        target: IdempotentTarget,
        /// Points to add; negative to remove, as in --points=-50
        #[arg(long, allow_negative_numbers = true)]
        points: i64,
    },
    /// Manage entries that could not be written to the ledger
    DeadLetters {
        #[command(subcommand)]
        command: DeadLettersCommand,
    },
}

impl AdminCommand {
    /// Whether the command changes Redis. Dead letters are in Postgres and can be read without Redis.
    pub fn needs_an_open_board(&self) -> bool {
        !matches!(self, Self::DeadLetters { .. })
    }
}

/// Runs the command and prints the result.
pub async fn run(
    app: &App,
    command: AdminCommand,
    on_behalf_of: Option<&str>,
    output: &mut Output,
) -> Result<()> {
    execute(app, command, &Operator::new(on_behalf_of), output).await.map_err(|error| match error {
        Error::Refused(refusal) => anyhow!(refusal.message()),
        Error::Fault(fault) => anyhow!(fault),
    })
}

async fn execute(
    app: &App,
    command: AdminCommand,
    operator: &Operator,
    output: &mut Output,
) -> Result<(), Error> {
    let (target, result) = match command {
        AdminCommand::Grant { target, role } => {
            let user = admin::find_user(&app.admin, &target.user).await?;
            admin::grant(&app.admin, &user, matches!(role, Role::Admin), &operator.decision(&target.reason))
                .await?;
            (target, format!("has the role {}", role.as_str()))
        }
        AdminCommand::Ban(target) => {
            (restrict(app, target, Restriction::Ban, operator, output).await?, "is banned".to_owned())
        }
        AdminCommand::Unban(target) => {
            (restrict(app, target, Restriction::Unban, operator, output).await?, "is unbanned".to_owned())
        }
        AdminCommand::Quarantine(target) => (
            restrict(app, target, Restriction::Quarantine, operator, output).await?,
            "is quarantined".to_owned(),
        ),
        AdminCommand::Approve(target) => {
            let target = restrict(app, target, Restriction::Approve, operator, output).await?;
            (target, "is approved: the held points are on the board".to_owned())
        }
        AdminCommand::Void(IdempotentTarget { target, key }) => {
            let user = admin::find_user(&app.admin, &target.user).await?;
            let decision = operator.decision(&target.reason);
            print_change(&user, admin::void(&app.admin, user.id, key.as_deref(), &decision).await?, output);
            (target, "has no held points any more".to_owned())
        }
        AdminCommand::DeadLetters { command } => {
            return dead_letters::run(app, command, operator, output).await;
        }
        AdminCommand::Adjust { target: IdempotentTarget { target, key }, points } => {
            let user = admin::find_user(&app.admin, &target.user).await?;
            let decision = operator.decision(&target.reason);
            let changed = admin::adjust(&app.admin, &user, points, key.as_deref(), &decision).await?;
            print_change(&user, Some(changed), output);
            (target, "is adjusted".to_owned())
        }
    };
    output.line(format_args!("{} {result}", target.user));
    Ok(())
}

async fn restrict(
    app: &App,
    IdempotentTarget { target, key }: IdempotentTarget,
    restriction: Restriction,
    operator: &Operator,
    output: &mut Output,
) -> Result<Target, Error> {
    let user = match admin::find_user(&app.admin, &target.user).await {
        Err(Error::Refused(Refusal::UserNotFound)) => {
            dead_letters::print_unknown_user(app, &target.user, output).await?;
            return Err(Refusal::UserNotFound.into());
        }
        found => found?,
    };
    admin::restrict(&app.admin, user.id, restriction, key.as_deref(), &operator.decision(&target.reason))
        .await?;
    Ok(target)
}

/// Parses an idempotency key, with the same rule as the header `Idempotency-Key`.
fn read_key(text: &str) -> Result<String, String> {
    let is_valid = (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    is_valid.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 64 visible ASCII characters".to_owned())
}

fn print_change(user: &User, change: Option<Adjustment>, output: &mut Output) {
    if let Some(change) = change {
        output.line(format_args!("{}: {} before, {} now", user.username, change.before, change.after));
    }
}

/// Parses the name given with `--as`.
pub fn read_name(text: &str) -> Result<String, String> {
    let is_valid = (1..=30).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    is_valid.then(|| text.to_owned()).ok_or_else(|| "use 1 to 30 characters on one line".to_owned())
}

/// The person who runs a command.
pub struct Operator {
    actor: String,
    host: String,
}

impl Operator {
    /// The account that runs this process, by its user id, because anybody can set `USER`. The name of `--as` is added.
    fn new(on_behalf_of: Option<&str>) -> Self {
        let account = account(getuid());
        let host = gethostname().unwrap_or_default().to_string_lossy().into_owned();
        let actor = match on_behalf_of {
            Some(name) => format!("cli:{account} as {name}"),
            None => format!("cli:{account}"),
        };
        Self { actor, host }
    }

    /// A decision with this reason. The host is not part of the actor, so that a repeat with a key may run on another host.
    pub fn decision(&self, reason: &str) -> Decision {
        Decision { actor: self.actor.clone(), host: Some(self.host.clone()), reason: reason.to_owned() }
    }
}

/// An account's name, or its user id if it has none, as in a container with an arbitrary user id.
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
    fn accounts_without_a_name_are_shown_by_id() {
        assert_eq!(account(Uid::from_raw(0)), "root");
        for unused in [54_321, 1_000_000_007, u32::MAX - 2] {
            assert_eq!(account(Uid::from_raw(unused)), format!("uid {unused}"));
        }
    }

    #[test]
    fn names_for_the_audit_are_checked() {
        for good in ["mary", "Mary Ann", "é", &"x".repeat(30)] {
            assert_eq!(read_name(good).as_deref(), Ok(good));
        }
        for bad in ["", "a\nb", "\u{7f}", &"x".repeat(31)] {
            assert!(read_name(bad).is_err(), "{bad:?}");
        }
    }
}

//! `laurel admin`: what operators do, on the machine that has the stores.

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};

use super::letters::{self, LettersCommand};
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
    SetAside(Once),
    /// Show what was held of a user who was set aside
    Confirm(Once),
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
pub async fn run(app: &App, command: AdminCommand) -> Result<()> {
    do_it(app, command).await.map_err(|error| match error {
        Error::Refused(refusal) => anyhow!(refusal.message()),
        Error::Fault(fault) => anyhow!(fault),
    })
}

async fn do_it(app: &App, command: AdminCommand) -> Result<(), Error> {
    let (target, done) = match command {
        AdminCommand::Grant { target, role } => {
            let user = admin::find_user(app, &target.user).await?;
            admin::grant(app, &user, matches!(role, Role::Admin), &decision(&target)).await?;
            (target, "has the role now")
        }
        AdminCommand::Ban(once) => (restrict(app, once, Restriction::Ban).await?, "is banned"),
        AdminCommand::Unban(once) => (restrict(app, once, Restriction::Unban).await?, "is back"),
        AdminCommand::SetAside(once) => (restrict(app, once, Restriction::SetAside).await?, "is set aside"),
        AdminCommand::Confirm(once) => (restrict(app, once, Restriction::Confirm).await?, "is confirmed"),
        AdminCommand::Void(Once { target, key }) => {
            let user = admin::find_user(app, &target.user).await?;
            tell(&user, admin::void(app, user.id, key.as_deref(), &decision(&target)).await?);
            (target, "has lost what was held")
        }
        AdminCommand::DeadLetters { command } => return letters::run(app, command).await,
        AdminCommand::Adjust { once: Once { target, key }, points } => {
            let user = admin::find_user(app, &target.user).await?;
            let changed = admin::adjust(app, &user, points, key.as_deref(), &decision(&target)).await?;
            tell(&user, Some(changed));
            (target, "has another total now")
        }
    };
    println!("{} {done}", target.user);
    Ok(())
}

async fn restrict(app: &App, Once { target, key }: Once, restriction: Restriction) -> Result<Target, Error> {
    let user = match admin::find_user(app, &target.user).await {
        Err(Error::Refused(Refusal::UserNotFound)) => {
            letters::tell_of_unknown(app, &target.user).await?;
            return Err(Refusal::UserNotFound.into());
        }
        found => found?,
    };
    admin::restrict(app, user.id, restriction, key.as_deref(), &decision(&target)).await?;
    Ok(target)
}

/// As the header `Idempotency-Key` has it.
fn read_key(text: &str) -> Result<String, String> {
    let holds = (1..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_graphic());
    holds.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 64 visible ASCII characters".to_owned())
}

fn tell(user: &User, changed: Option<Changed>) {
    if let Some(it) = changed {
        println!("{}: {} before, {} now", user.username, it.before, it.after);
    }
}

fn decision(target: &Target) -> Decision {
    decision_for(target.reason.clone())
}

/// Who runs the command, and why.
pub fn decision_for(reason: String) -> Decision {
    let user = std::env::var("USER").unwrap_or_else(|_| "unknown".into());
    let user: String = user.chars().filter(|it| !it.is_control()).take(60).collect();
    Decision { actor: format!("cli:{user}"), reason }
}

//! `laurel admin dead-letters`: entries that could not be written to the ledger.

use clap::Subcommand;
use uuid::Uuid;

use super::admin::Operator;
use super::output::Output;
use crate::admin::{self, DeadLetter, DeadLetterAction, Decision};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Error, Refusal};
use crate::ledger;

/// Maximum number of dead letters that are listed.
const MAX_LISTED: u32 = 1000;

/// The actions on dead letters.
#[derive(Subcommand)]
pub enum DeadLettersCommand {
    /// List waiting dead letters, newest first
    List {
        /// Include written and discarded ones
        #[arg(long)]
        all: bool,
    },
    /// Write one dead letter or all of them to the ledger again
    Retry {
        /// Number of the dead letter, or `all`
        letter: String,
        /// Reason for the audit log
        #[arg(long, default_value = "tried again", value_parser = Decision::read_reason)]
        reason: String,
    },
    /// Discard a dead letter: its change stays out of the ledger
    Discard {
        /// Number of the dead letter
        letter: i64,
        /// Reason for the audit log
        #[arg(long, value_parser = Decision::read_reason)]
        reason: String,
    },
}

/// Runs the command and prints the result.
pub async fn run(
    app: &App,
    command: DeadLettersCommand,
    operator: &Operator,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        DeadLettersCommand::List { all } => {
            let letters = admin::dead_letters(&app.admin, all, MAX_LISTED).await?;
            letters.iter().for_each(|letter| output.line(shown(letter)));
            output.line(format_args!("{} dead letters", letters.len()));
        }
        DeadLettersCommand::Retry { letter, reason } => {
            retry(app, &letter, &operator.decision(&reason), output).await?;
        }
        DeadLettersCommand::Discard { letter, reason } => {
            admin::decide_dead_letter(
                &app.admin,
                letter,
                DeadLetterAction::Discard,
                &operator.decision(&reason),
            )
            .await?;
            output.line(format_args!("dead letter {letter} is discarded"));
        }
    }
    Ok(())
}

async fn retry(app: &App, letter: &str, decision: &Decision, output: &mut Output) -> Result<(), Error> {
    let one: Option<i64> = match letter {
        "all" => {
            admin::retry_all_dead_letters(&app.admin, decision).await?;
            None
        }
        number => {
            let number = number.parse().map_err(|_| Refusal::field("letter", "must be a number or all"))?;
            admin::decide_dead_letter(&app.admin, number, DeadLetterAction::Retry, decision).await?;
            Some(number)
        }
    };
    ledger::retry_dead_letters(&app.ledger).await?;
    let letters = admin::dead_letters(&app.admin, true, MAX_LISTED).await?;
    let retried =
        letters.iter().filter(|letter| one.map_or(letter.state == "waiting", |one| letter.id == one));
    retried.for_each(|letter| output.line(shown(letter)));
    let is_missing_in_redis = |letter: &DeadLetter| letter.state == "written" && !letter.in_redis;
    if letters.iter().any(|letter| is_missing_in_redis(letter) && one.is_none_or(|one| letter.id == one)) {
        output.line("Redis was loaded in the meantime and lacks these entries: run laurel rebuild");
    }
    Ok(())
}

fn shown(letter: &DeadLetter) -> String {
    let user = match (&letter.known, letter.user) {
        (Some((number, name)), _) => format!("{name} ({number})"),
        (None, Some(id)) => format!("{id}, who is not in Postgres"),
        (None, None) => "an unknown user".to_owned(),
    };
    let points = letter.points.map(|points| format!(" {points:+} points")).unwrap_or_default();
    let kind = letter.kind.as_deref().unwrap_or("entry");
    let by = letter.decided.as_ref().map(|(by, why)| format!(" by {by}: {why}")).unwrap_or_default();
    format!(
        "{} {} {kind}{points} of {user}: {}, {}; {}{by}",
        letter.id,
        rfc3339(letter.at_ms),
        letter.reason,
        letter.detail,
        letter.state
    )
}

/// Prints what is known about a user who is not in Postgres, if a UUID is given: a login may outlive the user's row.
pub async fn print_unknown_user(app: &App, text: &str, output: &mut Output) -> Result<(), Error> {
    let Ok(user) = text.parse::<Uuid>() else { return Ok(()) };
    let letters = admin::count_dead_letters(&app.admin, user).await?;
    let banned = match app.store.is_banned(user).await? {
        true => "is banned in Redis and gets no awards",
        false => {
            "is not banned in Redis; the leader bans the user with the first entry that cannot be written"
        }
    };
    output.line(format_args!("{user} is not in Postgres and {banned}; {letters} dead letters wait"));
    Ok(())
}

//! `laurel admin dead-letters`: entries that could not be written to the ledger.

use clap::Subcommand;
use uuid::Uuid;

use super::admin::Operator;
use super::output::Output;
use crate::admin::{self, DeadLetter, Decision, Fate};
use crate::app::App;
use crate::clock::rfc3339;
use crate::error::{Error, Refusal};
use crate::ledger;

/// More than anybody reads.
const MOST: u32 = 1000;

/// What can be done with them.
#[derive(Subcommand)]
pub enum LettersCommand {
    /// List those that wait, the newest first
    List {
        /// Those that were written or discarded, too
        #[arg(long)]
        all: bool,
    },
    /// Write one again, or all
    Retry {
        /// Its number, or `all`
        letter: String,
        /// Why, for the audit
        #[arg(long, default_value = "tried again", value_parser = Decision::read_reason)]
        reason: String,
    },
    /// Leave one at that: what it moved is not in the ledger
    Discard {
        /// Its number
        letter: i64,
        /// Why, for the audit
        #[arg(long, value_parser = Decision::read_reason)]
        reason: String,
    },
}

/// Does it, and says what came of it.
pub async fn run(
    app: &App,
    command: LettersCommand,
    operator: &Operator,
    output: &mut Output,
) -> Result<(), Error> {
    match command {
        LettersCommand::List { all } => {
            let letters = admin::dead_letters(app, all, MOST).await?;
            letters.iter().for_each(|it| output.line(shown(it)));
            output.line(format_args!("{} dead letters", letters.len()));
        }
        LettersCommand::Retry { letter, reason } => {
            retry(app, &letter, &operator.decision(&reason), output).await?;
        }
        LettersCommand::Discard { letter, reason } => {
            admin::decide(app, letter, Fate::Discard, &operator.decision(&reason)).await?;
            output.line(format_args!("dead letter {letter} is discarded"));
        }
    }
    Ok(())
}

async fn retry(app: &App, letter: &str, decision: &Decision, output: &mut Output) -> Result<(), Error> {
    let one: Option<i64> = match letter {
        "all" => {
            admin::retry_all(app, decision).await?;
            None
        }
        number => {
            let number = number.parse().map_err(|_| Refusal::field("letter", "must be a number or all"))?;
            admin::decide(app, number, Fate::Retry, decision).await?;
            Some(number)
        }
    };
    ledger::retry_letters(app).await?;
    let letters = admin::dead_letters(app, true, MOST).await?;
    let tried = letters.iter().filter(|it| one.map_or(it.state == "waiting", |one| it.id == one));
    tried.for_each(|it| output.line(shown(it)));
    if letters.iter().any(|it| it.state == "written" && !it.in_redis && one.is_none_or(|one| it.id == one)) {
        output.line("Redis was loaded since and lacks what was written now: laurel rebuild shows it");
    }
    Ok(())
}

fn shown(it: &DeadLetter) -> String {
    let user = match (&it.known, it.user) {
        (Some((number, name)), _) => format!("{name} ({number})"),
        (None, Some(id)) => format!("{id}, whom Postgres does not know"),
        (None, None) => "nobody's".to_owned(),
    };
    let points = it.points.map(|it| format!(" {it:+} points")).unwrap_or_default();
    let kind = it.kind.as_deref().unwrap_or("entry");
    let by = it.decided.as_ref().map(|(by, why)| format!(" by {by}: {why}")).unwrap_or_default();
    format!(
        "{} {} {kind}{points} of {user}: {}, {}; {}{by}",
        it.id,
        rfc3339(it.at_ms),
        it.reason,
        it.detail,
        it.state
    )
}

/// Says what is known of a user whom Postgres does not know, if a UUID is given: a login may outlive the user's row.
pub async fn tell_of_unknown(app: &App, text: &str, output: &mut Output) -> Result<(), Error> {
    let Ok(user) = text.parse::<Uuid>() else { return Ok(()) };
    let letters = admin::letters_of(app, user).await?;
    let banned = match app.store.is_banned(user).await? {
        true => "is banned in Redis, and wins nothing",
        false => "is not banned in Redis; the leader does so with the first entry that cannot be written",
    };
    output.line(format_args!("Postgres does not know {user}, who {banned}; {letters} dead letters wait"));
    Ok(())
}

//! The standard set: what `make bench` measures in one run and compares with the targets.

mod ledger_share;
mod reads;
mod report;
mod targets;

use crate::drive::bare_handler::board_response;
use crate::drive::flow::{Flow, Step};
use crate::drive::job::Job;
use crate::drive::players::{Players, SavedTokens};
use crate::drive::record::Record;
use crate::drive::schedule::Pace;
use crate::server::{Server, UNLIMITED};
use ledger_share::LedgerShare;
use reads::Reads;
pub use report::HEADING;

const COMMAND: &str = "make bench";
const USERS: usize = 10_000;
/// Tokens that are issued, then redeemed.
const AWARDS: u64 = 60_000;
/// Awards a second of the open loop.
const PER_SECOND: f64 = 2000.0;
/// Requests a second of the mixed flow.
const MIXED_PER_SECOND: f64 = 3000.0;
const OPEN_CONNECTIONS: usize = 256;
const SUBSCRIBERS: usize = 900;
/// The top player's awards a second, each of which changes the board.
const CHANGES: f64 = 5.0;

/// The results of the standard set.
pub struct Standard {
    init: Record,
    finalize: Record,
    update: Record,
    ledger_share: LedgerShare,
    /// `init` and `finalize`, then `update`, at a steady pace.
    paced: [Record; 2],
    reads: Reads,
    rank: Record,
    sockets: Record,
    mixed: Record,
    verified: String,
}

pub async fn measure() -> Standard {
    let server = Server::start(USERS, UNLIMITED);
    let players = Players::read(&server.logins_file());
    let stage = Stage { server: &server, players: &players };
    stage.closed("warm-up", &Flow::Game.steps(), 2.0).measure().await;

    let mut tokens = SavedTokens::default();
    tokens.is_saving = true;
    let init = stage.counted("init", Step::Init, AWARDS).measure_with(&mut tokens).await;
    tokens.is_saving = false;
    let issued = tokens.count() as u64;
    let finalize = stage.counted("finalize", Step::Finalize, issued).measure_with(&mut tokens).await;
    let update = stage.closed("game update", &[Step::Update], 10.0).measure().await;
    let ledger_share = ledger_share::measure(&stage).await;

    let actions = stage.open("actions", Flow::Actions, 2.0 * PER_SECOND, 15.0).measure().await;
    let updates = stage.open("game", Flow::Game, PER_SECOND, 15.0).measure().await;
    let reads = reads::measure(&stage).await;
    let rank = stage.closed("own rank", &Flow::Rank.steps(), 5.0).measure().await;
    let sockets = stage.with_subscribers("sockets", Flow::Sockets, 0.0, 15.0).await;
    let mixed = stage.with_subscribers("mixed", Flow::Mixed, MIXED_PER_SECOND, 20.0).await;
    Standard {
        init,
        finalize,
        update,
        ledger_share,
        paced: [actions, updates],
        reads,
        rank,
        sockets,
        mixed,
        verified: server.verify(),
    }
}

/// A node and its players.
struct Stage<'a> {
    server: &'a Server,
    players: &'a Players,
}

impl<'a> Stage<'a> {
    fn closed(&self, name: &'a str, steps: &[Step], seconds: f64) -> Job<'a> {
        Job {
            name,
            steps: steps.to_vec(),
            address: self.server.socket_address(),
            players: self.players,
            server: Some(self.server),
            pace: Pace::Closed,
            connections: crate::CONNECTIONS,
            seconds,
            max_requests: u64::MAX,
            subscribers: 0,
            changes: CHANGES,
            includes_ledger: true,
            command: COMMAND,
        }
    }

    fn counted(&self, name: &'a str, step: Step, max_requests: u64) -> Job<'a> {
        Job { max_requests, ..self.closed(name, &[step], 60.0) }
    }

    fn open(&self, name: &'a str, flow: Flow, per_second: f64, seconds: f64) -> Job<'a> {
        let pace = Pace::Open(per_second);
        Job { pace, connections: OPEN_CONNECTIONS, ..self.closed(name, &flow.steps(), seconds) }
    }

    async fn with_subscribers(&self, name: &str, flow: Flow, per_second: f64, seconds: f64) -> Record {
        // The earlier runs may have changed who is the top player.
        let mut players = Players::read(&self.server.logins_file());
        players.move_top_player_last(&board_response(self.server.socket_address()));
        let connections = if flow.is_top_player_only() { 0 } else { OPEN_CONNECTIONS };
        let stage = Stage { server: self.server, players: &players };
        let open = stage.open(name, flow, per_second, seconds);
        let job = Job { connections, subscribers: SUBSCRIBERS, ..open };
        job.warm_up().await;
        job.measure().await
    }
}

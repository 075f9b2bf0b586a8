//! The standard set: what `make bench` measures in one run, and holds against the targets.

mod held;
mod reads;
mod report;
mod targets;

use serde::Serialize;

use crate::cpu::Cpu;
use crate::drive::bare;
use crate::drive::command::Job;
use crate::drive::hoard::Hoard;
use crate::drive::players::Players;
use crate::drive::plot;
use crate::drive::program::Flow;
use crate::drive::record::Record;
use crate::drive::step::Step;
use crate::drive::turns::Pace;
use crate::script::{Alone, Script};
use crate::server::{Server, UNLIMITED};
use held::Held;
use reads::Reads;
pub use report::HEADING;

const COMMAND: &str = "make bench";
const PLOTS: &str = "loadtest/plots";
const USERS: usize = 10_000;
/// Tokens that are issued, then redeemed; and calls of `redis-benchmark`.
const AWARDS: u64 = 60_000;
/// Awards a second of the open loop.
const PER_SECOND: f64 = 2000.0;
/// Requests a second of the mixed flow.
const MIXED_PER_SECOND: f64 = 3000.0;
const OPEN_CONNECTIONS: usize = 256;
const LISTENERS: usize = 900;
/// The leader's awards a second, each of which changes the board.
const CHANGES: f64 = 5.0;

/// All that was measured.
#[derive(Serialize)]
pub struct Standard {
    init: Record,
    finalize: Record,
    update: Record,
    held: Held,
    /// `init` and `finalize`, then `update`, at a pace.
    paced: [Record; 2],
    reads: Reads,
    rank: Record,
    sockets: Record,
    mixed: Record,
    /// `redis-benchmark`, before the awards and after them.
    alone: [Alone; 2],
    verified: String,
}

pub async fn measure() -> Standard {
    let server = Server::start(USERS, UNLIMITED);
    let players = Players::read(&server.logins_file());
    let stage = Stage { server: &server, players: &players };
    stage.closed("warm up", &Flow::Game.steps(), 2.0).measure(&mut Hoard::default()).await;

    let mut script = Script::start().await;
    let before = script.benchmark(AWARDS as usize).await;
    let mut hoard = Hoard::default();
    hoard.fills = true;
    let init = stage.counted("init", Step::Init, AWARDS).measure(&mut hoard).await;
    hoard.fills = false;
    let tokens = hoard.count() as u64;
    let finalize = stage.counted("finalize", Step::Finalize, tokens).measure(&mut hoard).await;
    let mut none = Hoard::default();
    let update = stage.closed("game update", &[Step::Update], 10.0).measure(&mut none).await;
    let after = script.benchmark(AWARDS as usize).await;
    script.stop().await;
    let held = held::measure(&stage).await;

    let actions = stage.open("actions", Flow::Actions, 2.0 * PER_SECOND, 15.0).measure(&mut none).await;
    let updates = stage.open("game", Flow::Game, PER_SECOND, 15.0).measure(&mut none).await;
    let reads = reads::measure(&stage).await;
    let rank = stage.closed("own rank", &Flow::Rank.steps(), 5.0).measure(&mut none).await;
    let sockets = stage.listening("sockets", Flow::Sockets, 0.0, 15.0).await;
    let mixed = stage.listening("mixed", Flow::Mixed, MIXED_PER_SECOND, 20.0).await;
    let verified = server.verify();
    let paced = [actions, updates];
    let all = Standard {
        init,
        finalize,
        update,
        held,
        paced,
        reads,
        rank,
        sockets,
        mixed,
        alone: [before, after],
        verified,
    };
    all.keep();
    all
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
            requests: u64::MAX,
            listeners: 0,
            changes: CHANGES,
            drains: true,
            command: COMMAND,
        }
    }

    fn counted(&self, name: &'a str, step: Step, requests: u64) -> Job<'a> {
        Job { requests, ..self.closed(name, &[step], 60.0) }
    }

    fn open(&self, name: &'a str, flow: Flow, per_second: f64, seconds: f64) -> Job<'a> {
        let pace = Pace::Open(per_second);
        Job { pace, connections: OPEN_CONNECTIONS, ..self.closed(name, &flow.steps(), seconds) }
    }

    async fn listening(&self, name: &str, flow: Flow, per_second: f64, seconds: f64) -> Record {
        // Whoever led at first may have been passed by those who played since.
        let mut players = Players::read(&self.server.logins_file());
        players.put_last(&bare::board(self.server.socket_address()));
        let connections = if flow.is_the_leaders() { 0 } else { OPEN_CONNECTIONS };
        let stage = Stage { server: self.server, players: &players };
        let open = stage.open(name, flow, per_second, seconds);
        let job = Job { connections, listeners: LISTENERS, ..open };
        job.warm_up().await;
        job.measure(&mut Hoard::default()).await
    }
}

impl Standard {
    /// Writes the plots, and all numbers.
    fn keep(&self) {
        for record in self.paced.iter().chain([&self.update, &self.mixed]) {
            let name = record.flow.replace(' ', "-");
            std::fs::write(format!("{PLOTS}/{name}.svg"), plot::draw(record)).unwrap();
        }
        let text = serde_json::to_string_pretty(self).unwrap() + "\n";
        std::fs::write("loadtest/standard.json", text).unwrap();
    }
}

/// CPU seconds of the node alone over a time.
fn node_seconds(server: &Server, before: &Cpu) -> f64 {
    Cpu::of(server).since(before).node
}

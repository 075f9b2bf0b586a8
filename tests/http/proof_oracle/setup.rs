//! Nodes with a backend that verifies proofs, and reasons to refuse a request.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::action::webhook::Backend;
use crate::harness::{Player, RedisClient, TestNode, TestStores};

/// A reason to refuse a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Obstacle {
    Ban,
    RateLimit,
    Cooldown,
    ClosedHours,
    FullOutbox,
    PointsPerHour,
    UsedKey,
    TooSoon,
    NoSession,
    OtherSession,
    /// Another request is having the proof verified.
    Reserved,
}

use Obstacle::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flow {
    Finalize,
    Prove,
    Update,
}

/// Every reason to refuse without spending the token, by flow.
pub const OBSTACLES: [(Flow, &[Obstacle]); 3] = [
    (Flow::Finalize, &[Ban, RateLimit, Cooldown, ClosedHours, FullOutbox, PointsPerHour, UsedKey, Reserved]),
    (
        Flow::Prove,
        &[
            Ban,
            RateLimit,
            Cooldown,
            ClosedHours,
            FullOutbox,
            UsedKey,
            TooSoon,
            NoSession,
            OtherSession,
            Reserved,
        ],
    ),
    (
        Flow::Update,
        &[
            Ban,
            RateLimit,
            Cooldown,
            ClosedHours,
            FullOutbox,
            PointsPerHour,
            UsedKey,
            NoSession,
            OtherSession,
            Reserved,
        ],
    ),
];

/// The node verifies `quiz`, the webhook `raid`, and both verify `duel`.
fn catalogue(url: &str, rule: &str) -> String {
    let hook = format!("kind = \"webhook\", url = \"{url}/loot\", secret = \"whsec_{}\"", "A".repeat(32));
    let quiz = "kind = \"quiz\", bank = \"capitals\"";
    let action = |name: &str, number: u32, proof: &str, flows: &str| {
        format!(
            "[[action]]\ntype = \"{name}\"\nnumber = {number}\npoints = 10\npoints_by_difficulty = {{ hard = 40 }}\n\
             proof = {{ {proof} }}\nflows = [{flows}]\ncooldown_ms = 3600000\n{rule}\n"
        )
    };
    action("quiz", 1, quiz, "\"actions\", \"tokens\"")
        + &action("raid", 2, &hook, "\"actions\", \"tokens\", \"game\"")
        + &action(
            "duel",
            3,
            &format!("kind = \"all\", of = [{{ {quiz} }}, {{ {hook} }}]"),
            "\"actions\", \"tokens\"",
        )
        + "[[action]]\ntype = \"watch_ad\"\nnumber = 4\npoints = 1\nproof = { kind = \"none\" }\n"
        + "[[banks.capitals]]\nquestion = \"What is the capital of France?\"\nanswer = \"Paris\"\n"
}

pub struct Setup {
    pub stores: TestStores,
    pub backend: Arc<Backend>,
    pub redis_client: RedisClient,
    /// A node without an obstacle.
    pub open: TestNode,
    /// A node outside `open_hours`.
    pub closed: TestNode,
    /// A node with a full outbox.
    pub full: TestNode,
    /// A node with a limit of 40 points per hour, as many as one `hard` award has.
    pub capped: TestNode,
}

impl Setup {
    pub async fn new() -> Self {
        let (stores, backend) = (TestStores::new().await, Backend::start().await);
        let node = async |rule: &str, outbox: u64, points: u64| {
            let path = stores.write_catalogue(&catalogue(&backend.base, rule));
            stores
                .start_node_with(|config| {
                    config.actions.file = path;
                    config.limits.updates_per_minute = 100;
                    config.limits.inits_per_minute = 100;
                    config.limits.points_per_hour = points;
                    config.outbox.max_entries = outbox;
                })
                .await
        };
        let open = node("", 1_000_000, 0).await;
        let hour = open.app.store.now_us().await.unwrap() / 3_600_000_000 % 24;
        let closed_now = format!("open_hours = \"{:02}:00-{:02}:00\"", (hour + 6) % 24, (hour + 10) % 24);
        let closed = node(&closed_now, 1_000_000, 0).await;
        let (full, capped) = (node("", 0, 0).await, node("", 1_000_000, 40).await);
        let redis_client = stores.redis_client().await;
        Self { stores, backend, redis_client, open, closed, full, capped }
    }

    /// The node that refuses for this reason.
    pub fn node(&self, obstacle: Obstacle) -> &TestNode {
        match obstacle {
            ClosedHours => &self.closed,
            FullOutbox => &self.full,
            PointsPerHour => &self.capped,
            _ => &self.open,
        }
    }

    /// A request with a right or a wrong proof.
    pub async fn request(
        &self,
        flow: Flow,
        action: &str,
        player: &Player,
        right: bool,
    ) -> (&'static str, Value) {
        let capital = if right { "Paris" } else { "Atlantis" };
        let loot = if right { 7 } else { 8 };
        let proof = match action {
            "quiz" => json!({ "quizResult": capital }),
            "raid" => json!({ "loot": loot }),
            // The webhook accepts this `loot`, so only the quiz decides.
            _ => json!({ "quizResult": capital, "loot": 7 }),
        };
        if flow == Flow::Update {
            let started = self.open.start_game(player).await;
            let token = &started.body["data"]["actionToken"];
            let body = json!({ "actionToken": token, "actionType": action, "points": 40, "proof": proof });
            return ("/api/score/update", body);
        }
        let token = self.open.issue_token(player, action).await;
        let path = match flow {
            Flow::Finalize => "/api/v1/actions/finalize",
            _ => "/api/v1/action-tokens",
        };
        (path, json!({ "antiSpamToken": token, "proof": proof }))
    }

    /// Creates the obstacle.
    pub async fn obstruct(
        &mut self,
        obstacle: Obstacle,
        flow: Flow,
        action: &str,
        player: &Player,
        body: &mut Value,
    ) {
        let user = player.identity.user;
        let command = match obstacle {
            Ban => format!("SET ban:{user} 1"),
            RateLimit if flow == Flow::Prove => format!("SET rate:inits:{user} 1000 PX 60000"),
            RateLimit => format!("SET rate:awards:{user} 1000 PX 60000"),
            Cooldown => {
                let now_ms = self.open.app.store.now_us().await.unwrap() / 1000;
                format!("HSET limit:{user}:{action} at {now_ms}")
            }
            TooSoon => format!("SET proven:{user} 1 PX 30000"),
            PointsPerHour => format!("SET points:{user} 5 PX 3600000"),
            ClosedHours | FullOutbox => return,
            Reserved => format!("SET {} {user} PX 60000", reservation_key(&self.open, body)),
            UsedKey => {
                let body = json!({ "antiSpamToken": self.open.issue_token(player, "watch_ad").await });
                let path = "/api/v1/actions/finalize";
                let key = [("idempotency-key", "k")];
                assert_eq!(self.open.post_with(path, &player.token, &key, &body).await.status, 200);
                return;
            }
            NoSession if flow == Flow::Update => {
                assert_eq!(self.open.end_game(player).await.status, 200);
                return;
            }
            OtherSession if flow == Flow::Update => {
                assert_eq!(self.open.start_game(player).await.status, 200);
                return;
            }
            NoSession | OtherSession => {
                body["sessionId"] = json!("sess_bogus");
                if obstacle == OtherSession {
                    assert_eq!(self.open.start_game(player).await.status, 200);
                }
                return;
            }
        };
        let _: redis::Value = self.redis_client.query(&command).await;
    }

    /// Removes the obstacle.
    pub async fn clear(&mut self, obstacle: Obstacle, action: &str, player: &Player, body: &mut Value) {
        let user = player.identity.user;
        let key = match obstacle {
            Ban => format!("ban:{user}"),
            Cooldown => format!("limit:{user}:{action}"),
            TooSoon => format!("proven:{user}"),
            Reserved => reservation_key(&self.open, body),
            NoSession | OtherSession => {
                body.as_object_mut().unwrap().remove("sessionId");
                return;
            }
            _ => return,
        };
        let _: i64 = self.redis_client.query(&format!("DEL {key}")).await;
    }
}

/// The key that reserves a request's token.
fn reservation_key(node: &TestNode, body: &Value) -> String {
    let id = match body["antiSpamToken"].as_str() {
        Some(token) => node.app.awards.anti_spam.read(token).unwrap().jti.to_string(),
        None => laurel::crypto::sha256_hex(&[body["actionToken"].as_str().unwrap().as_bytes()]),
    };
    format!("judging:{id}")
}

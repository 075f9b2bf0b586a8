//! The steps of an award, from the login to the response.

use std::sync::Arc;

use divan::Bencher;
use laurel::account::{LoginKeys, User};
use laurel::action::{Challenge, Flow, Limits, ProofResult};
use laurel::award::Award;
use laurel::crypto::sha256_hex;
use laurel::live::EncodedBoard;
use laurel::metrics::Metrics;
use laurel::receipt::{Receipt, ReceiptKeys};
use laurel::store::{BoardId, Judging, Redeem, internals};
use laurel::token::{AntiSpamClaims, AntiSpamKeys};

use crate::board::{board, entries};
use crate::{bulk_strings, config, user};

const NOW_S: i64 = 1_790_000_000;

#[divan::bench]
fn read_login(bencher: Bencher<'_, '_>) {
    let keys = LoginKeys::new(&config().auth, user(3));
    let player = User {
        id: user(1),
        number: 4711,
        username: "player_00000001".into(),
        role: "player".into(),
        score: 0,
    };
    let token = keys.sign(&player, NOW_S).expect("it can be signed");
    bencher.bench(|| keys.read(divan::black_box(&token), NOW_S));
}

#[divan::bench]
fn read_anti_spam_token(bencher: Bencher<'_, '_>) {
    let keys = AntiSpamKeys::new(&config().auth);
    let claims = AntiSpamClaims {
        sub: user(1),
        act: "watch_ad".into(),
        jti: user(2),
        iat: NOW_S,
        exp: NOW_S + 30,
        chl: Challenge::default(),
    };
    let token = keys.sign(&claims).expect("it can be signed");
    bencher.bench(|| keys.read(divan::black_box(&token)));
}

fn receipt() -> Receipt {
    let (jti, sub, act) = (user(2), user(1), "watch_ad".to_owned());
    Receipt { jti, sub, act, points: 10, score: 1240, version: NOW_S * 1_000_000, iat: NOW_S }
}

#[divan::bench]
fn sign_receipt(bencher: Bencher<'_, '_>) {
    let keys = ReceiptKeys::new(&config().auth).expect("there is a secret");
    let (kid, receipt) = (keys.kid().to_owned(), receipt());
    bencher.bench(|| keys.sign(&kid, divan::black_box(&receipt)));
}

/// Encodes the bytes of the `redeem` call.
#[divan::bench]
fn encode_redeem(bencher: Bencher<'_, '_>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The store connects on first use, which does not happen here.
    let _guard = runtime.enter();
    let mut config = config();
    config.redis.url = "redis://127.0.0.1:1/".to_owned().into();
    let store = internals::unconnected(&config.redis, Arc::new(Metrics::default())).expect("a URL");
    let (token_id, token_hash) = (user(2).to_string(), sha256_hex(&[b"a token"]));
    let (limits, verdict) = (Limits::default(), ProofResult::default());
    let redeem = Redeem {
        board: BoardId::GLOBAL,
        user: user(1),
        number: 4711,
        username: "player_00000001",
        action: "watch_ad",
        points: 10,
        most_points: 10,
        limits: &limits,
        attempt_id: user(2),
        token_id: &token_id,
        token_hash: &token_hash,
        flow: Flow::Actions,
        expires_s: NOW_S + 30,
        named_session: "",
        proof: "",
        verdict: &verdict,
        judging: Judging::Local,
        per_minute: 10,
        points_per_hour: 0,
        outbox_max: 1_000_000,
        known_version: NOW_S * 1_000_000,
        known_top: &Vec::new,
        publish_interval_ms: 50,
        idempotency: None,
        next: None,
        receipt_kid: "receipt-key-name",
        attempts: None,
    };
    bencher.bench(|| internals::redeem_call(&store, divan::black_box(&redeem)).get_packed_command());
}

/// Reads a reply with the top list, as after each change of it, and without, as usual.
#[divan::bench(args = [0, 10])]
fn read_redeemed(bencher: Bencher<'_, '_>, places: usize) {
    let (run, hlc_us) = ("f".repeat(40), "1790000000000000");
    let reply = ["0", "3", "41000", "0", hlc_us, &run, "1240", "812", "815", "10", hlc_us, "0", "", "0"];
    let receipt = [hlc_us, "receipt-key-name", "watch_ad"];
    let entries = entries().into_iter().take(places).map(|entry| entry.to_string());
    let words = reply.into_iter().chain(receipt).map(str::to_owned).chain(entries);
    let reply = bulk_strings(&words.collect::<Vec<_>>());
    let read = |reply: &str| {
        let value = redis::parse_redis_value(reply.as_bytes()).expect("it is a RESP value");
        internals::redeemed(value, 10).expect("it is a reply of redeem")
    };
    assert!(matches!(read(&reply), Ok(award) if award.receipt_data.action == "watch_ad"));
    bencher.bench(|| read(divan::black_box(&reply)));
}

#[divan::bench]
fn show_award(bencher: Bencher<'_, '_>) {
    let keys = ReceiptKeys::new(&config().auth).expect("there is a secret");
    let receipt = keys.sign(keys.kid(), &receipt()).expect("it can be signed");
    let award = Award {
        score: 1240,
        rank: Some(812),
        points: 10,
        next: None,
        board: Arc::new(EncodedBoard::new(board())),
        receipt,
    };
    bencher.bench(|| laurel::http::show_award(divan::black_box(&award)));
}

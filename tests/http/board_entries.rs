//! The entries of boards that follow the ledger.

use futures::StreamExt;
use laurel::account::{UserRef, find};
use laurel::admin::{Decision, Restriction, adjust, restrict, void};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Player, TestNode, TestResponse, TestStores, eventually, wait_until_boards_follow};
use crate::ledger::insert_user_with_id;
use crate::scripts::{award, user};

const BOARDS: &str = "
[[board]]
id = \"weekly\"
period = \"week\"

[[board]]
id = \"rounds\"
measure = \"count\"
ranking = \"dense\"

[[board]]
id = \"last\"
aggregate = \"latest\"
order = \"asc\"
ranking = \"ordinal\"
actions = [\"watch_ad\", \"solve_puzzle\"]
";

async fn entries(node: &TestNode, player: Option<&Player>, board_and_query: &str) -> TestResponse {
    let (board, query) = board_and_query.split_once('?').unwrap_or((board_and_query, ""));
    let path = format!("/api/v1/boards/{board}/entries?{query}");
    let response = node.get_with(&path, player.map_or("", |player| &player.token), &[]).await;
    assert_eq!(response.status, 200, "{path}: {}", response.text);
    response
}

/// Names, positions, ranks and scores.
fn rows(body: &Value) -> Vec<(&str, u64, u64, i64)> {
    let row = |entry: &'_ Value| {
        let number = |name: &str| entry[name].as_u64().unwrap();
        (number("position"), number("rank"), entry["score"].as_i64().unwrap())
    };
    let entries = body["entries"].as_array().unwrap().iter();
    let named = entries.map(|entry| (entry["username"].as_str().unwrap(), row(entry)));
    named.map(|(username, (position, rank, score))| (username, position, rank, score)).collect()
}

/// Waits until a board counts these awards.
async fn wait_for(node: &TestNode, board: &str, total: u64, sum: i64) {
    eventually("the board to follow the ledger", async || {
        let page = entries(node, None, board).await.body;
        let scores: i64 = rows(&page).iter().map(|row| row.3).sum();
        (page["total"] == total && scores == sum).then_some(())
    })
    .await;
}

#[tokio::test]
async fn boards_rank_awards_by_their_rules() {
    let stores = TestStores::new().await;
    let file = stores.write_boards(BOARDS);
    let node = stores.start_node_with(|config| config.boards.file = file.clone()).await;
    let players = node.create_players(4).await;
    let [ada, bob, cy, dee] = &players[..] else { panic!("four players") };
    // 10 points for an ad, 50 for a puzzle.
    for (player, action) in
        [(ada, "watch_ad"), (bob, "watch_ad"), (ada, "watch_ad"), (cy, "watch_ad"), (bob, "watch_ad")]
    {
        node.award(player, action).await;
    }
    let name = |player: &Player| player.identity.username.clone();
    let (a, b, c) = (name(ada), name(bob), name(cy));
    wait_for(&node, "weekly", 3, 50).await;
    let weekly = entries(&node, Some(dee), "weekly").await.body;
    // Ada reached 20 first.
    assert_eq!(rows(&weekly), [(a.as_str(), 1, 1, 20), (&b, 2, 1, 20), (&c, 3, 3, 10)]);
    assert_eq!(
        (&weekly["me"], &weekly["stale"], &weekly["state"]),
        (&Value::Null, &json!(false), &json!("open"))
    );
    assert!(weekly.get("next").is_none() && weekly.get("previous").is_none(), "{weekly}");
    wait_for(&node, "rounds", 3, 5).await;
    let rounds = entries(&node, Some(cy), "rounds").await.body;
    assert_eq!(rows(&rounds), [(a.as_str(), 1, 1, 2), (&b, 2, 1, 2), (&c, 3, 2, 1)]);
    assert_eq!((&rounds["me"]["rank"], &rounds["me"]["percentile"]), (&json!(2), &json!(66.6)));
    wait_for(&node, "last", 3, 30).await;
    let last = entries(&node, None, "last").await.body;
    // Equal results: the earlier one is better, and the latest award counts.
    assert_eq!(rows(&last), [(a.as_str(), 1, 1, 10), (&c, 2, 2, 10), (&b, 3, 3, 10)]);
    assert!(last.get("me").is_none());
}

#[tokio::test]
async fn decisions_change_every_board() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let players = node.create_players(3).await;
    let [ada, bob, cy] = &players[..] else { panic!("three players") };
    for player in [bob, ada, ada, cy, cy] {
        node.award(player, "watch_ad").await;
    }
    let name = |player: &Player| player.identity.username.clone();
    let (a, b, c) = (name(ada), name(bob), name(cy));
    let expect = async |board: &str, expected: &[(&str, u64, u64, i64)]| {
        eventually("the board to follow a decision", async || {
            let page = entries(&node, None, board).await.body;
            (rows(&page) == expected).then_some(())
        })
        .await;
    };
    let all = [(a.as_str(), 1, 1, 20), (&b, 3, 3, 10), (&c, 2, 1, 20)];
    let sorted = [all[0], all[2], all[1]];
    expect("weekly", &sorted).await;
    expect("global", &sorted).await;
    let decision = Decision { actor: "test".into(), host: None, reason: "a bot".into() };
    let restricts = async |player: &Player, restriction| {
        restrict(&node.app.admin, player.identity.user, restriction, None, &decision).await.unwrap();
    };
    let without_ada = [(c.as_str(), 1, 1, 20), (&b, 2, 2, 10)];
    restricts(ada, Restriction::Ban).await;
    expect("weekly", &without_ada).await;
    expect("global", &without_ada).await;
    restricts(ada, Restriction::Unban).await;
    expect("weekly", &sorted).await;
    // A quarantined player is on no board but `global`, which shows the score from before.
    restricts(ada, Restriction::Quarantine).await;
    node.award(ada, "watch_ad").await;
    expect("weekly", &without_ada).await;
    expect("global", &sorted).await;
    restricts(ada, Restriction::Approve).await;
    let approved = [(a.as_str(), 1, 1, 30), (&c, 2, 2, 20), (&b, 3, 3, 10)];
    expect("weekly", &approved).await;
    expect("global", &approved).await;
    // A void removes exactly the held awards.
    restricts(ada, Restriction::Quarantine).await;
    node.award(ada, "watch_ad").await;
    void(&node.app.admin, ada.identity.user, None, &decision).await.unwrap();
    expect("weekly", &approved).await;
    let user = find(&node.app.accounts, UserRef::Id(bob.identity.user)).await.unwrap().unwrap();
    adjust(&node.app.admin, &user, 25, None, &decision).await.unwrap();
    let adjusted = [(b.as_str(), 1, 1, 35), (&a, 2, 2, 30), (&c, 3, 3, 20)];
    expect("weekly", &adjusted).await;
    expect("global", &adjusted).await;
    // Redis loses everything: the boards are loaded from the ledger, with a later version.
    let version = entries(&node, None, "weekly").await.body["version"].as_i64().unwrap();
    stores.redis_client().await.query::<()>("FLUSHALL").await;
    expect("weekly", &adjusted).await;
    expect("global", &adjusted).await;
    assert!(entries(&node, None, "weekly").await.body["version"].as_i64() > Some(version));
    let of_global = node.get("/api/v1/boards/global").await;
    assert_eq!(of_global.body["period"]["players"], 3);
}

#[tokio::test]
async fn pages_follow_the_order() {
    let (stores, mut postgres) = TestStores::with_own_postgres().await;
    let node = stores.start_node().await;
    let players = node.create_players(23).await;
    for (index, player) in players.iter().enumerate() {
        for _ in 0..=index % 3 {
            node.award(player, "watch_ad").await;
        }
    }
    let sum: i64 = (0..23).map(|index| 10 * (index % 3 + 1)).sum();
    let all = eventually("the board to follow the ledger", async || {
        let page = entries(&node, None, "daily?limit=200").await.body;
        (rows(&page).iter().map(|row| row.3).sum::<i64>() == sum).then_some(page)
    })
    .await;
    let all_entries = all["entries"].as_array().unwrap();
    let mut walked = Vec::new();
    let mut query = "daily?limit=7".to_owned();
    let last = loop {
        let page = entries(&node, None, &query).await.body;
        walked.extend(page["entries"].as_array().unwrap().clone());
        let Some(next) = page.get("next") else { break page };
        query = format!("daily?limit=7&cursor={}", next.as_str().unwrap());
    };
    assert_eq!(&walked, all_entries);
    let previous = last["previous"].as_str().unwrap();
    let page = entries(&node, None, &format!("daily?limit=7&cursor={previous}")).await.body;
    assert_eq!(page["entries"].as_array().unwrap(), &all_entries[14..21]);

    let ada = &players[20];
    let own = all_entries.iter().position(|entry| entry["userId"] == ada.identity.user.to_string()).unwrap();
    for around in ["me".to_owned(), ada.identity.user.to_string()] {
        let page = entries(&node, Some(ada), &format!("daily?limit=5&around={around}&top=3")).await.body;
        let first = own.saturating_sub(2).min(18);
        let top = &all_entries[..3.min(first)];
        assert_eq!(page["entries"].as_array().unwrap(), &[top, &all_entries[first..first + 5]].concat());
        let (me, entry) = (&page["me"], &all_entries[own]);
        assert_eq!(
            (&me["position"], &me["rank"], &me["score"]),
            (&entry["position"], &entry["rank"], &entry["score"])
        );
    }
    let nobody = uuid::Uuid::from_u128(9);
    let ids = json!([ada.identity.user, players[0].identity.user, nobody, nobody]);
    let lookup = async |body: Value| node.post("/api/v1/boards/daily/entries/lookup", "", &body).await;
    let found = lookup(json!({ "userIds": ids, "period": all["period"] })).await.body;
    assert_eq!(found["notFound"], json!([nobody]));
    let places: Vec<_> =
        found["entries"].as_array().unwrap().iter().map(|entry| entry["relative"].clone()).collect();
    assert_eq!(places, [json!({ "position": 1, "rank": 1 }), json!({ "position": 2, "rank": 2 })]);

    let other_list = previous.to_owned();
    for (path, field) in [
        ("daily/entries?limit=0", "limit"),
        ("daily/entries?limit=201", "limit"),
        ("daily/entries?around=ada", "around"),
        ("daily/entries?cursor=x", "cursor"),
        (&format!("weekly/entries?cursor={other_list}"), "cursor"),
        (&format!("daily/entries?period=2020-01-01&cursor={other_list}"), "cursor"),
        (&format!("daily/entries?around={nobody}&cursor={other_list}"), "cursor"),
        ("daily/entries?offset=3", "offset"),
    ] {
        let response = node.get(&format!("/api/v1/boards/{path}")).await;
        response.assert_refused(400, "VALIDATION_ERROR");
        assert_eq!(response.fields(), [field], "{path}");
    }
    node.get("/api/v1/boards/daily/entries?around=me").await.assert_refused(401, "UNAUTHORIZED");
    node.get("/api/v1/boards/daily/entries?period=2020-01-01").await.assert_refused(404, "PERIOD_NOT_FOUND");
    lookup(json!({ "userIds": [1] })).await.assert_refused(400, "VALIDATION_ERROR");
    let many: Vec<_> = (0..201).map(uuid::Uuid::from_u128).collect();
    lookup(json!({ "userIds": many })).await.assert_refused(400, "VALIDATION_ERROR");

    // Without Postgres the boards freeze and say so. Awards go on.
    postgres.stop().await;
    node.award(ada, "watch_ad").await;
    let frozen = eventually("the board to be stale", async || {
        let page = entries(&node, None, "daily?limit=200").await.body;
        (page["stale"] == true).then_some(page)
    })
    .await;
    assert_eq!(frozen["entries"], all["entries"]);
    assert!(
        frozen["asOf"].as_str()
            < Some(node.get("/api/v1/boards/daily").await.body["period"]["endsAt"].as_str().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn players_who_stand_still_are_on_one_page_while_a_thousand_move() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let app = &node.app;
    let (movers, still): (Vec<Uuid>, Vec<Uuid>) =
        ((1..=1000).map(user).collect(), (1001..=1050).map(user).collect());
    for user in movers.iter().chain(&still) {
        insert_user_with_id(app, *user).await;
    }
    let scores = movers.iter().zip((1..).map(|number| number % 500 + 1));
    let scores = scores.chain(still.iter().zip((1..).map(|number| 20 * number)));
    let awards = scores.map(|(user, points)| award(&app.store, *user, points));
    futures::stream::iter(awards).buffer_unordered(16).for_each(async |_| ()).await;
    node.wait_for_ledger().await;
    wait_until_boards_follow(app).await;

    let play = async {
        for number in 0.. {
            let awards = (0..16).map(|index| award(&app.store, movers[(16 * number + index) * 7 % 1000], 40));
            futures::future::join_all(awards).await;
        }
    };
    let walk = async {
        let (mut seen, mut direction) = (Vec::new(), "next");
        let mut query = "weekly?limit=100".to_owned();
        loop {
            let page = entries(&node, None, &query).await.body;
            let users = page["entries"].as_array().unwrap().iter();
            let users = users.map(|entry| entry["userId"].as_str().unwrap().parse::<Uuid>().unwrap());
            let of_page: Vec<Uuid> = users.filter(|user| still.contains(user)).collect();
            seen.extend(&of_page);
            let mut cursor = page.get(direction);
            if cursor.is_none() {
                seen.sort_unstable();
                assert_eq!(seen, still, "each is on one page");
                if direction == "previous" {
                    break;
                }
                // Back to the first page. The last one is read.
                (seen, direction) = (of_page, "previous");
                cursor = page.get(direction);
            }
            query = format!("weekly?limit=100&cursor={}", cursor.unwrap().as_str().unwrap());
            eventually("players to move", async || {
                let version = entries(&node, None, "weekly?limit=1").await.body["version"].as_i64();
                (version > page["version"].as_i64()).then_some(())
            })
            .await;
        }
    };
    tokio::select! {
        () = play => {}
        () = walk => {}
    }
    node.stop().await;
}

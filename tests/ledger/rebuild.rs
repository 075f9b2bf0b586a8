use crate::harness::{World, assert_verified, eventually};

#[tokio::test]
async fn an_emptied_redis_is_loaded_from_the_ledger_at_the_start() {
    let mut world = World::new().await;
    let node = world.node().await;
    let players = node.players(15).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    let board = node.get("/api/v1/scores/leaderboard").await;
    assert_verified(&world).await;
    node.stop().await;
    world.redis.kill().await;
    world.redis.lose_data();
    world.redis.restart().await;

    let node = world.node().await;
    let rebuilt = node.get("/api/v1/scores/leaderboard").await;
    assert_eq!(rebuilt.body["leaderboard"], board.body["leaderboard"], "ties in their old order too");
    assert!(rebuilt.body["version"].as_i64() > board.body["version"].as_i64());
    assert_verified(&world).await;
    node.award(&players[14], "watch_ad").await;
    assert_eq!(node.board().await[0].1, 20);
}

#[tokio::test]
async fn a_rebuild_while_nodes_serve_loses_nothing() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(30).await;
    let awards = async {
        for round in 0..10 {
            for player in &players {
                let answer = node.init(player, "watch_ad").await;
                if answer.status == 200 {
                    let token = answer.body["antiSpamToken"].as_str().unwrap();
                    let answer = node.finalize(player, token, serde_json::Value::Null).await;
                    assert!([200, 503].contains(&answer.status), "round {round}: {}", answer.text);
                }
            }
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            let _: u64 = world.look().await.ask("ZADD leaderboard:global 999999 a-stranger").await;
            laurel::ledger::rebuild(&node.app, |_| ()).await.unwrap();
        }
    };
    futures::join!(awards, rebuilds);
    assert_verified(&world).await;
    eventually("awards to be open again", async || {
        (node.get("/readyz/awards").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rebuild_that_cannot_be_made_leaves_the_board_as_it_was() {
    let world = World::new().await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    // Nobody can write this entry, so the ledger does not have everything.
    let _: String = world.look().await.ask("XADD outbox * kind unknown").await;
    assert!(laurel::ledger::rebuild(&node.app, |_| ()).await.is_err());
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
}

#[tokio::test]
async fn nodes_that_start_together_load_an_empty_redis_once() {
    let world = World::new().await;
    let (one, two, three) = futures::join!(world.node(), world.node(), world.node());
    for node in [&one, &two, &three] {
        assert_eq!(node.get("/readyz/awards").await.status, 200);
    }
}

#[tokio::test]
async fn a_redis_that_is_emptied_under_a_serving_node_is_loaded_again() {
    let world = World::new().await;
    let node = world.node().await;
    let players = node.players(12).await;
    for player in &players {
        node.award(player, "watch_ad").await;
    }
    node.written().await;
    let board = node.board().await;
    let _: () = world.look().await.ask("FLUSHALL").await;
    // No award is made on a total that is not there.
    let won = eventually("awards to be taken again", async || {
        let answer = node.init(&players[0], "watch_ad").await;
        (answer.status == 200).then(|| answer.body["antiSpamToken"].as_str().unwrap().to_owned())
    })
    .await;
    assert_eq!(node.board().await, board);
    let answer = node.finalize(&players[0], &won, serde_json::Value::Null).await;
    assert_eq!(answer.body["newScore"], 20, "{}", answer.text);
    assert_verified(&world).await;
}

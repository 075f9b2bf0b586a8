//! Redis is there, but refuses in words: what redis-rs' own connections would keep for ever. A password in the URL of a socket
//! file, and a load that is slowed down by its own option: on a single Redis.

use crate::harness::{TestNode, World, connect_redis, eventually};

async fn awards_answer(node: &TestNode, status: u16) {
    eventually(&format!("awards to be answered with {status}"), async || {
        (node.get("/readyz/awards").await.status == status).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_password_that_is_changed_under_a_node_keeps_it_out_only_until_it_is_right_again() {
    let world = World::with_shards(1).await;
    let mut look = world.look().await;
    let _: () = look.ask("CONFIG SET requirepass secret").await;
    let url = format!("{}?pass=secret", world.config.redis.url.expose());
    let node = world.node_with(|it| it.redis.url = url.into()).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;

    let _: () = look.ask("CONFIG SET requirepass another").await;
    let _: u64 = look.ask("CLIENT KILL TYPE normal SKIPME yes").await;
    awards_answer(&node, 503).await;
    for _ in 0..10 {
        // Every connection of the node has met the refusal.
        node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    }
    let _: () = look.ask("CONFIG SET requirepass secret").await;
    awards_answer(&node, 200).await;
    eventually("each of its connections to be good again", async || {
        let tries = (0..10).map(|_| node.init(&ada, "watch_ad"));
        futures::future::join_all(tries).await.iter().all(|it| it.status == 200).then_some(())
    })
    .await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_loads_its_data_is_waited_for_and_the_scripts_are_loaded_again() {
    let mut world = World::with_shards(1).await;
    let node = world.node_with(|it| it.redis.timeout_ms = 1000).await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    let mut filler = redis::pipe();
    for number in 0..8_000 {
        filler.set("filler", number).ignore();
    }
    let url = world.redis.url.clone();
    filler.exec_async(&mut connect_redis(&url).await.unwrap()).await.unwrap();
    world.redis.kill().await;
    let loads = async {
        eventually("Redis to say that it loads", async || {
            let mut connection = connect_redis(&url).await.ok()?;
            let asked = redis::cmd("GET").arg("filler").exec_async(&mut connection).await;
            asked.is_err_and(|it| it.code() == Some("LOADING")).then_some(())
        })
        .await;
        node.init(&ada, "watch_ad").await.assert_refused(503, "SERVICE_UNAVAILABLE");
    };
    // So many µs a key of its log; it looks at its connections once in 1024.
    futures::join!(world.redis.restart_with(&["--key-load-delay", "100"]), loads);
    awards_answer(&node, 200).await;
    assert_eq!(node.award(&ada, "watch_ad").await.body["newScore"], 20);
}

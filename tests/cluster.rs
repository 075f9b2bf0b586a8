//! The test cluster works. These tests send plain commands and do not use Laurel.

use parking_lot::Mutex;
use uuid::Uuid;

use crate::harness::{TestCluster, TestRedis, eventually};

/// Finds a key whose slot belongs to a member. Returns the key and its slot.
async fn find_key(cluster: &TestCluster, member: usize) -> (String, u16) {
    for number in 0..1000 {
        let key = format!("{{{number}}}key");
        let slot = cluster.slot(&key).await;
        if cluster.master_of(slot).await == Some(member) {
            return (key, slot);
        }
    }
    panic!("no key belongs to member {member}")
}

#[tokio::test]
async fn replicas_receive_writes() {
    let cluster = TestCluster::start().await;
    let mut masters = cluster.masters().await;
    masters.sort_unstable();
    assert_eq!(masters, [0, 1, 2]);
    for master in masters {
        let (key, slot) = find_key(&cluster, master).await;
        let _: () = cluster.query(master, &format!("SET {key} 1")).await;
        eventually("the replica to have the key", async || {
            let keys: Vec<String> =
                cluster.query(master + 3, &format!("CLUSTER GETKEYSINSLOT {slot} 10")).await;
            (keys == [key.clone()]).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_killed_master_becomes_a_replica() {
    let mut cluster = TestCluster::start().await;
    cluster.shorten_node_timeout().await;
    let (key, slot) = find_key(&cluster, 1).await;
    let _: () = cluster.query(1, &format!("SET {key} value")).await;
    assert_eq!(cluster.kill_master(slot).await, 1);
    assert_eq!(cluster.wait_for_failover(slot, 1).await, 4);
    assert_eq!(cluster.query::<String>(4, &format!("GET {key}")).await, "value");
    cluster.restart(1).await;
    cluster.wait_until_ready().await;
    let mut masters = cluster.masters().await;
    masters.sort_unstable();
    assert_eq!(masters, [0, 2, 4]);
}

#[tokio::test]
async fn a_stopped_master_is_replaced() {
    let cluster = TestCluster::start().await;
    cluster.shorten_node_timeout().await;
    let (key, slot) = find_key(&cluster, 0).await;
    cluster.stop(0);
    assert_eq!(cluster.wait_for_failover(slot, 0).await, 3);
    let _: () = cluster.query(3, &format!("SET {key} new")).await;
    cluster.resume(0);
    cluster.wait_until_ready().await;
    assert_eq!(cluster.master_of(slot).await, Some(3));
}

#[tokio::test]
async fn a_slot_moves_with_its_keys() {
    let cluster = TestCluster::start().await;
    let (key, slot) = find_key(&cluster, 0).await;
    let _: () = cluster.query(0, &format!("SET {key} value")).await;
    let _: u64 = cluster.query(0, &format!("ZADD {key}:set 1 a 2 b")).await;
    let migration = cluster.start_migration(slot, 2).await;
    assert_eq!(cluster.migrate_keys(migration, 1).await, 1);
    assert_eq!(cluster.query::<u64>(0, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await, 1);
    assert_eq!(cluster.query::<u64>(2, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await, 1);
    while cluster.migrate_keys(migration, 10).await > 0 {}
    cluster.finish_migration(migration).await;
    assert_eq!(cluster.master_of(slot).await, Some(2));
    assert_eq!(cluster.query::<String>(2, &format!("GET {key}")).await, "value");
    assert_eq!(cluster.query::<u64>(2, &format!("ZCARD {key}:set")).await, 2);
    cluster.migrate_slot(slot, 1).await;
    assert_eq!(cluster.master_of(slot).await, Some(1));
    assert_eq!(cluster.query::<u64>(1, &format!("ZCARD {key}:set")).await, 2);
    cluster.wait_until_ready().await;
}

#[tokio::test]
async fn all_members_restart_with_and_without_data() {
    let mut cluster = TestCluster::start().await;
    let (key, _) = find_key(&cluster, 2).await;
    let _: () = cluster.query(2, &format!("SET {key} value")).await;
    cluster.kill_all().await;
    cluster.restart_all(&[]).await;
    cluster.wait_until_ready().await;
    assert_eq!(cluster.query::<String>(2, &format!("GET {key}")).await, "value");
    cluster.kill_all().await;
    cluster.delete_all_data();
    cluster.restart_all(&[]).await;
    cluster.wait_until_ready().await;
    assert_eq!(cluster.query::<u64>(2, &format!("EXISTS {key}")).await, 0);
}

#[tokio::test]
async fn unprefixed_keys_reach_their_shards() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = [TestRedis::on_cluster(8).await, TestRedis::with_shards(folder.path(), 8).await];
    for redis in &mut redis {
        let (mut redis_client, users) = (redis.redis_client().await, [1, 2, 3, 4, 5].map(Uuid::from_u128));
        for (points, user) in users.iter().enumerate() {
            let _: () = redis_client.query(&format!("SET user:score:{user} {points}")).await;
            let _: () = redis_client.query(&format!("SET token:{user} {user}")).await;
            let _: u64 = redis_client.query(&format!("ZADD leaderboard:global {points} {user}")).await;
            let _: String = redis_client.query(&format!("XADD outbox * user {user}")).await;
            assert_eq!(redis_client.query::<usize>(&format!("GET user:score:{user}")).await, points);
            assert_eq!(
                redis_client.query::<usize>(&format!("ZSCORE leaderboard:global {user}")).await,
                points
            );
            assert_eq!(redis_client.query::<u64>(&format!("EXISTS token:{user}")).await, 1);
        }
        assert_eq!(redis_client.query::<u64>("ZCARD leaderboard:global").await, 5);
        assert_eq!(redis_client.query::<u64>("XLEN outbox").await, 5);
        assert_eq!(redis_client.query::<u64>(&format!("DEL token:{}", users[0])).await, 1);
        assert_eq!(redis_client.query::<u64>(&format!("EXISTS token:{}", users[0])).await, 0);
        let mut scores: Vec<String> = redis_client.query("KEYS user:score:*").await;
        scores.sort();
        assert_eq!(scores, users.map(|user| format!("user:score:{user}")));
        let before = redis_client.dump().await;
        assert!(before.keys().all(|it| it.starts_with("{8.")), "{before:?}");
        if let Some(cluster) = redis.cluster() {
            let slot = cluster.slot("{8.0}").await;
            let from = cluster.master_of(slot).await.unwrap();
            cluster.migrate_slot(slot, (from + 1) % 3).await;
        }
        redis_client.assert_unchanged(&before).await;
        assert_eq!(redis_client.query::<(String, u64)>("PUBSUB NUMSUB board:global").await.1, 0);
        let _: () = redis_client.query("FLUSHALL").await;
        assert!(redis_client.dump().await.is_empty());
    }
}

#[tokio::test]
async fn a_cluster_is_reused_after_its_last_client() {
    let first = TestRedis::on_cluster(8).await;
    let (url, mut redis_client) = (first.url.clone(), first.redis_client().await);
    let _: () = redis_client.query("SET token:a 1").await;
    drop(first);
    assert_eq!(redis_client.query::<u64>("EXISTS token:a").await, 1, "a cluster with clients is not emptied");
    drop(redis_client);
    let taken = Mutex::new(Vec::new());
    let reused = eventually("the pool to return the cluster", async || {
        let next = TestRedis::on_cluster(8).await;
        let is_same = next.url == url;
        taken.lock().push(next);
        is_same.then(|| taken.lock().pop().unwrap())
    })
    .await;
    assert!(reused.redis_client().await.dump().await.is_empty());
}

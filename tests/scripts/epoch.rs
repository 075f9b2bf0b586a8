//! `confirm`, `lift`, and the gate that they open, of the first of the shards.

use laurel::store::{RedeemOutcome, Standing, Store};

use super::neighbour as user;
use super::{award, redeem, token};
use crate::harness::{World, eventually, open_board};

#[tokio::test]
async fn a_board_is_open_in_the_run_that_was_looked_at() {
    let mut world = World::new().await;
    let store = world.store().await;
    award(&store, user(1), 10).await;
    let (id, before) = (token(&store, user(1)).await, store.glance_at(0).await.unwrap());
    assert!(before.open && before.epoch == 1);
    world.redis.kill().await;
    world.redis.restart().await;
    let after = loop {
        if let Ok(look) = store.glance_at(0).await {
            break look;
        }
    };
    assert!(!after.open && after.epoch == 1 && after.run != before.run && after.moment == before.moment);
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, RedeemOutcome::BoardClosed);
    assert_eq!(store.confirm(0, &before.run, 2, 0, 0, None).await.unwrap(), None, "that run is over");
    assert!(!store.glance_at(0).await.unwrap().open);
    assert_eq!(store.confirm(0, &after.run, 2, 0, 0, None).await.unwrap(), Some(0));
    assert!(store.glance_at(0).await.unwrap().open);
    assert!(matches!(
        store.redeem(&redeem(user(1), &id)).await.unwrap().outcome,
        RedeemOutcome::Awarded(awarded) if awarded.score == 20
    ));
}

/// Wins awards until none asks Redis which run it is: then the scripts are bound to it.
async fn bound(world: &World, store: &Store) {
    eventually("the scripts to be bound", async || {
        let mut look = world.look().await;
        let _: String = look.ask("CONFIG RESETSTAT").await;
        award(store, user(1), 10).await;
        let asked: String = look.ask("INFO commandstats").await;
        (!asked.contains("cmdstat_info:")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_script_that_is_bound_to_a_run_is_of_no_use_in_another() {
    let mut world = World::new().await;
    let store = world.store().await;
    open_board(&store).await;
    bound(&world, &store).await;
    let id = token(&store, user(1)).await;
    world.redis.kill().await;
    world.redis.restart().await;
    let closed = eventually("Redis to answer", async || store.redeem(&redeem(user(1), &id)).await.ok()).await;
    assert_eq!(closed.outcome, RedeemOutcome::BoardClosed);
    let look = store.glance_at(0).await.unwrap();
    store.confirm(0, &look.run, look.epoch + 1, 0, 0, None).await.unwrap().unwrap();
    bound(&world, &store).await;
    let _: String = world.look().await.ask("SCRIPT FLUSH").await;
    award(&store, user(1), 10).await;
    bound(&world, &store).await;
}

#[tokio::test]
async fn a_redis_that_was_left_behind_takes_no_award() {
    let world = World::new().await;
    let store = world.store().await;
    open_board(&store).await;
    let id = token(&store, user(1)).await;
    // As if nodes had gone on with another Redis, and came back to this one.
    let _: i64 = world.look().await.ask("HSET leaderboard:global:state epoch 1").await;
    assert_eq!(store.redeem(&redeem(user(1), &id)).await.unwrap().outcome, RedeemOutcome::BoardClosed);
    assert!(!store.glance_at(0).await.unwrap().open);
}

#[tokio::test]
async fn a_confirmed_and_a_lifted_board_is_newer_than_what_was_shown() {
    let world = World::new().await;
    let store = world.store().await;
    award(&store, user(1), 10).await;
    let look = store.glance_at(0).await.unwrap();
    let shown = look.version + 3_600_000_000;
    store.confirm(0, &look.run, 2, shown, 0, None).await.unwrap().unwrap();
    assert!(store.glance_at(0).await.unwrap().version > shown);
    // The board that is merged of several shards is lifted by itself, by whoever finds it behind.
    let merged = store.shard_count() > 1;
    if merged {
        store.lift(shown, 0).await.unwrap();
    }
    let lifted = store.look(shown, i64::MAX).await.unwrap();
    assert!(lifted.version > shown && lifted.ten.len() == 1);
    assert_eq!(store.lift(shown, 0).await.unwrap(), 0);
    let version = async || store.look(shown, i64::MAX).await.unwrap().version;
    assert_eq!(version().await, lifted.version, "it was newer already");
    store.lift(lifted.version + 5, 0).await.unwrap();
    let again = store.look(lifted.version + 5, i64::MAX).await.unwrap();
    assert_eq!(again.ten, lifted.ten, "the same board under a newer version");
    if !merged {
        store.close_board().await.unwrap();
        store.lift(again.version + 5, 0).await.unwrap();
        assert_eq!(version().await, again.version, "a closed board is not lifted");
    }
}

#[tokio::test]
async fn a_load_ends_without_effect_when_somebody_else_begins_one() {
    let world = World::new().await;
    let store = world.store().await;
    award(&store, user(1), 10).await;
    let run = store.glance_at(0).await.unwrap().run;
    let paused = store.begin_load(0).await.unwrap();
    assert!(!store.glance_at(0).await.unwrap().open, "nobody wins points on totals that are not there yet");
    assert_eq!(store.confirm(0, &run, 2, 0, 0, None).await.unwrap(), None, "it is being loaded");
    let next = store.begin_load(0).await.unwrap();
    next.totals(&[Standing::of(user(1), 30)]).await.unwrap();
    assert!(paused.totals(&[Standing::of(user(1), 20)]).await.is_err());
    assert!(paused.load([["DEL", "leaderboard:global"].map(str::to_owned).to_vec()]).await.is_err());
    assert!(paused.empty_some(0, true).await.is_err());
    assert_eq!(store.confirm(0, &run, 3, 0, 0, Some(&paused)).await.unwrap(), None);
    assert_eq!(store.confirm(0, &run, 3, 0, 0, Some(&next)).await.unwrap(), Some(0));
    assert!(next.totals(&[Standing::of(user(1), 40)]).await.is_err(), "it is over");
    assert_eq!(store.confirm(0, &run, 3, 0, 0, None).await.unwrap(), None, "that epoch has begun");
    let look = store.glance_at(0).await.unwrap();
    assert_eq!((look.open, look.epoch, look.loaded), (true, 3, 1));
    assert_eq!(store.standing(user(1)).await.unwrap(), Some((30, Some(1))));
}

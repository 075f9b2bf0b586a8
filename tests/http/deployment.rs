//! Two deployments that share a secret do not share logins.

use serde_json::{Value, json};

use crate::harness::World;
use crate::live::client::Client;

#[tokio::test]
async fn logins_of_another_deployment_are_refused() {
    let worlds = [World::new().await, World::new().await];
    let (here, there) = (worlds[0].node().await, worlds[1].node().await);
    assert_eq!(worlds[0].config.auth.jwt_secret.expose(), worlds[1].config.auth.jwt_secret.expose());
    let ada = here.register("ada").await;
    assert_eq!(here.init(&ada, "watch_ad").await.status, 200);
    there.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    there.post("/api/game/start", &ada.token, &json!({})).await.assert_refused(401, "INVALID_TOKEN");
    assert!(Client::try_connect(&there, &ada).await.is_err(), "no socket either");
    // Another node of the same deployment, and one of tomorrow.
    let token = here.token(&ada, "watch_ad").await;
    assert_eq!(worlds[0].node().await.finalize(&ada, &token, Value::Null).await.status, 200);
    // What is signed by the same secret for one action is known to the Redis that issued it, and to no other.
    let eve = there.register("eve").await;
    let token = here.token(&ada, "watch_ad").await;
    there.finalize(&eve, &token, Value::Null).await.assert_refused(401, "INVALID_TOKEN");

    let named = |name: &'static str| move |it: &mut laurel::config::Config| it.auth.audience = name.into();
    let game = worlds[0].node_with(named("game")).await;
    game.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    let ada = game.login("ada").await;
    here.init(&ada, "watch_ad").await.assert_refused(401, "INVALID_TOKEN");
    assert_eq!(game.init(&ada, "watch_ad").await.status, 200);
    assert_eq!(worlds[0].node_with(named("game")).await.init(&ada, "watch_ad").await.status, 200);
}

//! The boards and their current periods.

use reqwest::Method;
use serde_json::{Value, json};

use super::admin::create_admin;
use crate::harness::{TestNode, TestStores, eventually};

/// The ids of the boards that a caller sees; an empty token is no login.
async fn ids(node: &TestNode, token: &str) -> Vec<String> {
    let response = node.get_with("/api/v1/boards", token, &[]).await;
    assert_eq!(response.status, 200, "{}", response.text);
    let boards = response.body["boards"].as_array().unwrap();
    boards.iter().map(|board| board["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_built_in_boards_need_no_login() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    assert_eq!(ids(&node, "").await, ["global", "daily", "weekly", "monthly"]);
    node.wait_for_boards().await;
    let response = node.get("/api/v1/boards/global").await;
    let global = json!({
        "id": "global",
        "title": "All time",
        "measure": "points",
        "aggregate": "sum",
        "order": "desc",
        "decimals": 0,
        "top": 10,
        "period": { "id": "all", "startsAt": null, "endsAt": null, "state": "open", "players": 0 },
    });
    assert_eq!(response.body, global);
    let all = node.get("/api/v1/boards").await;
    assert_eq!(all.body["boards"][0], global);
    let daily = &all.body["boards"][1]["period"];
    let start = daily["startsAt"].as_str().unwrap();
    assert_eq!(start, format!("{}T00:00:00.000Z", daily["id"].as_str().unwrap()));
    assert_eq!(daily["state"], "open");
}

#[tokio::test]
async fn a_period_ends_where_the_next_one_begins() {
    let stores = TestStores::with_fake_clock().await;
    let file = stores.write_boards(
        "[[board]]\nid = \"weekly\"\nperiod = \"week\"\nresets_at = \"Mon 09:00\"\ntime_zone = \"Europe/Berlin\"\n\
         [[board]]\nid = \"cup\"\nperiod = { from = \"2020-07-01T09:00:00\", until = \"2120-01-01T00:00:00Z\" }\n\
         time_zone = \"America/New_York\"\n\
         [[board]]\nid = \"past\"\nperiod = { from = \"2020-07-01T09:00:00\", until = \"2020-07-02T09:00:00\" }\n\
         [[board]]\nid = \"future\"\nperiod = { every = \"14d\", from = \"2150-01-01T00:00:00\" }\n",
    );
    let node = stores.start_node_with(|config| config.boards.file = file).await;
    node.wait_for_boards().await;
    let period = async |id: &str| node.get(&format!("/api/v1/boards/{id}")).await.body["period"].clone();
    let cup = json!({
        "id": "p1",
        "startsAt": "2020-07-01T13:00:00.000Z",
        "endsAt": "2120-01-01T00:00:00.000Z",
        "state": "open",
        "players": 0,
    });
    assert_eq!(period("cup").await, cup);
    assert_eq!((period("past").await, period("future").await), (Value::Null, Value::Null));

    let before = period("weekly").await;
    let tag = node.get("/api/v1/boards/weekly").await.header("etag").to_owned();
    let end: jiff::Timestamp = before["endsAt"].as_str().unwrap().parse().unwrap();
    // Redis' clock decides, not the node's.
    let now_ms = node.app.store.now_us().await.unwrap() / 1000;
    stores.redis.set_clock(&format!("+{}", (end.as_millisecond() - now_ms) / 1000 + 1));
    let after = eventually("the next period", async || {
        let after = period("weekly").await;
        (after["id"] != before["id"]).then_some(after)
    })
    .await;
    assert_eq!(after["startsAt"], before["endsAt"]);
    assert!(after["id"].as_str() > before["id"].as_str(), "{before} {after}");
    let changed = node.get_with("/api/v1/boards/weekly", "", &[("if-none-match", &tag)]).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn an_unchanged_response_returns_304() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.wait_for_boards().await;
    let mut tags = Vec::new();
    for path in ["/api/v1/boards", "/api/v1/boards/monthly", "/api/v1/boards/global"] {
        let first = node.get(path).await;
        assert_eq!((first.status, first.header("cache-control")), (200, "no-cache"), "{path}");
        assert_eq!(first.header("content-type"), "application/json");
        let tag = first.header("etag").to_owned();
        for listed in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let cached = node.get_with(path, "", &[("if-none-match", &listed)]).await;
            assert_eq!((cached.status, cached.text.as_str()), (304, ""), "{path}");
            assert_eq!((cached.header("etag"), cached.header("cache-control")), (tag.as_str(), "no-cache"));
        }
        let other = node.get_with(path, "", &[("if-none-match", "\"other\"")]).await;
        assert_eq!((other.status, other.text), (200, first.text), "{path}");
        let head = node.send(Method::HEAD, path, &[], Vec::new()).await;
        assert_eq!((head.status, head.header("etag"), head.text.as_str()), (200, tag.as_str(), ""));
        tags.push(tag);
    }
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");
}

#[tokio::test]
async fn hidden_boards_do_not_exist_for_others() {
    let stores = TestStores::new().await;
    let file = stores.write_boards(
        "[[board]]\nid = \"staff\"\nvisibility = \"admins\"\n[[board]]\nid = \"members\"\nvisibility = \"players\"\n\
         [[board]]\nid = \"open\"\n",
    );
    let node = stores.start_node_with(|config| config.boards.file = file).await;
    let (root, ada) = (create_admin(&node).await, node.register("ada").await);
    let callers = [
        ("", vec!["global", "open"]),
        // An invalid login counts as none.
        ("nonsense", vec!["global", "open"]),
        (&ada.token, vec!["global", "members", "open"]),
        (&root.token, vec!["global", "staff", "members", "open"]),
    ];
    for (token, visible) in callers {
        assert_eq!(ids(&node, token).await, visible);
        for id in ["global", "staff", "members", "open"] {
            let response = node.get_with(&format!("/api/v1/boards/{id}"), token, &[]).await;
            if visible.contains(&id) {
                assert_eq!((response.status, response.body["id"].as_str()), (200, Some(id)));
            } else {
                response.assert_refused(404, "BOARD_NOT_FOUND");
                assert_eq!(response.body["message"], "Board not found");
            }
        }
    }
}

#[tokio::test]
async fn only_split_boards_have_values() {
    let stores = TestStores::new().await;
    let file = stores.write_boards("[[board]]\nid = \"weekly\"\nperiod = \"week\"\nsplit_by = \"country\"\n");
    let node = stores.start_node_with(|config| config.boards.file = file).await;
    let whole = node.get("/api/v1/boards/weekly").await;
    for address in ["weekly@DE", "weekly%40DE"] {
        let part = node.get(&format!("/api/v1/boards/{address}")).await;
        assert_eq!((part.status, &part.body["period"]), (200, &whole.body["period"]));
        assert_eq!(
            (part.body["id"].as_str(), part.body["title"].as_str()),
            (Some("weekly@DE"), Some("weekly"))
        );
    }
    for address in ["global@DE", "weekly@", "weekly@D%20E", "weekly@DE@DE", "weekl", "Weekly", "%ff", "daily"]
    {
        node.get(&format!("/api/v1/boards/{address}")).await.assert_refused(404, "BOARD_NOT_FOUND");
    }
    for path in ["/api/v1/boards?limit=1", "/api/v1/boards/weekly?period=2026-W48"] {
        node.get(path).await.assert_refused(400, "VALIDATION_ERROR");
    }
    node.get("/api/v1/boards/weekly/x").await.assert_refused(404, "NOT_FOUND");
}

#[tokio::test]
async fn public_boards_need_no_store() {
    let (mut stores, mut postgres) = TestStores::with_own_postgres().await;
    stores.config.postgres.acquire_timeout_ms = 500;
    let file =
        stores.write_boards("[[board]]\nid = \"staff\"\nvisibility = \"admins\"\n[[board]]\nid = \"open\"\n");
    let node = stores.start_node_with(|config| config.boards.file = file).await;
    let ada = node.register("ada").await;
    postgres.stop().await;
    assert_eq!(ids(&node, "").await, ["global", "open"]);
    assert_eq!(node.get_as(&ada, "/api/v1/boards/open").await.status, 200);
    // Only Postgres knows whether the caller may see it.
    for path in ["/api/v1/boards", "/api/v1/boards/staff"] {
        node.get_as(&ada, path).await.assert_refused(503, "SERVICE_UNAVAILABLE");
    }
}

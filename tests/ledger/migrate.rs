use std::str::FromStr;

use laurel::app::App;
use laurel::store::Entry;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::chain::outbox;
use crate::harness::{World, assert_verified, eventually, ledger_differences};

/// A connection of a node of this version; a node of before the chain said none.
pub async fn node_of(world: &World, name: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(world.config.postgres.url.expose()).unwrap();
    options.application_name(name).connect().await.unwrap()
}

/// What a node of before the chain does with an award.
async fn write_as_before(connection: &mut PgConnection, entry: &Entry) {
    let Some((before, after, hlc_us)) = entry.award else { return };
    sqlx::query(
        "WITH fresh AS (
             INSERT INTO score_history (event_id, user_id, action_type, points_earned, action_token_hash, score_before,
                                        score_after, hlc_us, created_at, held, note)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, to_timestamp($9::bigint / 1000.0), FALSE, NULL)
             ON CONFLICT (event_id) DO NOTHING RETURNING user_id, points_earned)
         UPDATE users SET score = score + points_earned FROM fresh WHERE id = user_id",
    )
    .bind(entry.id)
    .bind(entry.user)
    .bind(&entry.action)
    .bind(entry.points)
    .bind(&entry.token_hash)
    .bind(before)
    .bind(after)
    .bind(hlc_us)
    .bind(entry.at_ms)
    .execute(connection)
    .await
    .unwrap();
}

async fn is_by_months(app: &App) -> bool {
    let kind: String =
        sqlx::query_scalar("SELECT relkind::text FROM pg_class WHERE oid = 'score_history'::regclass")
            .fetch_one(&app.database)
            .await
            .unwrap();
    kind == "p"
}

async fn unchained(app: &App) -> u64 {
    laurel::ledger::verify_ledger(&app.database, app.receipts.verifier(), &|_| (), &mut |_| ())
        .await
        .unwrap()
        .unchained
}

#[tokio::test]
async fn what_contracts_waits_for_the_last_older_node() {
    let world = World::without_tables().await;
    let mut older = node_of(&world, "laurel").await;
    let app = world.app().await;
    assert!(!is_by_months(&app).await);
    let entries = outbox(&app, 12).await;
    let mut database = app.database.acquire().await.unwrap();

    // Both write, in turn, and each what the other has already.
    for (place, entry) in entries.iter().enumerate() {
        if place / 2 % 2 == 0 {
            write_as_before(&mut older, entry).await;
        }
        laurel::ledger::write(
            &mut database,
            &app.receipts,
            app.store.shard_count(),
            std::slice::from_ref(entry),
        )
        .await
        .unwrap();
        write_as_before(&mut older, entry).await;
    }
    assert_eq!(unchained(&app).await, 6);
    assert_eq!(ledger_differences(&app).await, []);
    assert!(!laurel::ledger::contract(&app.database, &app.receipts).await.unwrap(), "an older node is there");
    assert!(!is_by_months(&app).await);
    // The node of this version starts again beside it.
    drop(world.app().await);

    older.close().await.unwrap();
    let other = node_of(&world, "laurel/6").await;
    assert!(
        !laurel::ledger::contract(&app.database, &app.receipts).await.unwrap(),
        "one that is older by a step"
    );
    other.close().await.unwrap();
    let _newer = node_of(&world, "laurel/999").await;
    let _operator = node_of(&world, "psql").await;
    eventually("the older nodes to be gone", async || {
        laurel::ledger::contract(&app.database, &app.receipts).await.unwrap().then_some(())
    })
    .await;
    assert!(is_by_months(&app).await);
    assert_eq!(unchained(&app).await, 0);

    // The same connection goes on, with statements that it prepared before.
    laurel::ledger::write(&mut database, &app.receipts, app.store.shard_count(), &entries).await.unwrap();
    crate::scripts::award(&app.store, entries[0].user, 10).await;
    let (more, _) = app.store.outbox_reader().await.unwrap().read(1000, 0).await.unwrap();
    laurel::ledger::write(&mut database, &app.receipts, app.store.shard_count(), &more).await.unwrap();
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM score_history").fetch_one(&app.database).await.unwrap();
    assert_eq!(rows, 13);
    app.store.settle(&more).await.unwrap();
    assert_verified(&world).await;
    assert!(laurel::ledger::contract(&app.database, &app.receipts).await.unwrap(), "once is enough");
}

#[tokio::test]
async fn users_who_are_named_like_a_number_a_uuid_or_an_address_are_renamed_once_older_nodes_are_gone() {
    let world = World::without_tables().await;
    let mut older = node_of(&world, "laurel/14").await;
    let app = world.app().await;
    let id = "01930a5b-7c00-7000-8000-0000000000ab";
    let odd = [
        "110",
        "000",
        "1.2.3.4",
        "255.255.255.255",
        id,
        &id.replace('-', ""),
        &id.to_uppercase(),
        &"7".repeat(50),
    ];
    // What a name may be stays, and so does who is called already what another would be.
    let plain = [
        "ada",
        "-55",
        "1.5",
        "256.1.1.1",
        "1.2.3.4.5",
        "110_",
        "01930a5b",
        "PLAYER_110",
        "player_1.2.3.4",
        "01.2.3.4",
    ];
    for (place, name) in plain.iter().chain(&odd).enumerate() {
        // One name in two cases is one name.
        let sql =
            "INSERT INTO users (id, username, email, password_hash) VALUES (gen_random_uuid(), $1, $2, '!')
                   ON CONFLICT (lower(username)) DO NOTHING";
        sqlx::query(sql).bind(*name).bind(format!("{place}@example.com")).execute(&mut older).await.unwrap();
    }
    let names = async || -> Vec<String> {
        sqlx::query_scalar("SELECT username FROM users ORDER BY number")
            .fetch_all(&app.database)
            .await
            .unwrap()
    };
    let before = names().await;
    older.close().await.unwrap();
    eventually("the older node to be gone", async || {
        laurel::ledger::contract(&app.database, &app.receipts).await.unwrap().then_some(())
    })
    .await;
    let after = names().await;
    for (old, new) in before.iter().zip(&after) {
        let is_odd = odd.contains(&old.as_str());
        assert_eq!(is_odd, laurel::account::Username::parse(old).is_err(), "{old}: the same rule in both");
        assert_eq!(is_odd, old != new, "{old} {new}");
        assert!(laurel::account::Username::parse(new).is_ok(), "{new}");
        let user = laurel::admin::find_user(&app, new).await.unwrap();
        assert_eq!(&user.username, new);
        assert!(
            !is_odd || laurel::admin::find_user(&app, &old.to_uppercase()).await.is_err(),
            "{old} means nobody"
        );
    }
    let number_of = |name: &str| before.iter().position(|it| it == name).unwrap() + 1;
    let renamed = |name: &str| after[number_of(name) - 1].clone();
    assert_eq!(renamed("000"), "player_000");
    assert_eq!(renamed("110"), format!("player_110_{}", number_of("110")));
    assert_eq!(renamed(&"7".repeat(50)), format!("player_{}", "7".repeat(43)));
    let told: Vec<(String, String)> = sqlx::query_as(
        "SELECT detail->>'from', detail->>'to' FROM admin_audit WHERE actor = 'laurel migrate' AND action = 'rename' ORDER BY created_at",
    )
    .fetch_all(&app.database)
    .await
    .unwrap();
    let mut wanted: Vec<_> = before.into_iter().zip(after).filter(|(old, new)| old != new).collect();
    let mut told = told;
    wanted.sort();
    told.sort();
    assert_eq!(told, wanted, "each is in the audit");
}

#[tokio::test]
async fn who_was_renamed_is_on_the_board_by_the_new_name() {
    let world = World::without_tables().await;
    let older = node_of(&world, "laurel/14").await;
    let node = world.node().await;
    let ada = node.register("ada").await;
    node.award(&ada, "watch_ad").await;
    node.written().await;
    let sql = "UPDATE users SET username = '110' WHERE username = 'ada'";
    sqlx::query(sql).execute(&node.app.database).await.unwrap();
    older.close().await.unwrap();
    eventually("the older node to be gone", async || {
        laurel::ledger::contract(&node.app.database, &node.app.receipts).await.unwrap().then_some(())
    })
    .await;
    eventually("the new name", async || {
        (node.board().await == [("player_110".to_owned(), 10, 1)]).then_some(())
    })
    .await;
    assert_verified(&world).await;
}

#[tokio::test]
async fn a_search_needs_no_extension_but_takes_it_where_it_may() {
    let cases = [
        ("neither_may_nor_has", "", false),
        ("may_create", "GRANT CREATE ON DATABASE {} TO {role};", true),
        ("has", "CREATE EXTENSION pg_trgm;", true),
        (
            "has_elsewhere",
            "CREATE SCHEMA more; CREATE EXTENSION pg_trgm SCHEMA more; GRANT USAGE ON SCHEMA more TO {role};",
            true,
        ),
        ("has_out_of_reach", "CREATE SCHEMA more; CREATE EXTENSION pg_trgm SCHEMA more;", false),
    ];
    for (role, given, wanted) in cases {
        let world = World::without_tables().await;
        let url = world.config.postgres.url.expose().to_owned();
        let database = PgPoolOptions::new().max_connections(1).connect(&url).await.unwrap();
        let name: String =
            sqlx::query_scalar("SELECT current_database()::text").fetch_one(&database).await.unwrap();
        let given = given.replace("{}", &name).replace("{role}", role);
        let ordinary =
            format!("CREATE ROLE {role}; GRANT CREATE ON SCHEMA public TO {role}; {given} SET ROLE {role}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(ordinary)).execute(&database).await.unwrap();
        laurel::ledger::migrate(&database).await.unwrap();
        let indexed: bool = sqlx::query_scalar("SELECT to_regclass('users_username_trigrams') IS NOT NULL")
            .fetch_one(&database)
            .await
            .unwrap();
        assert_eq!(indexed, wanted, "{role}");
        database.close().await;

        let node = world.node().await;
        node.register("ada_lovelace").await;
        let found = laurel::admin::search(&node.app, Some("LOVE"), None, 5).await.unwrap();
        assert_eq!((found.total, found.users[0].username.as_str()), (1, "ada_lovelace"), "{role}");
    }
}

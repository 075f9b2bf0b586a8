//! Manual changes of roles and of the audit log by SQL.

use serde_json::{Value, json};

use crate::harness::{TestStores, eventually};

/// Actor, action, user and detail of each row.
type Row = (String, String, String, Value);

async fn rows(database: &laurel::db::Database) -> Vec<Row> {
    let sql = "SELECT a.actor, a.action, u.username, coalesce(a.detail, 'null') FROM admin_audit a JOIN users u ON u.id = a.user_id
               ORDER BY a.created_at, u.username";
    sqlx::query_as(sql).fetch_all(database).await.unwrap()
}

#[tokio::test]
async fn role_changes_by_sql_are_audited_and_audit_rows_stay() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    node.register("ada").await;
    let database = &node.app.database;
    let user = laurel::admin::find_user(&node.app.admin, "ada").await.unwrap();
    let decision = laurel::admin::Decision { actor: "root".into(), host: None, reason: "trusted".into() };
    for admin in [true, false] {
        laurel::admin::grant(&node.app.admin, &user, admin, &decision).await.unwrap();
    }
    let summary = |row: Row| (row.0, row.1, row.2);
    let named = |actor: &str, action: &str| (actor.to_owned(), action.to_owned(), "ada".to_owned());
    let own_changes: Vec<_> = rows(database).await.into_iter().map(summary).collect();
    assert_eq!(
        own_changes,
        [named("root", "grant"), named("root", "revoke")],
        "a change by Laurel has one row"
    );

    let manual_changes = [
        "UPDATE users SET role = 'admin' WHERE username = 'ada'",
        // Nothing changes.
        "UPDATE users SET role = 'admin', updated_at = now() WHERE username = 'ada'",
        "BEGIN; CREATE TEMPORARY TABLE admin_audit (LIKE admin_audit); UPDATE users SET role = 'player'; DROP TABLE pg_temp.admin_audit; COMMIT",
        "BEGIN; UPDATE admin_audit SET detail = detail WHERE action = 'grant'; UPDATE users SET role = 'admin'; COMMIT",
        "INSERT INTO users (id, username, email, password_hash, role)
         VALUES (gen_random_uuid(), 'eve', 'eve@example.com', '!', 'admin')",
    ];
    for sql in manual_changes {
        sqlx::raw_sql(sql).execute(database).await.unwrap();
    }
    let actor: String =
        sqlx::query_scalar("SELECT 'sql:' || session_user").fetch_one(database).await.unwrap();
    let found = rows(database).await;
    let manual: Vec<_> = found[2..].iter().cloned().map(summary).collect();
    let eve = (actor.clone(), "grant".to_owned(), "eve".to_owned());
    assert_eq!(manual, [named(&actor, "grant"), named(&actor, "revoke"), named(&actor, "grant"), eve]);
    let details: Vec<_> = found[2..].iter().map(|row| (&row.3["from"], &row.3["to"])).collect();
    let (admin, player) = (json!("admin"), json!("player"));
    assert_eq!(details, [(&player, &admin), (&admin, &player), (&player, &admin), (&Value::Null, &admin)]);

    for sql in [
        "DELETE FROM admin_audit",
        "DELETE FROM admin_audit WHERE action = 'revoke'",
        "TRUNCATE admin_audit",
        "TRUNCATE users CASCADE",
        "UPDATE admin_audit SET actor = 'nobody'",
        "UPDATE admin_audit SET created_at = now(), detail = NULL",
        "UPDATE admin_audit SET reason = 'none' WHERE action = 'grant'",
        "INSERT INTO admin_audit SELECT * FROM admin_audit LIMIT 1 ON CONFLICT (id) DO UPDATE SET action = 'none'",
    ] {
        // The node may use these tables at the same time.
        let error = eventually("an error other than a deadlock", async || {
            let error = sqlx::raw_sql(sql).execute(database).await.unwrap_err().to_string();
            (!error.contains("deadlock")).then_some(error)
        })
        .await;
        assert!(error.contains("admin_audit is append-only"), "{sql}: {error}");
    }
    assert_eq!(rows(database).await, found);
    sqlx::raw_sql("UPDATE admin_audit SET detail = '{\"after\": 1}'").execute(database).await.unwrap();
}

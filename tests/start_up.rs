//! A failed start prints one line: the operation, the target, the reason, and what to do.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Output;

use crate::harness::{NodeProcess, TestStores, connect_redis, free_port, laurel_command};

/// Starts a server that is not a store and sends a text to every client. Returns its port.
fn start_foreign_server(banner: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(banner.as_bytes());
                // Keep the connection open until the client closes it.
                while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
            });
        }
    });
    port
}

fn serve(stores: &TestStores, settings: &[(&str, &str)]) -> Output {
    let mut command = laurel_command(&stores.config);
    // Successful steps are logged at INFO.
    command.arg("serve").env("PORT", "0").env("RUST_LOG", "warn");
    command.env("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", "500");
    command.env("LAUREL_REDIS__TIMEOUT_MS", "500").envs(settings.iter().copied()).output().unwrap()
}

/// Asserts that the process stopped with one line that contains these parts.
#[track_caller]
fn assert_one_line(output: &Output, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.starts_with("laurel: ") && !stderr.contains("secret"), "{stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{part} is not in: {stderr}");
        assert_eq!(stderr.matches(part).count(), 1, "{stderr}");
    }
}

const NOT_HTTP: &str = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_redis_stops_the_start_with_its_error() {
    let stores = TestStores::with_shards(1).await;
    let socket = stores.redis.url.clone();
    let mut operator = connect_redis(&socket).await.unwrap();
    let weak = ["SETUSER", "weak", "on", ">secret", "+ping"];
    redis::cmd("ACL").arg(&weak).exec_async(&mut operator).await.unwrap();
    let (closed, http, silent) = (free_port(), start_foreign_server(NOT_HTTP), start_foreign_server(""));
    let at = |port: u16| format!("127.0.0.1:{port}");
    for (url, parts) in [
        (
            format!("redis://:secret@{}", at(closed)),
            vec![at(closed), "onnection refused".into(), "REDIS_URL".into()],
        ),
        (format!("redis://{}", at(http)), vec![at(http), "REDIS_URL".into()]),
        (format!("redis://{}", at(silent)), vec![at(silent), "timed out".into(), "REDIS_URL".into()]),
        ("redis://nowhere.invalid:7000".into(), vec!["nowhere.invalid:7000".into(), "lookup".into()]),
        ("unix:///no/such.sock".into(), vec!["/no/such.sock".into(), "No such file".into()]),
        (format!("{socket}?pass=secret"), vec!["ERR AUTH <password> called without any password".into()]),
        (
            format!("{socket}?user=weak&pass=secret1"),
            vec!["WRONGPASS invalid".into(), "the user and the password".into()],
        ),
        (
            format!("{socket}?user=weak&pass=secret"),
            vec!["NOPERM".into(), "'info'".into(), "users.acl".into()],
        ),
        (format!("{socket}?db=99"), vec!["DB index is out of range".into()]),
        (format!("rediss://{}", at(http)), vec![at(http), "REDIS_URL".into()]),
        (format!("redis-sentinel://{}#laurel", at(closed)), vec![at(closed), "onnection refused".into()]),
    ] {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // Redis itself may be slow on a busy machine.
        let timeout_ms = if url.starts_with(&socket) { "60000" } else { "500" };
        let settings = [("REDIS_URL", url.as_str()), ("LAUREL_REDIS__TIMEOUT_MS", timeout_ms)];
        assert_one_line(&serve(&stores, &settings), &parts);
    }
    let cluster = format!("redis-cluster://{},{}", at(closed), at(http));
    let output = serve(&stores, &[("REDIS_URL", &cluster), ("LAUREL_REDIS__SHARDS", "2")]);
    assert_one_line(&output, &[&at(closed), &at(http), "onnection refused"]);
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).exec_async(&mut operator).await.unwrap();
    assert_one_line(&serve(&stores, &[]), &["NOAUTH", "the user and the password in REDIS_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_postgres_stops_the_start_with_its_error() {
    let stores = TestStores::with_shards(1).await;
    let url = stores.config.postgres.url.expose();
    let name = url.split(['/', '?']).find(|it| it.starts_with("test_")).unwrap();
    let (closed, http, silent) = (free_port(), start_foreign_server(NOT_HTTP), start_foreign_server(""));
    let at = |port: u16| format!("127.0.0.1:{port}");
    for (url, parts) in [
        (
            format!("postgres://u:secret@{}/x", at(closed)),
            vec![at(closed), "onnection refused".into(), "DATABASE_URL".into()],
        ),
        (format!("postgres://u:secret@{}/x", at(http)), vec![at(http), "DATABASE_URL".into()]),
        (format!("postgres://u:secret@{}/x", at(silent)), vec![at(silent), "no answer in time".into()]),
        ("postgres://u@nowhere.invalid:7000/x".into(), vec!["nowhere.invalid:7000".into(), "lookup".into()]),
        ("postgres:///x?host=/no/such".into(), vec!["/no/such".into(), "No such file".into()]),
        (
            url.replace(name, "no_such_database"),
            vec!["database \"no_such_database\" does not exist".into(), "create that database".into()],
        ),
        (url.replace("user=laurel", "user=nobody"), vec!["\"nobody\"".into(), "DATABASE_URL".into()]),
    ] {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        // Postgres itself may be slow on a busy machine.
        let timeout_ms = if url.contains("user=") { "60000" } else { "500" };
        let settings = [("DATABASE_URL", url.as_str()), ("LAUREL_POSTGRES__ACQUIRE_TIMEOUT_MS", timeout_ms)];
        assert_one_line(&serve(&stores, &settings), &parts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_listens_on_a_host_name() {
    let stores = TestStores::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    for (settings, parts) in [
        (vec![("HOST", "nowhere.invalid")], vec!["nowhere.invalid:0", "lookup", "set HOST"]),
        (vec![("HOST", "192.0.2.1")], vec!["192.0.2.1:0", "set HOST to an address"]),
        (vec![("HOST", "localhost"), ("PORT", &port)], vec!["localhost:", "set PORT"]),
        (
            vec![("LAUREL_SERVER__ADMIN_LISTEN", "nowhere.invalid:1")],
            vec!["nowhere.invalid:1", "server.admin_listen"],
        ),
    ] {
        assert_one_line(&serve(&stores, &settings), &parts);
    }
    for (host, address) in [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let mut node = NodeProcess::start(&stores.config, &[("HOST", host)]).await;
        // Metrics are exposed on loopback only, so the name was resolved.
        let metrics = reqwest::get(format!("http://{address}:{}/metrics", node.port())).await.unwrap();
        assert_eq!(metrics.status(), 200, "{host}");
        assert_eq!(node.terminate(), Some(0));
    }
    let settings = [("LAUREL_SERVER__ADMIN_LISTEN", "localhost:0")];
    let mut node = NodeProcess::start(&stores.config, &settings).await;
    assert_eq!(node.terminate(), Some(0));
}

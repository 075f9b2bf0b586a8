//! The files of the pages: content, caching and security policy.

use reqwest::Method;
use reqwest::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
};

use crate::harness::TestStores;

const PAGES: [&str; 3] = ["/", "/admin", "/docs"];

#[tokio::test]
async fn pages_load_their_own_files_only() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    for page in PAGES {
        let response = node.get(page).await;
        assert_eq!(response.status, 200, "{page}");
        assert_eq!(response.headers[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = response.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for rule in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"]
        {
            assert!(policy.contains(rule), "{page}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{page}: {policy}");
        assert_eq!(response.headers["x-content-type-options"], "nosniff");
        let text = response.text.clone();
        for forbidden in ["http://", "https://", "<style", "onclick", "javascript:"] {
            assert!(!text.contains(forbidden), "{page} has {forbidden}");
        }
        for file in named_files(&text) {
            assert_eq!(node.get(&file).await.status, 200, "{page} names {file}");
        }
    }
}

/// The files that the page names with `src` and `href`.
pub fn named_files(page: &str) -> Vec<String> {
    let values = page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1));
    let values = values.filter_map(|rest| rest.split('"').next()).filter(|path| path.starts_with("/assets/"));
    let found: Vec<_> = values.map(str::to_owned).collect();
    assert!(!found.is_empty());
    found
}

#[tokio::test]
async fn files_are_compressed_and_cached() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let path = "/assets/common/common.css";
    let get = async |name, value: &str| node.send(Method::GET, path, &[(name, value)], Vec::new()).await;
    let plain = get(ACCEPT_ENCODING.as_str(), "br, gzip;q=0").await;
    let compressed = get(ACCEPT_ENCODING.as_str(), "br, gzip").await;
    assert!(!plain.headers.contains_key(CONTENT_ENCODING));
    assert_eq!(compressed.headers[CONTENT_ENCODING], "gzip");
    assert_ne!(plain.headers[ETAG], compressed.headers[ETAG]);
    for response in [&plain, &compressed] {
        assert_eq!(
            (&response.headers[CACHE_CONTROL], &response.headers["vary"]),
            (&"no-cache".parse().unwrap(), &"accept-encoding".parse().unwrap())
        );
    }
    let unchanged = get("if-none-match", plain.headers[ETAG].to_str().unwrap()).await;
    assert_eq!((unchanged.status, unchanged.text.len()), (304, 0));
}

#[tokio::test]
async fn unknown_files_are_not_found() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    for path in [
        "live/index.html",
        "nothing.js",
        "%ff",
        "../Cargo.toml",
        "%2e%2e/Cargo.toml",
        "common/",
        "common%2fcommon.css%00",
    ] {
        node.get(&format!("/assets/{path}")).await.assert_refused(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn browsers_get_a_not_found_page() {
    let stores = TestStores::new().await;
    let node = stores.start_node().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let get = async |path: &str, accept: &str| {
        node.send(Method::GET, path, &[("accept", accept)], Vec::new()).await
    };
    for path in ["/wall", "/Admin", "/docs/x", "/admin//", "//docs/", "/index.html", "/%ff", "/%3Cscript%3E"]
    {
        let page = get(path, browser).await;
        assert_eq!(
            (page.status, &page.headers[CONTENT_TYPE]),
            (404, &"text/html; charset=utf-8".parse().unwrap())
        );
        assert!(page.text.contains("Not found") && !page.text.contains("script"), "{}", page.text);
        assert!(page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("default-src 'none'"));
        for file in named_files(&page.text) {
            assert_eq!(node.get(&file).await.status, 200, "{file}");
        }
        for accept in ["application/json", "*/*", "image/avif,image/*"] {
            get(path, accept).await.assert_refused(404, "NOT_FOUND");
        }
        let vary = page.headers.get_all("vary");
        assert!(vary.iter().any(|value| value == "accept"), "caches must keep the variants apart");
    }
    for path in ["/api/wall", "/api/v1/wall"] {
        get(path, browser).await.assert_refused(404, "NOT_FOUND");
    }
    get("/api/auth/login", browser).await.assert_refused(405, "METHOD_NOT_ALLOWED");
    let icon = node.get("/favicon.ico").await;
    assert_eq!((icon.status, &icon.headers[CONTENT_TYPE]), (200, &"image/svg+xml".parse().unwrap()));
}

#[tokio::test]
async fn a_trailing_slash_redirects() {
    let stores = TestStores::new().await;
    let node = stores.start_node_with(|config| config.server.admin_listen = "127.0.0.1:0".into()).await;
    let admin_base = node.admin_base.clone().unwrap();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (base, path, target) in [
        (&node.base, "/docs/", Some("/docs")),
        (&node.base, "/docs/?x=1", Some("/docs")),
        (&node.base, "/admin/", None),
        (&admin_base, "/docs/", Some("/docs")),
        (&admin_base, "/admin/", Some("/admin")),
    ] {
        let response = client.get(format!("{base}{path}")).send().await.unwrap();
        let location = response.headers().get("location").map(|value| value.to_str().unwrap());
        assert_eq!(location, target, "{base}{path}");
        assert_eq!(response.status(), if target.is_some() { 308 } else { 404 }, "{base}{path}");
    }
}

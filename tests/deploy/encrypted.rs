//! Nodes connect to both stores over TLS, with certificates of a private authority.

use std::path::Path;
use std::process::Command;

use super::servers::{HardenedPostgres, HardenedRedis, Secrets, give_to_postgres};
use super::stores::{run, run_successfully, settings};
use super::tools::output_of;

/// Creates an authority and a certificate for 127.0.0.1: `ca.pem`, `store.pem`, `store.key`.
fn create_certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for arguments in [
        format!("req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem"),
        format!("req {key} -subj /CN=store -addext subjectAltName=IP:127.0.0.1 -keyout store.key -out store.csr"),
        "x509 -req -in store.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy -out store.pem"
            .to_owned(),
    ] {
        output_of(Command::new("openssl").args(arguments.split(' ')).current_dir(folder));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_stores_work_over_tls_with_a_private_authority() {
    let secrets = Secrets::create();
    let folder = secrets.folder.path();
    create_certificates(folder);
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, authority) = (path("store.pem"), path("store.key"), path("ca.pem"));
    give_to_postgres(Path::new(&key));
    let tls =
        ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no", "--tls-cert-file", &certificate];
    let redis = [tls.as_slice(), &["--tls-key-file", &key]].concat();
    let redis = HardenedRedis::start(&secrets, "redis", &redis).await;
    let postgres =
        ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    let postgres = HardenedPostgres::start(&secrets, &postgres).await;
    postgres.create_role(&secrets);

    let mut settings = settings(&secrets, &redis, &postgres);
    for (name, path) in &settings {
        let url = std::fs::read_to_string(path).unwrap();
        match name.as_str() {
            "REDIS_URL_FILE" => std::fs::write(path, url.replace("redis://", "rediss://")).unwrap(),
            "DATABASE_URL_FILE" => {
                std::fs::write(path, format!("{url}?sslmode=verify-full&sslrootcert={authority}")).unwrap();
            }
            _ => {}
        }
    }
    run_successfully(&settings, "migrate");
    let refused = run(&settings, "seed --users 1");
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && message.contains("certificate"), "{message}");
    settings.push(("SSL_CERT_FILE".to_owned(), authority));
    run_successfully(&settings, "seed --users 5");
}

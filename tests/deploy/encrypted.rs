//! TLS to both stores with a private certificate authority.

use std::path::Path;
use std::process::Command;

use super::servers::{HardPostgres, HardRedis, Secrets, own};
use super::stores::{laurel, run, settings};
use super::tools::output_of;

/// Creates an authority and a certificate for 127.0.0.1: `ca.pem`, `store.pem`, `store.key`.
fn make_certificates(folder: &Path) {
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
    let secrets = Secrets::make();
    let folder = secrets.folder.path();
    make_certificates(folder);
    let place = |name: &str| folder.join(name).display().to_string();
    let (certificate, key, authority) = (place("store.pem"), place("store.key"), place("ca.pem"));
    own(Path::new(&key));
    let tls =
        ["--port", "0", "--tls-port", "PORT", "--tls-auth-clients", "no", "--tls-cert-file", &certificate];
    let redis = [tls.as_slice(), &["--tls-key-file", &key]].concat();
    let redis = HardRedis::start(&secrets, "redis", &redis).await;
    let postgres =
        ["ssl=on".to_owned(), format!("ssl_cert_file={certificate}"), format!("ssl_key_file={key}")];
    let postgres = HardPostgres::start(&secrets, &postgres).await;
    postgres.make_role(&secrets);

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
    laurel(&settings, "migrate");
    let refused = run(&settings, "seed --users 1");
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("certificate"), "{why}");
    settings.push(("SSL_CERT_FILE".to_owned(), authority));
    laurel(&settings, "seed --users 5");
}

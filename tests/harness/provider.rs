//! An identity provider: a file with its keys, and the tokens that it signs.

use laurel::keyring::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::{Signer, jwks};
use super::{Player, TestNode, TestStores};

pub struct IdentityProvider {
    pub signer: Signer,
    folder: TempDir,
}

impl IdentityProvider {
    pub fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::new(algorithm, "first");
        let provider = Self { signer, folder: tempfile::tempdir().unwrap() };
        provider.publish(&[&provider.signer]);
        provider.trust("jwks_file = \"keys.json\"");
        provider
    }

    /// Writes the file with the keys of these signers.
    pub fn publish(&self, signers: &[&Signer]) {
        std::fs::write(self.folder.path().join("keys.json"), jwks(signers)).unwrap();
    }

    /// Writes a file with any keys.
    pub fn publish_keys(&self, keys: &Value) {
        std::fs::write(self.folder.path().join("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
    }

    /// Writes the issuers file of a node. `keys` is the line that names the keys.
    pub fn trust(&self, keys: &str) {
        let entry = format!("[[issuer]]\nissuer = \"https://id.example\"\naudience = \"laurel\"\n{keys}\n");
        std::fs::write(self.folder.path().join("issuers.toml"), entry).unwrap();
        std::fs::write(self.folder.path().join("key.pem"), self.signer.pem()).unwrap();
    }

    /// Starts a node that trusts the provider.
    pub async fn start_node(&self, stores: &TestStores) -> TestNode {
        let file = self.folder.path().join("issuers.toml").to_str().unwrap().to_owned();
        stores.start_node_with(|it| it.auth.issuers_file = file).await
    }

    /// The claims of a valid token.
    pub fn claims(&self, stores: &TestStores, subject: &str) -> Value {
        let now_s = stores.clock.now_s();
        json!({
            "iss": "https://id.example", "aud": "laurel", "sub": subject, "preferred_username": subject,
            "iat": now_s, "nbf": now_s, "exp": now_s + 600,
        })
    }

    /// A player with a token of the provider.
    pub async fn player(&self, stores: &TestStores, node: &TestNode, subject: &str) -> Player {
        let token = self.signer.sign(&self.claims(stores, subject));
        let identity = laurel::account::identify(&node.app.accounts, &token).await.unwrap();
        Player { token, identity }
    }
}

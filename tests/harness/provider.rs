//! An outside identity provider, as far as a node sees one: a file of keys, and tokens.

use laurel::keys::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::signer::{Signer, jwks};
use super::{Player, TestNode, World};

pub struct Provider {
    pub signer: Signer,
    folder: TempDir,
}

impl Provider {
    pub fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::new(algorithm, "first");
        let provider = Self { signer, folder: tempfile::tempdir().unwrap() };
        provider.publish(&[&provider.signer]);
        provider.trust("jwks_file = \"keys.json\"");
        provider
    }

    /// Makes these its keys.
    pub fn publish(&self, signers: &[&Signer]) {
        std::fs::write(self.folder.path().join("keys.json"), jwks(signers)).unwrap();
    }

    /// The same for keys that nobody here can sign with.
    pub fn publish_keys(&self, keys: &Value) {
        std::fs::write(self.folder.path().join("keys.json"), json!({ "keys": keys }).to_string()).unwrap();
    }

    /// Writes the file by which a node believes it; the keys are where the setting says.
    pub fn trust(&self, keys: &str) {
        let entry = format!("[[issuer]]\nissuer = \"https://id.example\"\naudience = \"laurel\"\n{keys}\n");
        std::fs::write(self.folder.path().join("issuers.toml"), entry).unwrap();
        std::fs::write(self.folder.path().join("key.pem"), self.signer.pem()).unwrap();
    }

    /// A node that believes it.
    pub async fn node(&self, world: &World) -> TestNode {
        let file = self.folder.path().join("issuers.toml").to_str().unwrap().to_owned();
        world.node_with(|it| it.auth.issuers_file = file).await
    }

    /// What a good token of a user says.
    pub fn claims(&self, world: &World, subject: &str) -> Value {
        let now_s = world.clock.now_s();
        json!({
            "iss": "https://id.example", "aud": "laurel", "sub": subject, "preferred_username": subject,
            "iat": now_s, "nbf": now_s, "exp": now_s + 600,
        })
    }

    /// A user who comes with a token.
    pub async fn player(&self, world: &World, node: &TestNode, subject: &str) -> Player {
        let token = self.signer.sign(&self.claims(world, subject));
        let identity = laurel::account::identify(&node.app, &token).await.unwrap();
        Player { token, identity }
    }
}

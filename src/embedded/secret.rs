//! The login secret of a node with private stores: made once, readable by its owner alone.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::HEXLOWER;

use super::StartError;
use crate::config::Config;

const NAME: &str = "jwt_secret";

/// Puts the folder's secret into the settings, if they have none and the folder has one.
pub fn take_if_there(config: &mut Config, root: &Path) -> Result<(), StartError> {
    let path = root.join(NAME);
    if config.auth.jwt_secret.is_empty() && path.exists() {
        let text = fs::read_to_string(&path)
            .map_err(|error| StartError(format!("cannot read {}: {error}", path.display())))?;
        config.auth.jwt_secret = text.trim().to_owned().into();
    }
    Ok(())
}

/// The same, and makes the secret first if the folder has none: 32 random bytes in hex.
pub fn make_if_missing(config: &mut Config, root: &Path) -> Result<(), StartError> {
    let path = root.join(NAME);
    if config.auth.jwt_secret.is_empty() && !path.exists() {
        let cannot = |error| StartError(format!("cannot write {}: {error}", path.display()));
        let text = HEXLOWER.encode(&rand::random::<[u8; 32]>());
        let unfinished = root.join("jwt_secret.unfinished");
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)
            .map_err(cannot)?;
        writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(cannot)?;
        fs::rename(&unfinished, &path).map_err(cannot)?;
    }
    take_if_there(config, root)
}

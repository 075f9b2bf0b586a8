//! The addresses in `redis.url`, as redis-rs takes them, with the login for Sentinels.

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::config::{self, RedisUrl};
use crate::error::Fault;

/// A single Redis, the seed nodes of a cluster, or Sentinels.
pub enum Address {
    Single(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
    Sentinels { sentinels: Vec<ConnectionInfo>, name: String, url: MasterUrl },
}

/// The URL of a Sentinel's master without host and port.
#[derive(Clone)]
pub struct MasterUrl {
    before: String,
    after: String,
}

impl MasterUrl {
    /// The server at a host and port.
    pub fn at(&self, host: &str, port: u16) -> redis::RedisResult<ConnectionInfo> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("{}{host}:{port}{}", self.before, self.after).into_connection_info()
    }
}

impl Address {
    /// Parses the settings.
    ///
    /// # Errors
    /// The URL is invalid. The error does not contain it, since it may have a password.
    pub fn parse(config: &config::Redis) -> Result<Self, Fault> {
        let info =
            |url: String| url.into_connection_info().map_err(|error| Fault::new("read_redis_url", error));
        let all = |urls: Vec<String>| urls.into_iter().map(info).collect::<Result<Vec<_>, _>>();
        let url = RedisUrl::parse(config.url.expose());
        match url.map_err(|problem| Fault::new("read_redis_url", problem))? {
            RedisUrl::Single(url) => Ok(Self::Single(Box::new(info(url)?))),
            RedisUrl::Cluster(nodes) => Ok(Self::Cluster(all(nodes)?)),
            RedisUrl::Sentinels { sentinels, name, master: (before, after) } => {
                let sentinels = all(sentinels)?;
                let sentinels = sentinels.into_iter().map(|sentinel| with_login(sentinel, config)).collect();
                Ok(Self::Sentinels { sentinels, name, url: MasterUrl { before, after } })
            }
        }
    }
}

/// Adds the login for Sentinels, which differs from the one in the URL.
fn with_login(sentinel: ConnectionInfo, config: &config::Redis) -> ConnectionInfo {
    let mut login = sentinel.redis_settings().clone();
    if !config.sentinel_username.is_empty() {
        login = login.set_username(&config.sentinel_username);
    }
    if !config.sentinel_password.is_empty() {
        login = login.set_password(config.sentinel_password.expose());
    }
    sentinel.set_redis_settings(login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentinels_and_the_master_have_separate_logins() {
        let mut config = config::load([]).unwrap().redis;
        config.url = "redis-sentinel://u:p@a:26379,b:26380/3#mymaster".to_owned().into();
        config.sentinel_password = "s".to_owned().into();
        let Ok(Address::Sentinels { sentinels, name, url }) = Address::parse(&config) else { panic!() };
        let login = |info: &ConnectionInfo| {
            (info.addr().to_string(), info.redis_settings().password().map(str::to_owned))
        };
        let expected = ["a:26379", "b:26380"].map(|address| (address.to_owned(), Some("s".to_owned())));
        assert_eq!(
            (sentinels.iter().map(login).collect::<Vec<_>>(), name.as_str()),
            (expected.to_vec(), "mymaster")
        );
        assert_eq!(sentinels[0].redis_settings().username(), None);
        let master = url.at("::1", 6379).unwrap();
        assert_eq!((master.addr().to_string(), master.redis_settings().db()), ("::1:6379".into(), 3));
        assert_eq!(
            (master.redis_settings().username(), master.redis_settings().password()),
            (Some("u"), Some("p"))
        );
    }
}

//! Where Redis is, as redis-rs takes it: what `redis.url` and the login at Sentinels say.

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::config::{self, RedisUrl};
use crate::error::Fault;

/// Who may be asked, and for what.
pub enum Address {
    Single(Box<ConnectionInfo>),
    Cluster(Vec<ConnectionInfo>),
    Sentinels {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        /// Of the master, but for its host and port.
        url: MasterUrl,
    },
}

/// A URL in which the host and the port are left out.
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
    /// Reads the settings.
    ///
    /// # Errors
    /// What is wrong with the URL; it is not repeated, since it may hold a password.
    pub fn read(config: &config::Redis) -> Result<Self, Fault> {
        let info =
            |url: String| url.into_connection_info().map_err(|error| Fault::new("read redis.url", error));
        let all = |urls: Vec<String>| urls.into_iter().map(info).collect::<Result<Vec<_>, _>>();
        let url = RedisUrl::parse(config.url.expose());
        match url.map_err(|problem| Fault::new("read redis.url", problem))? {
            RedisUrl::Single(url) => Ok(Self::Single(Box::new(info(url)?))),
            RedisUrl::Cluster(nodes) => Ok(Self::Cluster(all(nodes)?)),
            RedisUrl::Sentinels { sentinels, name, master: (before, after) } => {
                let sentinels = all(sentinels)?.into_iter().map(|it| log_in(it, config)).collect();
                Ok(Self::Sentinels { sentinels, name, url: MasterUrl { before, after } })
            }
        }
    }
}

/// Sentinels have a login of their own, if any.
fn log_in(sentinel: ConnectionInfo, config: &config::Redis) -> ConnectionInfo {
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
    fn sentinels_and_the_master_have_each_their_login() {
        let mut config = config::load([]).unwrap().redis;
        config.url = "redis-sentinel://u:p@a:26379,b:26380/3#mymaster".to_owned().into();
        config.sentinel_password = "s".to_owned().into();
        let Ok(Address::Sentinels { sentinels, name, url }) = Address::read(&config) else { panic!() };
        let asked =
            |it: &ConnectionInfo| (it.addr().to_string(), it.redis_settings().password().map(str::to_owned));
        let expected = ["a:26379", "b:26380"].map(|it| (it.to_owned(), Some("s".to_owned())));
        assert_eq!(
            (sentinels.iter().map(asked).collect::<Vec<_>>(), name.as_str()),
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

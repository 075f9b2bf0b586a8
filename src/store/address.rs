//! `store.redis_url`: one server, a Redis Cluster, or Sentinels who know the server.

use redis::{ConnectionInfo, IntoConnectionInfo};

use crate::error::Fault;

/// What the URL names.
pub enum Address {
    /// `redis://`, `rediss://` or `unix://`.
    Single(Box<ConnectionInfo>),
    /// `redis-cluster://[user:password@]host:port,host:port`; `rediss-cluster://` for TLS. Some nodes of it are enough.
    Cluster(Vec<ConnectionInfo>),
    /// `redis-sentinel://[user:password@]host:port,host:port[/db]#master`, as Lettuce writes it; `rediss-sentinel://` for TLS. User,
    /// password and database are the master's; Sentinels are asked without.
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
    /// Reads the URL.
    ///
    /// # Errors
    /// What is wrong with it; it is not repeated, since it may hold a password.
    pub fn parse(url: &str) -> Result<Self, Fault> {
        let wrong = |problem: &str| Fault::new("read store.redis_url", problem.to_owned());
        let info =
            |url: &str| url.into_connection_info().map_err(|error| Fault::new("read store.redis_url", error));
        let Some((scheme, rest)) = url.split_once("://") else {
            return info(url).map(|it| Self::Single(Box::new(it)));
        };
        let Some((base, kind)) = scheme.split_once('-') else {
            return info(url).map(|it| Self::Single(Box::new(it)));
        };
        let (rest, name) = rest.split_once('#').map_or((rest, None), |(rest, name)| (rest, Some(name)));
        let (login, places) = rest.rsplit_once('@').map_or(("", rest), |(login, places)| (login, places));
        let (hosts, database) = places.split_once('/').unwrap_or((places, ""));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let each = |login: &str| {
            hosts
                .split(',')
                .map(|host| info(&format!("{base}://{login}{host}")))
                .collect::<Result<Vec<_>, _>>()
        };
        match (kind, name) {
            ("cluster", None) if database.is_empty() => Ok(Self::Cluster(each(&login)?)),
            ("cluster", _) => Err(wrong("a cluster has one database, and no name")),
            ("sentinel", Some(name)) if !name.is_empty() => Ok(Self::Sentinels {
                sentinels: each("")?,
                name: name.to_owned(),
                url: MasterUrl { before: format!("{base}://{login}"), after: format!("/{database}") },
            }),
            ("sentinel", _) => Err(wrong("after # comes the name that Sentinels know the master by")),
            _ => Err(wrong("it begins with redis://, redis-cluster://, redis-sentinel:// or unix://")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(infos: &[ConnectionInfo]) -> Vec<String> {
        infos.iter().map(|it| it.addr().to_string()).collect()
    }

    #[test]
    fn each_kind_is_told_by_its_scheme() {
        assert!(matches!(Address::parse("redis://:p-w@localhost:1/2"), Ok(Address::Single(_))));
        assert!(matches!(Address::parse("unix:///a-b/redis.sock"), Ok(Address::Single(_))));
        let Ok(Address::Cluster(nodes)) = Address::parse("redis-cluster://u:p@a:7000,b:7001") else {
            panic!()
        };
        assert_eq!(addresses(&nodes), ["a:7000", "b:7001"]);
        assert_eq!(nodes[1].redis_settings().username(), Some("u"));
        let url = "redis-sentinel://:p@a:26379,b:26379/3#mymaster";
        let Ok(Address::Sentinels { sentinels, name, url }) = Address::parse(url) else { panic!() };
        assert_eq!(
            (addresses(&sentinels), name.as_str()),
            (vec!["a:26379".into(), "b:26379".into()], "mymaster")
        );
        assert_eq!(sentinels[0].redis_settings().password(), None);
        let master = url.at("::1", 6379).unwrap();
        assert_eq!((master.addr().to_string(), master.redis_settings().db()), ("::1:6379".into(), 3));
        assert_eq!(master.redis_settings().password(), Some("p"));
    }

    #[test]
    fn what_is_none_is_refused_without_being_repeated() {
        for url in
            ["redis-cluster://:secret@a:1/2", "redis-sentinel://:secret@a:1", "http-x://:secret@a:1", "::"]
        {
            let fault = Address::parse(url).err().unwrap().to_string();
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}

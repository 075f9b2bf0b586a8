//! The URLs of the stores. Parts that would be ignored are refused, with a hint what to use instead. Messages never repeat the URL, which
//! may contain a password.

use reqwest::Url;

/// `redis.url`: one server, a Redis Cluster, or Sentinels. Each server is a URL for redis-rs.
#[derive(Debug, PartialEq, Eq)]
pub enum RedisUrl {
    /// `redis://[user:password@]host:port[/database]`, `rediss://` for TLS, or `unix:///path?db=&user=&pass=`.
    Single(String),
    /// `redis-cluster://[user:password@]host:port,host:port`; `rediss-cluster://` for TLS. A subset of the nodes is enough.
    Cluster(Vec<String>),
    /// `redis-sentinel://[user:password@]host:port,host:port[/database]#master`; `rediss-sentinel://` for TLS. User, password and
    /// database are the master's.
    Sentinels {
        /// URLs without a login.
        sentinels: Vec<String>,
        /// The master's name.
        name: String,
        /// The master's URL before and after its host and port.
        master: (String, String),
    },
}

const ENCODE: &str =
    "percent-encode all characters but letters and digits in user and password, such as %40 for @";

impl RedisUrl {
    /// Parses the URL.
    ///
    /// # Errors
    /// What to use instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("has no scheme; use redis://host:6379".to_owned());
        };
        let (base, kind) = scheme.split_once('-').unwrap_or((scheme, ""));
        match (base, kind) {
            ("redis" | "rediss" | "valkey" | "valkeys", "") => {
                check_server(text)?;
                Ok(Self::Single(text.to_owned()))
            }
            ("unix" | "redis+unix" | "valkey+unix", "") => {
                check_socket(text)?;
                Ok(Self::Single(text.to_owned()))
            }
            ("redis" | "rediss", "cluster") => match Hosts::parse(base, rest)? {
                Hosts { name: None, database, with_login, .. } if database.is_empty() => {
                    Ok(Self::Cluster(with_login))
                }
                _ => Err("must have neither a database nor a name for a cluster".to_owned()),
            },
            ("redis" | "rediss", "sentinel") => match Hosts::parse(base, rest)? {
                Hosts { name: Some(name), database, login, without_login, .. } if !name.is_empty() => {
                    let master = (format!("{base}://{login}"), format!("/{database}"));
                    Ok(Self::Sentinels { sentinels: without_login, name, master })
                }
                _ => Err("must end with # and the master's name at the Sentinels".to_owned()),
            },
            _ => Err("must start with redis://, rediss://, redis-cluster://, redis-sentinel:// or unix://"
                .to_owned()),
        }
    }
}

/// The parts after the scheme of a URL with several hosts.
struct Hosts {
    login: String,
    with_login: Vec<String>,
    without_login: Vec<String>,
    database: String,
    name: Option<String>,
}

impl Hosts {
    fn parse(base: &str, text: &str) -> Result<Self, String> {
        let (text, name) = text.split_once('#').map_or((text, None), |(text, name)| (text, Some(name)));
        let (login, rest) = text.rsplit_once('@').unwrap_or(("", text));
        let (hosts, database) = rest.split_once('/').unwrap_or((rest, ""));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let urls = |login: &str| -> Vec<String> {
            hosts.split(',').map(|host| format!("{base}://{login}{host}")).collect()
        };
        let (with_login, without_login) = (urls(&login), urls(""));
        for url in &with_login {
            check_server(&format!("{url}/{database}"))?;
        }
        let (database, name) = (database.to_owned(), name.map(str::to_owned));
        Ok(Self { login, with_login, without_login, database, name })
    }
}

/// Checks the URL of one server over TCP.
fn check_server(text: &str) -> Result<(), String> {
    let url = parse(text)?;
    if url.host_str().unwrap_or_default().is_empty() {
        return Err("has no host".to_owned());
    }
    if url.query().is_some() {
        return Err(
            "must have no parameters; put the database after the host, as in redis://host:6379/4".to_owned()
        );
    }
    let database = url.path().trim_start_matches('/');
    if !database.is_empty() && database.parse::<u32>().is_err() {
        return Err("must have the number of a database after the host, as in redis://host:6379/4".to_owned());
    }
    Ok(())
}

fn check_socket(text: &str) -> Result<(), String> {
    let url = parse(text)?;
    if url.has_host() || url.path().len() < 2 {
        return Err("has no path; use unix:///path/to/redis.sock".to_owned());
    }
    for (name, value) in url.query_pairs() {
        match &*name {
            "user" | "pass" => {}
            "db" if value.parse::<u32>().is_ok() => {}
            "db" => return Err("must have the number of a database as its parameter db".to_owned()),
            _ => return Err("has an unknown parameter; known: db, user and pass".to_owned()),
        }
    }
    Ok(())
}

fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; {ENCODE}"))?;
    if url.fragment().is_some() {
        return Err(format!("must have no #fragment; {ENCODE}"));
    }
    Ok(url)
}

/// URL parameters that sqlx supports. `application_name` is left out: nodes use it to tell each other their versions.
const PARAMETERS: [&str; 17] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "statement-cache-capacity",
];

/// Checks a Postgres URL for parts that would be ignored.
///
/// # Errors
/// What to use instead.
pub fn check_postgres(text: &str) -> Result<(), String> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return Err(
            "must start with postgres://, as in postgres://user:password@host:5432/database".to_owned()
        );
    }
    let url = parse(text)?;
    if url.host_str().is_some_and(|it| it.contains(',')) {
        return Err("must name one host; for several, put a balancer in front of them".to_owned());
    }
    if url.query().is_some_and(|it| it.contains('@')) {
        return Err(ENCODE.to_owned());
    }
    let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[");
    match url.query_pairs().find(|(name, _)| !is_known(name)) {
        Some((name, _)) => {
            Err(format!("has the unsupported parameter {name}; supported: {}", PARAMETERS.join(", ")))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_selects_the_kind_of_redis() {
        for url in [
            "redis://h",
            "redis://:p%40w@h:6379/2",
            "rediss://user:p-w@h:6379/",
            "valkey://[::1]:6379",
            "unix:///a-b/redis.sock",
            "unix:///a/redis.sock?db=2&user=u&pass=p",
            "redis+unix:///a/redis.sock",
        ] {
            assert_eq!(RedisUrl::parse(url), Ok(RedisUrl::Single(url.to_owned())));
        }
        let nodes = vec!["rediss://u:p@a:7000".to_owned(), "rediss://u:p@b:7001".to_owned()];
        assert_eq!(RedisUrl::parse("rediss-cluster://u:p@a:7000,b:7001"), Ok(RedisUrl::Cluster(nodes)));
        let sentinels = RedisUrl::Sentinels {
            sentinels: vec!["redis://a:26379".to_owned(), "redis://b".to_owned()],
            name: "mymaster".to_owned(),
            master: ("redis://:p@".to_owned(), "/3".to_owned()),
        };
        assert_eq!(RedisUrl::parse("redis-sentinel://:p@a:26379,b/3#mymaster"), Ok(sentinels));
    }

    #[test]
    fn ignored_parts_of_a_redis_url_are_refused_and_not_repeated() {
        for (url, hint) in [
            ("secret", "redis://host:6379"),
            ("localhost:6379", "redis://host:6379"),
            ("secret@h:6379", "redis://host:6379"),
            ("", "redis://host:6379"),
            ("http://:secret@h:6379", "redis-cluster://"),
            ("redis-ring://:secret@h", "redis-cluster://"),
            ("valkey-cluster://:secret@h", "redis-cluster://"),
            ("redis://:secret@h?db=4", "redis://host:6379/4"),
            ("redis://h:6379?password=secret", "redis://host:6379/4"),
            ("redis://:secret@h:6379/0?protocol=resp3", "redis://host:6379/4"),
            ("redis://:secret@h/four", "number of a database"),
            ("redis://:secret@h/-1", "number of a database"),
            ("redis://:secret@h/1/2", "number of a database"),
            ("rediss://:secret@h#insecure", "percent-encode"),
            ("redis://:sec#ret@h:6379", "percent-encode"),
            ("redis://:secret/5@h:6379", "percent-encode"),
            ("redis://:secret@h:port", "percent-encode"),
            ("redis://:secret@:6379", "percent-encode"),
            ("redis://a:1,b:2", "percent-encode"),
            ("unix:///a/redis.sock?password=secret", "db, user and pass"),
            ("unix:///a/redis.sock?db=four&pass=secret", "number of a database"),
            ("unix://a/redis.sock?pass=secret", "unix:///path"),
            ("unix:///a/redis.sock#0", "percent-encode"),
            ("redis-cluster://:secret@a:1/2", "neither a database nor a name"),
            ("redis-cluster://:secret@a:1#name", "neither a database nor a name"),
            ("redis-cluster://:secret@a:1,b:2?db=1", "redis://host:6379/4"),
            ("redis-cluster://:secret@a:1,,b:2", "percent-encode"),
            ("redis-sentinel://:secret@a:1", "the master's name"),
            ("redis-sentinel://:secret@a:1#", "the master's name"),
            ("redis-sentinel://:secret@a:1/x#name", "number of a database"),
            ("redis-sentinel://:secret@a:1/0?sentinelPassword=secret#name", "redis://host:6379/4"),
        ] {
            let problem = RedisUrl::parse(url).unwrap_err();
            assert!(problem.contains(hint) && !problem.contains("secret"), "{url}: {problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn ignored_parts_of_a_postgres_url_are_refused_and_not_repeated() {
        for url in [
            "postgres://h",
            "postgresql://user:p%40w@h:5432/laurel?sslmode=verify-full&sslrootcert=/run/ca.pem",
            "postgres:///laurel?host=/run/postgresql&user=laurel",
            "postgres://h/laurel?options[statement_timeout]=5s&options=-c%20jit=off",
        ] {
            assert_eq!(check_postgres(url), Ok(()), "{url}");
        }
        for (url, hint) in [
            ("jdbc:postgresql://u:secret@h/laurel", "postgres://user:password@host"),
            ("h:5432/laurel", "postgres://user:password@host"),
            ("mysql://u:secret@h/laurel", "postgres://user:password@host"),
            ("host=h password=secret", "postgres://user:password@host"),
            ("postgres://u:secret@h/laurel?schema=public", "schema"),
            ("postgres://u:secret@h/laurel?sslmode=require&channel_binding=require", "channel_binding"),
            ("postgres://u:secret@h/laurel?pgbouncer=true", "pgbouncer"),
            ("postgres://u:secret@h/laurel?application_name=me", "application_name"),
            ("postgres://u:secret@a,b/laurel", "one host"),
            ("postgres://u:secret@a:1,b:2/laurel", "percent-encode"),
            ("postgres://u:sec#ret@h/laurel", "percent-encode"),
            ("postgres://u:1?secret=1@h/laurel", "percent-encode"),
            ("postgres://u:secret@h/laurel#main", "percent-encode"),
        ] {
            let problem = check_postgres(url).unwrap_err();
            assert!(problem.contains(hint) && !problem.contains("secret"), "{url}: {problem}");
        }
    }
}

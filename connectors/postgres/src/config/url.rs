//! Takes server URLs apart: `jdbc:postgresql://…` as pgJDBC means it, `postgres://…` as libpq does.

use meesh_base::Secret;
use percent_encoding::percent_decode_str;

use crate::wire::Host;

const PORT: u16 = 5432;

/// The parts of a server URL, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerUrl {
    /// The servers; `localhost:5432` where the URL names none.
    pub(super) hosts: Vec<Host>,
    pub(super) database: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    /// What stands behind the `?`, in order.
    pub(super) parameters: Vec<(String, String)>,
}

/// What stands behind the scheme, and whether the URL is JDBC's; `None` for another scheme.
fn without_scheme(url: &str) -> Option<(&str, bool)> {
    let (rest, jdbc) = match url.strip_prefix("jdbc:") {
        Some(rest) => (rest, true),
        None => (url, false),
    };
    let rest = rest.strip_prefix("postgresql:").or_else(|| rest.strip_prefix("postgres:"))?;
    (jdbc || rest.starts_with("//")).then_some((rest, jdbc))
}

/// Whether `url` has a scheme of PostgreSQL's.
pub(super) fn is_server_url(url: &str) -> bool {
    without_scheme(url).is_some()
}

/// Takes `url` apart.
///
/// # Errors
/// What is wrong, as the end of a sentence; never any part of the URL that may hold a password.
pub(super) fn parse(url: &str) -> Result<ServerUrl, String> {
    let (rest, jdbc) =
        without_scheme(url).ok_or("must start with \"jdbc:postgresql://\", \"postgresql://\" or \"postgres://\"")?;
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    // The end of the authority is the first slash: a password with one unescaped would be taken for a port.
    if address
        .strip_prefix("//")
        .and_then(|address| address.split_once('/'))
        .is_some_and(|(_, path)| path.contains('@'))
    {
        return Err("has '@' behind its first '/': write '/' in a user name or password as %2F".to_owned());
    }
    let (authority, path) = match address.strip_prefix("//") {
        Some(address) => address.split_once('/').unwrap_or((address, "")),
        None => ("", address.trim_start_matches('/')),
    };
    let (login, hosts) = authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
    let (user, password) = match login {
        Some(login) => login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password))),
        None => ("", None),
    };
    let database = decode(path, jdbc)?;
    let user = decode(user, false)?;
    Ok(ServerUrl {
        hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
        database: (!database.is_empty()).then_some(database),
        user: (!user.is_empty()).then_some(user),
        password: password.map(|text| decode(text, false)).transpose()?.map(Secret::new),
        parameters: query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| parameter(pair, jdbc))
            .collect::<Result<_, _>>()?,
    })
}

/// One entry of a host list: `name`, `name:port`, `[v6]:port`, or nothing at all.
pub(super) fn host(text: &str) -> Result<Host, String> {
    let (name, port) = match text.strip_prefix('[') {
        Some(v6) => {
            let (name, rest) = v6.split_once(']').ok_or("has a host with '[' but without ']'")?;
            (name, rest.strip_prefix(':').unwrap_or(rest))
        }
        None => text.rsplit_once(':').unwrap_or((text, "")),
    };
    let name = decode(name, false)?;
    Ok(Host { name: if name.is_empty() { "localhost".to_owned() } else { name }, port: self::port(port)? })
}

/// A port; 5432 if `text` is empty.
pub(super) fn port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(PORT);
    }
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        // Without the text itself: it may be part of a password.
        .ok_or_else(|| "has a port that is not one of 1 to 65535".to_owned())
}

fn parameter(pair: &str, jdbc: bool) -> Result<(String, String), String> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Ok((decode(name, jdbc)?, decode(value, jdbc)?))
}

/// Decodes `%xx`; and `+` as a space where `form` is set, since pgJDBC decodes as forms do.
fn decode(text: &str, form: bool) -> Result<String, String> {
    let spaced = if form { text.replace('+', " ") } else { text.to_owned() };
    let decoded = percent_decode_str(&spaced).decode_utf8().map_err(|_| "is not UTF-8 after decoding its %xx")?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, hosts: &str, database: Option<&str>, parameters: &[(&str, &str)]) -> ServerUrl {
        let parsed = parse(url).unwrap();
        let seen: Vec<String> = parsed.hosts.iter().map(Host::to_string).collect();
        assert_eq!(seen.join(","), hosts, "{url}");
        assert_eq!(parsed.database.as_deref(), database, "{url}");
        let seen: Vec<(&str, &str)> = parsed.parameters.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(seen, parameters, "{url}");
        parsed
    }

    #[test]
    fn jdbc_urls() {
        check("jdbc:postgresql://db/sales", "db:5432", Some("sales"), &[]);
        check("jdbc:postgresql://a:1,[::1]:2,c/x%20y+z?user=u", "a:1,[::1]:2,c:5432", Some("x y z"), &[("user", "u")]);
        check("jdbc:postgresql:sales", "localhost:5432", Some("sales"), &[]);
        check("jdbc:postgresql://db:6432/?ssl&a=b%26c", "db:6432", None, &[("ssl", ""), ("a", "b&c")]);
    }

    #[test]
    fn libpq_urls() {
        let url = check(
            "postgres://ann:p%40s+s@db:1/sales?sslmode=require",
            "db:1",
            Some("sales"),
            &[("sslmode", "require")],
        );
        assert_eq!(url.user.as_deref(), Some("ann"));
        assert_eq!(url.password.unwrap().expose(), "p@s+s");
        check("postgresql://%2Frun%2Fpg/sales", "/run/pg:5432", Some("sales"), &[]);
        check("postgresql://", "localhost:5432", None, &[]);
    }

    #[test]
    fn broken_urls_say_what_is_wrong() {
        for (url, expect) in [
            ("mysql://db/x", "must start with"),
            ("jdbc:mysql://db/x", "must start with"),
            ("postgres://db:0/x", "has a port"),
            ("postgres://db:70000/x", "has a port"),
            ("postgres://ann:s3cret/x@db/sales", "%2F"),
            ("postgres://ann:s3cret?x@db/sales", "has a port"),
            ("postgres://[::1/x", "without ']'"),
            ("postgres://u:%ff@db/x", "not UTF-8"),
        ] {
            let error = parse(url).unwrap_err();
            assert!(error.contains(expect) && !error.contains("s3cret"), "{url}: {error}");
        }
    }
}

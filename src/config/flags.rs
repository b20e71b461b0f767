//! The flags that every command shares: where the configuration is, and what overrides it.

use std::path::PathBuf;

use meesh_base::ConfigValues;

use super::keys;

/// Configuration from the command line; it beats the environment, which beats files. It has no `Debug`:
/// URLs may hold passwords.
#[derive(Clone, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct ConfigFlags {
    /// Configuration folder, laid out as Trino's [default: ./etc, then /etc/meesh, then /etc/trino]
    #[arg(long, value_name = "DIR", env = "MEESH_ETC", global = true)]
    pub(crate) etc: Option<PathBuf>,

    /// A catalog without a file: postgres://user:password@host/database, s3://bucket or file:///folder
    #[arg(long = "catalog", value_name = "NAME=URL", global = true)]
    pub(crate) catalogs: Vec<String>,

    /// Address and port of the Flight SQL door
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(crate) flight_listen: Option<String>,

    /// Address and port of /livez, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS", global = true)]
    pub(crate) admin_listen: Option<String>,

    /// Allow other addresses than loopback without users or without TLS
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

impl ConfigFlags {
    /// The settings among the flags, by key.
    pub(crate) fn values(&self) -> ConfigValues {
        let mut values = ConfigValues::new("command line");
        let texts = [
            (keys::FLIGHT_LISTEN, "--flight-listen", self.flight_listen.clone()),
            (keys::ADMIN_LISTEN, "--admin-listen", self.admin_listen.clone()),
            (keys::INSECURE, "--insecure", self.insecure.then(|| "true".to_owned())),
        ];
        for (key, flag, text) in texts {
            if let Some(text) = text {
                values.set(key.name, text, format!("flag {flag}"));
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_given_counts() {
        assert_eq!(ConfigFlags::default().values().names().count(), 0);
        let flags = ConfigFlags { flight_listen: Some("0.0.0.0:1".into()), insecure: true, ..Default::default() };
        let values = flags.values();
        assert_eq!(values.text(&keys::FLIGHT_LISTEN), Some("0.0.0.0:1"));
        assert_eq!(values.origin(&keys::INSECURE), Some("flag --insecure"));
        assert_eq!(values.origin(&keys::ADMIN_LISTEN), None);
    }
}

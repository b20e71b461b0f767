//! What a client has said of itself: who it is, where its names start, and its properties.
//!
//! A session is a plain value that a door keeps. Statements never change one: they return
//! [`SessionChange`]s, which the door applies or sends to its client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use meesh_base::{Error, Result, nearest, parse_duration};

/// The type and meaning of one session property.
struct Property {
    name: &'static str,
    kind: &'static str,
    default: &'static str,
    doc: &'static str,
    valid: fn(&str) -> bool,
    /// Whether it can be set for one catalog, too: `SET SESSION sales.pushdown_enabled = false`.
    per_catalog: bool,
}

fn is_bool(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "false")
}

fn is_duration(text: &str) -> bool {
    parse_duration(text).is_some()
}

fn is_count(text: &str) -> bool {
    text.parse::<usize>().is_ok_and(|n| (1..=1024).contains(&n))
}

const QUERY_MAX_RUN_TIME: &str = "query_max_run_time";
const QUERY_MAX_EXECUTION_TIME: &str = "query_max_execution_time";
const PUSHDOWN_ENABLED: &str = "pushdown_enabled";
const TASK_CONCURRENCY: &str = "task_concurrency";
const ARROW_VIEWS: &str = "arrow_views";

/// Every property a session may set. Names are Trino's where Trino has one.
const PROPERTIES: &[Property] = &[
    Property {
        name: ARROW_VIEWS,
        kind: "boolean",
        default: "false",
        doc: "Send strings to Arrow clients as views, without copying",
        valid: is_bool,
        per_catalog: false,
    },
    Property {
        name: PUSHDOWN_ENABLED,
        kind: "boolean",
        default: "true",
        doc: "Let sources take over the parts of a query that they compute exactly; also as catalog.pushdown_enabled",
        valid: is_bool,
        per_catalog: true,
    },
    Property {
        name: QUERY_MAX_EXECUTION_TIME,
        kind: "varchar",
        default: "100.00d",
        doc: "Maximum time a query may take, planning and running",
        valid: is_duration,
        per_catalog: false,
    },
    Property {
        name: QUERY_MAX_RUN_TIME,
        kind: "varchar",
        default: "100.00d",
        doc: "Maximum time a query may take, queued time included",
        valid: is_duration,
        per_catalog: false,
    },
    Property {
        name: TASK_CONCURRENCY,
        kind: "integer",
        default: "0",
        doc: "Partitions that work on one query; 0 is one a core",
        valid: |text| text == "0" || is_count(text),
        per_catalog: false,
    },
];

/// One property with its value, for SHOW SESSION.
#[derive(Debug, Clone)]
pub struct SessionProperty {
    /// Its name.
    pub name: String,
    /// The value that holds now.
    pub value: String,
    /// The value that holds when none is set.
    pub default: String,
    /// Its SQL type.
    pub kind: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// The state of one client between statements.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who it is.
    pub user: String,
    /// The client program's name.
    pub source: Option<String>,
    /// Where one- and two-part names start.
    pub catalog: Option<String>,
    /// Where one-part names start.
    pub schema: Option<String>,
    /// IANA name of the zone in which timestamps are read and shown.
    pub time_zone: String,
    properties: BTreeMap<String, String>,
    defaults: Arc<Defaults>,
}

/// What holds in a session where nothing was set.
#[derive(Debug)]
struct Defaults {
    catalog: Option<String>,
    schema: Option<String>,
    time_zone: String,
    properties: BTreeMap<String, String>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { catalog: None, schema: None, time_zone: "UTC".to_owned(), properties: BTreeMap::new() }
    }
}

/// What a statement changes in the session it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionChange {
    /// USE: where names start.
    Use {
        /// The new catalog; `None` keeps the present one.
        catalog: Option<String>,
        /// The new schema.
        schema: String,
    },
    /// SET SESSION.
    SetProperty {
        /// A listed name.
        name: String,
        /// A value that was found valid.
        value: String,
    },
    /// RESET SESSION.
    ResetProperty {
        /// A listed name.
        name: String,
    },
    /// SET TIME ZONE.
    TimeZone(String),
}

impl Session {
    /// A new session of `user`: no catalog, no schema, UTC, every property at its default.
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            source: None,
            catalog: None,
            schema: None,
            time_zone: "UTC".to_owned(),
            properties: BTreeMap::new(),
            defaults: Arc::default(),
        }
    }

    /// A session of `user` in which what is set here is the default: what a reset goes back to.
    #[must_use]
    pub fn as_defaults_for(&self, user: impl Into<String>) -> Self {
        let mut properties = self.defaults.properties.clone();
        properties.extend(self.properties.clone());
        let defaults = Defaults {
            catalog: self.catalog.clone(),
            schema: self.schema.clone(),
            time_zone: self.time_zone.clone(),
            properties,
        };
        Self { user: user.into(), properties: BTreeMap::new(), defaults: Arc::new(defaults), ..self.clone() }
    }

    /// The zone of a session that has set none.
    pub(crate) fn default_time_zone(&self) -> &str {
        &self.defaults.time_zone
    }

    /// Goes back to the default of a property, or of `catalog`, `schema` or `timezone`.
    ///
    /// # Errors
    /// `InvalidQuery` for an unknown name, with the nearest.
    pub fn reset_property(&mut self, name: &str) -> Result<()> {
        match name.to_ascii_lowercase().as_str() {
            "catalog" => self.catalog.clone_from(&self.defaults.catalog),
            "schema" => self.schema.clone_from(&self.defaults.schema),
            "timezone" | "time_zone" => self.time_zone.clone_from(&self.defaults.time_zone),
            _ => self.apply(&check_reset(name)?),
        }
        Ok(())
    }

    /// Applies what a statement changed.
    pub fn apply(&mut self, change: &SessionChange) {
        match change {
            SessionChange::Use { catalog, schema } => {
                if catalog.is_some() {
                    self.catalog.clone_from(catalog);
                }
                self.schema = Some(schema.clone());
            }
            SessionChange::SetProperty { name, value } => {
                self.properties.insert(name.clone(), value.clone());
            }
            SessionChange::ResetProperty { name } => {
                self.properties.remove(name.as_str());
            }
            SessionChange::TimeZone(zone) => self.time_zone.clone_from(zone),
        }
    }

    /// Sets a property, or `catalog`, `schema` or `timezone`, by name.
    ///
    /// # Errors
    /// `InvalidQuery` for an unknown name (with the nearest) or a value that does not fit.
    pub fn set_property(&mut self, name: &str, value: &str) -> Result<()> {
        match name.to_ascii_lowercase().as_str() {
            "catalog" => self.catalog = Some(value.to_lowercase()),
            "schema" => self.schema = Some(value.to_lowercase()),
            "timezone" | "time_zone" => self.apply(&SessionChange::TimeZone(check_time_zone(value)?)),
            _ => self.apply(&check_property(name, value)?),
        }
        Ok(())
    }

    /// The value that holds for a property, or for `catalog`, `schema`, `timezone`.
    pub fn property(&self, name: &str) -> Option<String> {
        match name.to_ascii_lowercase().as_str() {
            "catalog" => self.catalog.clone(),
            "schema" => self.schema.clone(),
            "timezone" | "time_zone" => Some(self.time_zone.clone()),
            _ => find(name).map(|(name, property)| self.value(&name, property)),
        }
    }

    /// Every property with the value that holds; those of a catalog where they were set.
    pub fn properties(&self) -> Vec<SessionProperty> {
        let of_catalogs = self.properties.keys().filter(|name| name.contains('.')).cloned();
        let names = PROPERTIES.iter().map(|property| property.name.to_owned()).chain(of_catalogs);
        let shown = |name: String| {
            let (_, property) = find(&name)?;
            let (value, default) = (self.value(&name, property), self.default(property));
            Some(SessionProperty { name, value, default, kind: property.kind, doc: property.doc })
        };
        names.filter_map(shown).collect()
    }

    fn value(&self, name: &str, property: &Property) -> String {
        let own = self.properties.get(name).or_else(|| self.properties.get(property.name));
        own.cloned().unwrap_or_else(|| self.default(property))
    }

    fn default(&self, property: &Property) -> String {
        let configured = self.defaults.properties.get(property.name).cloned();
        configured.unwrap_or_else(|| property.default.to_owned())
    }

    fn flag(&self, name: &str) -> bool {
        self.property(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The shorter of the two limits on a query's time.
    pub(crate) fn run_time_max(&self) -> Option<Duration> {
        [QUERY_MAX_RUN_TIME, QUERY_MAX_EXECUTION_TIME]
            .iter()
            .filter_map(|name| self.property(name))
            .filter_map(|text| parse_duration(&text))
            .min()
    }

    /// Whether the source `catalog` may take over parts of a query.
    pub(crate) fn pushdown_enabled(&self, catalog: &str) -> bool {
        self.flag(&format!("{catalog}.{PUSHDOWN_ENABLED}"))
    }

    /// Partitions that a query asks for, if it asks.
    pub(crate) fn partitions(&self) -> Option<usize> {
        self.property(TASK_CONCURRENCY).and_then(|text| text.parse().ok()).filter(|n| *n > 0)
    }
}

/// A property and its full name, in lower case.
fn find(name: &str) -> Option<(String, &'static Property)> {
    let name = name.to_ascii_lowercase();
    let (of_catalog, own) = match name.rsplit_once('.') {
        Some((_, own)) => (true, own),
        None => (false, name.as_str()),
    };
    let property = PROPERTIES.iter().find(|property| property.name == own && (property.per_catalog || !of_catalog))?;
    Some((name, property))
}

/// The change that `SET SESSION name = value` makes.
pub(crate) fn check_property(name: &str, value: &str) -> Result<SessionChange> {
    let (name, property) = find_or_error(name)?;
    if !(property.valid)(value.trim()) {
        return Err(Error::invalid_query(format!(
            "session property {name:?} cannot be {value:?}: it is a {}",
            property.kind
        ))
        .with_code("INVALID_SESSION_PROPERTY"));
    }
    Ok(SessionChange::SetProperty { name, value: value.trim().to_owned() })
}

/// The change that `RESET SESSION name` makes.
pub(crate) fn check_reset(name: &str) -> Result<SessionChange> {
    Ok(SessionChange::ResetProperty { name: find_or_error(name)?.0 })
}

/// The IANA name of a time zone, or an error that names what was given.
pub(crate) fn check_time_zone(name: &str) -> Result<String> {
    name.parse::<chrono_tz::Tz>()
        .map(|zone| zone.name().to_owned())
        .map_err(|_| Error::invalid_query(format!("unknown time zone {name:?}")).with_code("INVALID_FUNCTION_ARGUMENT"))
}

fn find_or_error(name: &str) -> Result<(String, &'static Property)> {
    find(name).ok_or_else(|| {
        let error = Error::invalid_query(format!("session property {name:?} does not exist"))
            .with_code("INVALID_SESSION_PROPERTY");
        match nearest(name, PROPERTIES.iter().map(|property| property.name)).first() {
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error.with_hint("SHOW SESSION lists them"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_applied_and_undone() {
        let mut session = Session::new("ann");
        session.set_property("query_max_run_time", "5s").unwrap();
        assert_eq!(session.run_time_max(), Some(Duration::from_secs(5)));
        session.apply(&check_reset("query_max_run_time").unwrap());
        assert_eq!(session.run_time_max(), Some(Duration::from_secs(100 * 86400)));
        session.apply(&SessionChange::Use { catalog: Some("sales".into()), schema: "public".into() });
        session.apply(&SessionChange::Use { catalog: None, schema: "other".into() });
        assert_eq!(session.property("catalog").as_deref(), Some("sales"));
        assert_eq!(session.property("schema").as_deref(), Some("other"));
    }

    #[test]
    fn a_reset_goes_back_to_what_the_server_says() {
        let mut template = Session::new("");
        for (name, value) in [("query_max_run_time", "1m"), ("timezone", "Europe/Paris"), ("catalog", "sales")] {
            template.set_property(name, value).unwrap();
        }
        let mut session = template.as_defaults_for("ann");
        for (name, value) in [("query_max_run_time", "5s"), ("timezone", "UTC"), ("catalog", "lake")] {
            session.set_property(name, value).unwrap();
            session.reset_property(name).unwrap();
            assert_eq!(session.property(name), template.property(name), "{name}");
        }
        let shown = session.properties().into_iter().find(|property| property.name == "query_max_run_time").unwrap();
        assert_eq!((shown.value.as_str(), shown.default.as_str()), ("1m", "1m"));
    }

    #[test]
    fn wrong_names_and_values_are_refused() {
        let mut session = Session::new("ann");
        let error = session.set_property("query_max_runtime", "5s").unwrap_err();
        assert!(error.to_string().contains("did you mean \"query_max_run_time\"?"), "{error}");
        assert!(session.set_property("query_max_run_time", "soon").is_err());
        assert!(session.set_property("timezone", "Mars/Olympus").is_err());
        session.set_property("timezone", "Europe/Paris").unwrap();
    }
}

//! The server's values: every source of settings, merged.
//!
//! ```text
//! defaults < config.properties, node.properties, password-authenticator.properties < meesh.yaml < MEESH_… < flags
//! ```

use std::path::{Path, PathBuf};

use meesh_base::{ConfigKey, ConfigValues, Error, Result, nearest};

use super::etc_dir::{self, read_if_there};
use super::references::References;
use super::trino_keys::TRINO_IGNORED;
use super::{ConfigFlags, keys, properties, yaml};

/// Variables that are not settings: they are read where they are used.
const OTHER_VARIABLES: &[&str] = &["MEESH_ETC", "MEESH_LOG", "MEESH_PASSWORD", "MEESH_USER"];

/// Names of `access-control.name` under which nothing is forbidden.
const OPEN_ACCESS: &[&str] = &["default", "allow-all"];

/// What all sources said together.
pub(super) struct ServerValues {
    pub(super) values: ConfigValues,
    pub(super) warnings: Vec<String>,
    /// The level that `log.properties` gives to Trino's own loggers.
    pub(super) log_level: Option<String>,
    /// The file that says more than `insecure: false` allows to ignore.
    pub(super) access_rules: Option<String>,
}

/// Reads and checks every source. `folder` is the configuration folder, if there is one.
///
/// # Errors
/// `InvalidQuery` for an unknown key (with the nearest), a value of the wrong type, a file that is
/// no `.properties` or YAML and a reference to what is not there; each with file and line.
pub(super) fn read(folder: Option<&Path>, flags: &ConfigFlags, references: &References) -> Result<ServerValues> {
    let mut all =
        ServerValues { values: ConfigValues::new("server"), warnings: Vec::new(), log_level: None, access_rules: None };
    if let Some(folder) = folder {
        all.trino_files(folder, references)?;
        let file = folder.join("meesh.yaml");
        if let Some(text) = read_if_there(&file)? {
            let settings = yaml::parse(&text, &file.display().to_string())?.settings;
            let lines = settings.into_iter().map(|entry| (entry.line, entry.name, entry.value));
            all.add(values_of(lines, &file, references)?, &[keys::SERVER])?;
        }
    }
    all.add(of_variables(references)?, &[keys::SERVER])?;
    all.add(flags.values(), &[keys::SERVER])?;
    Ok(all)
}

impl ServerValues {
    fn trino_files(&mut self, folder: &Path, references: &References) -> Result<()> {
        let ignored = ignored_keys();
        let tables: [&[ConfigKey]; 3] = [keys::SERVER, keys::TRINO_HONOURED, &ignored];
        for name in ["config.properties", "node.properties"] {
            let values = read_properties(&folder.join(name), references)?;
            refuse_other_logins(&values)?;
            self.add(values, &tables)?;
        }
        let authenticator = self.password_authenticator(folder, references);
        self.add(read_properties(&authenticator, references)?, &[keys::PASSWORD_AUTHENTICATOR])?;
        self.access_rules = self.find_access_rules(folder, references)?;
        self.log_level = log_level(&read_properties(&folder.join("log.properties"), references)?);
        self.warnings.extend(etc_dir::unread(folder));
        Ok(())
    }

    fn add(&mut self, values: ConfigValues, tables: &[&[ConfigKey]]) -> Result<()> {
        self.warnings.extend(values.check(tables)?);
        self.values.merge(values);
        Ok(())
    }

    fn password_authenticator(&self, folder: &Path, references: &References) -> PathBuf {
        match self.values.text(&keys::PASSWORD_AUTHENTICATOR_FILES).and_then(|files| files.split(',').next()) {
            Some(first) => references.path(Path::new(first.trim())),
            None => folder.join("password-authenticator.properties"),
        }
    }

    /// The file that holds rules which meesh would not apply.
    fn find_access_rules(&self, folder: &Path, references: &References) -> Result<Option<String>> {
        if let Some(files) = self.values.text(&keys::ACCESS_CONTROL_FILES) {
            return Ok(Some(files.to_owned()));
        }
        let file = folder.join("access-control.properties");
        let values = read_properties(&file, references)?;
        let is_open = values.raw("access-control.name").is_some_and(|name| OPEN_ACCESS.contains(&name.trim()));
        Ok((values.names().next().is_some() && !is_open).then(|| file.display().to_string()))
    }
}

/// Trino's keys without meaning here, as keys that warn.
pub(super) fn ignored_keys() -> Vec<ConfigKey> {
    TRINO_IGNORED.iter().map(|(name, instead)| ConfigKey::ignored(name, instead)).collect()
}

/// The values of a `.properties` file; none if there is no such file.
fn read_properties(file: &Path, references: &References) -> Result<ConfigValues> {
    let Some(text) = read_if_there(file)? else { return Ok(ConfigValues::new("server")) };
    let lines = properties::parse(&text, &file.display().to_string())?;
    values_of(lines.into_iter().map(|p| (p.line, p.name, p.value)), file, references)
}

/// Lines of a file as values with their place, references resolved.
fn values_of(
    lines: impl Iterator<Item = (usize, String, String)>,
    file: &Path,
    references: &References,
) -> Result<ConfigValues> {
    let mut values = ConfigValues::new("server");
    for (line, name, value) in lines {
        let place = format!("{}:{line}", file.display());
        values.set(name, references.expand(&value, &place)?, place);
    }
    Ok(values)
}

/// The settings among the variables: `MEESH_FLIGHT__LISTEN` is `flight.listen`.
///
/// Kubernetes sets `MEESH_PORT` and the like in every pod beside a service named `meesh`, so an
/// unknown name is an error only if it has the `__` that no such variable has.
fn of_variables(references: &References) -> Result<ConfigValues> {
    let mut values = ConfigValues::new("environment");
    for (variable, text) in references.variables() {
        let Some(rest) = variable.strip_prefix("MEESH_").filter(|_| !OTHER_VARIABLES.contains(&variable.as_str()))
        else {
            continue;
        };
        let name = rest.to_ascii_lowercase().replace("__", ".");
        if keys::SERVER.iter().any(|key| key.name == name) {
            values.set(name, text.as_str(), format!("environment variable {variable}"));
        } else if rest.contains("__") {
            let known: Vec<String> = keys::SERVER.iter().map(|key| variable_name(key.name)).collect();
            let hint = match nearest(variable, known.iter().map(String::as_str)).first() {
                Some(near) => format!("did you mean {near:?}?"),
                None => "unset it".to_owned(),
            };
            return Err(
                Error::invalid_query(format!("environment variable {variable:?} is no setting")).with_hint(hint)
            );
        }
    }
    Ok(values)
}

/// The variable that sets a key.
pub(super) fn variable_name(key: &str) -> String {
    format!("MEESH_{}", key.replace('.', "__").to_ascii_uppercase())
}

/// Starting without the login that the file asks for would serve strangers.
fn refuse_other_logins(values: &ConfigValues) -> Result<()> {
    let Some(types) = values.text(&keys::AUTHENTICATION_TYPE) else { return Ok(()) };
    let other = types.split(',').map(str::trim).find(|name| {
        !name.is_empty() && !name.eq_ignore_ascii_case("password") && !name.eq_ignore_ascii_case("insecure")
    });
    match other {
        None => Ok(()),
        Some(name) => Err(Error::unsupported(format!(
            "authentication type {name:?} at {} is not supported yet",
            values.origin(&keys::AUTHENTICATION_TYPE).unwrap_or_default()
        ))
        .with_hint("use PASSWORD with users.file")),
    }
}

/// The level of Trino's own loggers, as `io.trino=DEBUG` sets it.
fn log_level(values: &ConfigValues) -> Option<String> {
    ["io.trino", "io", ""].iter().find_map(|logger| values.raw(logger)).map(|level| level.trim().to_ascii_lowercase())
}

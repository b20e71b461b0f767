//! The reference page of all configuration keys, `docs/configuration.md`.

use std::fmt::Write as _;

use meesh_base::{ConfigKey, Effect, ValueKind};

use super::catalog_spec::keys_of;
use super::server::variable_name;
use super::trino_keys::TRINO_IGNORED;
use super::{Factories, etc_dir, keys};

const HEAD: &str = "\
# Configuration

<!-- made by `meesh config reference`; change the tables of keys in the code instead -->

meesh reads one folder, `--etc DIR`; without the flag the first of `./etc`, `/etc/meesh` and `/etc/trino` that holds
`meesh.yaml`, `config.properties` or `catalog/`. It is laid out as Trino's, and Trino's files are read unchanged:

| file | what is read |
|---|---|
| `catalog/NAME.properties` | one catalog: `connector.name` and the keys of that connector |
| `meesh.yaml` | the server's keys, nested or dotted, and catalogs under `catalogs:` |
| `config.properties`, `node.properties` | Trino's keys with a meaning here; any other key of Trino's leaves a warning |
| `password-authenticator.properties` | `file.password-file`: users and their bcrypt hashes |
| `log.properties` | the level of `io.trino` |

Flags beat the environment, which beats `meesh.yaml`, which beats Trino's files. An unknown key, or a value of the wrong
type, is an error with file and line. `meesh config show` prints what holds and where it was said. Passwords and other
secrets never appear in output.

In every file `${ENV:NAME}` is the value of a variable and `${FILE:path}` the content of a file; relative paths start at
the configuration folder. Durations are written `30s`, `5m`, `2h`; sizes `512MB`, `2GB` (1024s).

Catalogs are read again when a file of theirs changes (also `meesh.yaml`, and files that `${FILE:…}` names), within two
seconds, and on SIGHUP. A file with a mistake leaves its catalog as it was; the log and `/readyz?verbose` say so. The
other settings hold until the next start.
";

const YAML_EXAMPLE: &str = "\
```yaml
flight:
  listen: 0.0.0.0:32010
  tls: {certificate: server.pem, key: server.key}
users.file: password.db
memory.limit: 2GB
catalogs:
  lake: s3://my-bucket
  sales:
    connector.name: postgresql
    connection-url: jdbc:postgresql://db.example:5432/sales
    connection-user: meesh
    connection-password: ${ENV:SALES_PASSWORD}
```
";

/// The page, generated from the tables of keys.
pub(crate) fn reference_page(factories: &Factories) -> String {
    let mut page = String::from(HEAD);
    section(&mut page, "Server", "Keys of `meesh.yaml`. A variable sets each of them as well.");
    page.push_str(YAML_EXAMPLE);
    page.push('\n');
    server_table(&mut page);
    section(&mut page, "Other keys of Trino's server", "Read from `config.properties` and `node.properties`.");
    table(&mut page, keys::TRINO_HONOURED.iter());
    section(&mut page, "password-authenticator.properties", "");
    table(&mut page, keys::PASSWORD_AUTHENTICATOR.iter());
    for factory in factories {
        connector(&mut page, factory.names(), keys_of(factory.as_ref()));
    }
    ignored(&mut page);
    page
}

fn section(page: &mut String, title: &str, text: &str) {
    let _ = write!(page, "\n## {title}\n\n");
    if !text.is_empty() {
        let _ = write!(page, "{text}\n\n");
    }
}

fn server_table(page: &mut String) {
    page.push_str("| key | variable | type | default | what it does |\n|---|---|---|---|---|\n");
    for key in keys::SERVER {
        let _ = writeln!(
            page,
            "| {} | `{}` | {} | {} | {} |",
            names(key),
            variable_name(key.name),
            kind(key.kind),
            default(key),
            cell(key.doc)
        );
    }
}

fn connector(page: &mut String, names: &[&str], keys: impl Iterator<Item = &'static ConfigKey>) {
    let all: Vec<&ConfigKey> = keys.collect();
    let spellings: Vec<String> = names.iter().map(|name| format!("`connector.name={name}`")).collect();
    section(page, &format!("Connector {}", names.first().unwrap_or(&"")), &spellings.join(" or "));
    table(page, all.iter().copied().filter(|key| key.effect == Effect::Honoured));
    let ignored: Vec<&ConfigKey> = all.into_iter().filter(|key| key.effect != Effect::Honoured).collect();
    if !ignored.is_empty() {
        page.push_str("\nAccepted with a warning:\n\n| key of Trino's | what happens instead |\n|---|---|\n");
        for key in ignored {
            if let Effect::Ignored(instead) = key.effect {
                let _ = writeln!(page, "| {} | {} |", names_of(key), cell(instead));
            }
        }
    }
}

fn table<'a>(page: &mut String, keys: impl Iterator<Item = &'a ConfigKey>) {
    page.push_str("| key | type | default | what it does |\n|---|---|---|---|\n");
    for key in keys {
        let what = match key.effect {
            Effect::Honoured => cell(key.doc),
            Effect::Ignored(instead) => format!("accepted with a warning: {}", cell(instead)),
        };
        let _ = writeln!(page, "| {} | {} | {} | {what} |", names(key), kind(key.kind), default(key));
    }
}

/// Trino's keys without meaning here, grouped by what happens instead.
fn ignored(page: &mut String) {
    section(
        page,
        "Keys of Trino's server without meaning here",
        "Accepted in `config.properties` and `node.properties`, with a warning that says what happens instead.",
    );
    let mut reasons: Vec<&str> = Vec::new();
    for (_, instead) in TRINO_IGNORED {
        if !reasons.contains(instead) {
            reasons.push(instead);
        }
    }
    for reason in reasons {
        let names: Vec<String> = TRINO_IGNORED
            .iter()
            .filter(|(_, instead)| *instead == reason)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let _ = writeln!(page, "- *{reason}*: {}", names.join(", "));
    }
    section(page, "Files of Trino's that are not read", "");
    for (name, instead) in etc_dir::UNREAD {
        let _ = writeln!(page, "- `{name}`: {instead}");
    }
}

fn names(key: &ConfigKey) -> String {
    let secret = if key.secret { " (secret)" } else { "" };
    format!("{}{secret}", names_of(key))
}

fn names_of(key: &ConfigKey) -> String {
    let mut text = format!("`{}`", key.name);
    if !key.aliases.is_empty() {
        let aliases: Vec<String> = key.aliases.iter().map(|alias| format!("`{alias}`")).collect();
        let _ = write!(text, ", also {}", aliases.join(", "));
    }
    text
}

fn kind(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => "text".to_owned(),
        ValueKind::File => "file".to_owned(),
        ValueKind::Bool => "true, false".to_owned(),
        ValueKind::Integer => "number".to_owned(),
        ValueKind::Duration => "duration".to_owned(),
        ValueKind::Bytes => "size".to_owned(),
        ValueKind::OneOf(words) => words.join(", "),
    }
}

fn default(key: &ConfigKey) -> String {
    key.default.filter(|text| !text.is_empty()).map(|text| format!("`{}`", cell(text))).unwrap_or_default()
}

/// Text that does not end a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_on_the_page() {
        let page = reference_page(&Factories::new());
        for key in keys::SERVER.iter().chain(keys::TRINO_HONOURED) {
            assert!(page.contains(&format!("`{}`", key.name)), "{}", key.name);
        }
        for (name, _) in TRINO_IGNORED {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        assert!(page.contains("`MEESH_FLIGHT__TLS__CERTIFICATE`"));
    }
}

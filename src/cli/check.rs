//! `meesh check`: every source, step by step, with the remedy of what fails.
//!
//! ```text
//! sales (postgresql, etc/catalog/sales.properties)
//!   ok      DNS db.example               10.0.0.7
//!   ok      TCP db.example:5432          0.4 ms
//!   FAILED  login                        password authentication failed for user "meesh"
//!                                        hint: check connection-user and connection-password
//! ```

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use futures::future::join_all;
use meesh_base::{Error, Result};
use meesh_connector_spi::CheckStep;

use super::Exit;
use crate::config::{self, CatalogSpec, ConfigFlags, Factories};
use crate::logging;

/// A source that hangs in the middle of a step must not hang the command.
const CHECK_TIMEOUT: Duration = Duration::from_secs(60);

/// What came of one catalog.
struct Checked {
    name: String,
    about: String,
    steps: Vec<CheckStep>,
    warnings: Vec<String>,
    is_configured: bool,
}

/// Checks every catalog at once and prints the steps.
///
/// # Errors
/// Those of a configuration that cannot be read. What is wrong with single catalogs is printed; the
/// exit code is 2 for a wrong file and 3 for a source that failed.
pub(super) async fn run(flags: &ConfigFlags) -> anyhow::Result<ExitCode> {
    logging::start("error", None)?;
    let config = config::load(flags)?;
    for warning in &config.warnings {
        println!("warning: {warning}");
    }
    config.settings.check_exposure()?;
    let factories = meesh_connector_registry::factories();
    let catalogs = config.catalogs.read()?;
    if catalogs.is_empty() {
        println!("no catalogs are configured (--catalog NAME=URL, or NAME.properties in the folder catalog/)");
    }
    let all = join_all(catalogs.into_iter().map(|(name, spec)| check(name, spec, &factories))).await;
    let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    for checked in &all {
        print!("{}", text(checked, is_coloured));
    }
    let failed = all.iter().filter(|checked| checked.steps.iter().any(|step| step.outcome.is_err())).count();
    println!("{} of {} catalogs are fine", all.len() - failed, all.len());
    let exit = match (all.iter().all(|checked| checked.is_configured), failed) {
        (false, _) => Exit::Usage,
        (true, 0) => Exit::Done,
        (true, _) => Exit::Unavailable,
    };
    Ok(exit.into())
}

async fn check(name: String, spec: Result<CatalogSpec>, factories: &Factories) -> Checked {
    let about = spec.as_ref().map_or_else(|_| String::new(), |spec| format!("{}, {}", spec.connector(), spec.origin));
    let wrong = |name: String, about: String, error: Error| Checked {
        name,
        about,
        steps: vec![CheckStep { what: "configuration".to_owned(), outcome: Err(error) }],
        warnings: Vec::new(),
        is_configured: false,
    };
    let (connector, warnings) = match spec.and_then(|spec| spec.open(&name, factories)) {
        Ok(opened) => opened,
        Err(error) => return wrong(name, about, error),
    };
    let steps = tokio::time::timeout(CHECK_TIMEOUT, connector.check()).await.unwrap_or_else(|_| {
        let error = Error::source_unavailable(format!("no answer within {} s", CHECK_TIMEOUT.as_secs()));
        vec![CheckStep { what: "all steps".to_owned(), outcome: Err(error) }]
    });
    Checked { name, about, steps, warnings, is_configured: true }
}

fn text(checked: &Checked, is_coloured: bool) -> String {
    let paint =
        |text: &str, colour: u8| if is_coloured { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = format!("{} ({})\n", checked.name, checked.about);
    let width = checked.steps.iter().map(|step| step.what.chars().count()).max().unwrap_or(0);
    for step in &checked.steps {
        let what = format!("{:<width$}", step.what);
        match &step.outcome {
            Ok(result) => out.push_str(&format!("  {}      {what}  {result}\n", paint("ok", 32))),
            Err(error) => {
                let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
                out.push_str(&format!("  {}  {what}  {}{detail}\n", paint("FAILED", 31), error.message()));
                if let Some(hint) = error.hint() {
                    out.push_str(&format!("  {:<width$}          hint: {hint}\n", ""));
                }
            }
        }
    }
    for warning in &checked.warnings {
        out.push_str(&format!("  warning: {warning}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_stands_below_the_failure() {
        let steps = vec![
            CheckStep { what: "TCP db:5432".into(), outcome: Ok("1 ms".into()) },
            CheckStep { what: "login".into(), outcome: Err(Error::denied("wrong password").with_hint("change it")) },
        ];
        let checked = Checked {
            name: "sales".into(),
            about: "postgresql, a".into(),
            steps,
            warnings: vec!["w".into()],
            is_configured: true,
        };
        let expected = "\
sales (postgresql, a)
  ok      TCP db:5432  1 ms
  FAILED  login        wrong password
                       hint: change it
  warning: w
";
        assert_eq!(text(&checked, false), expected);
    }
}

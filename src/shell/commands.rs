//! What a person types beside SQL: commands that start with a backslash, named as psql's.

use super::{Outcome, Shell};

/// One row a command: its name, its argument, what it does.
const COMMANDS: &[(&str, &str, &str)] = &[
    ("\\d", "[NAME]", "what there is: catalogs, or what a catalog, schema or table holds"),
    ("\\l", "", "catalogs"),
    ("\\dn", "[CATALOG]", "schemas"),
    ("\\dt", "[SCHEMA]", "tables"),
    ("\\i", "FILE", "run the statements of a file"),
    ("\\timing", "", "show the time of statements, or not"),
    ("\\?", "", "this list"),
    ("\\q", "", "leave (also Ctrl-D)"),
];

/// Whether the line is a command rather than SQL.
pub(super) fn is_command(line: &str) -> bool {
    line.trim_start().starts_with('\\')
}

impl Shell {
    /// Runs a command line.
    pub(super) async fn command(&mut self, line: &str) -> Outcome {
        let line = line.trim().trim_end_matches(';');
        let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        match name {
            "\\q" => Outcome::Quit,
            "\\?" | "\\h" => {
                help();
                Outcome::Done
            }
            "\\timing" => {
                self.shows_time = !self.shows_time;
                println!("timing is {}", if self.shows_time { "on" } else { "off" });
                Outcome::Done
            }
            "\\l" => self.run("SHOW CATALOGS").await,
            "\\dn" => self.run(&with_argument("SHOW SCHEMAS", argument)).await,
            "\\dt" => self.run(&with_argument("SHOW TABLES", argument)).await,
            "\\d" if argument.is_empty() => self.run("SHOW CATALOGS").await,
            "\\d" => self.describe(argument).await,
            "\\i" => match std::fs::read_to_string(argument) {
                Ok(script) => self.run_script(&script).await,
                Err(error) => {
                    eprintln!("error: cannot read file {argument:?}: {error}");
                    Outcome::Done
                }
            },
            _ => {
                eprintln!("error: unknown command {name:?} (\\? lists them)");
                Outcome::Done
            }
        }
    }

    /// A name may be a table's, a schema's or a catalog's: the first that there is.
    async fn describe(&mut self, name: &str) -> Outcome {
        let mut first = None;
        for statement in ["DESCRIBE", "SHOW TABLES FROM", "SHOW SCHEMAS FROM"] {
            let sql = format!("{statement} {name}");
            match self.target.query(&sql).await {
                Ok(answer) => {
                    drop(answer);
                    return self.run(&sql).await;
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        if let Some(error) = first {
            eprint!("{}", super::report(&error, &format!("DESCRIBE {name}")));
        }
        Outcome::Done
    }
}

fn with_argument(statement: &str, argument: &str) -> String {
    if argument.is_empty() { statement.to_owned() } else { format!("{statement} FROM {argument}") }
}

fn help() {
    println!("a statement ends with ; and may span lines; Ctrl-C cancels it while it runs");
    for (name, argument, doc) in COMMANDS {
        println!("  {:<18} {doc}", format!("{name} {argument}"));
    }
}

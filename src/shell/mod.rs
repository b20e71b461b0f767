//! `meesh sql`: runs statements from the command line, a file, a pipe or a person, in an engine of
//! this process or in a server, and writes what they return.

mod cells;
mod commands;
mod output;
mod progress;
mod remote;
pub(crate) mod render;
mod repl;
mod report;
mod split;
mod target;

use std::io::{IsTerminal, Write};

use futures::StreamExt;
use meesh_engine::{Error, ErrorKind, StatementKind};

pub(crate) use output::Format;
pub(crate) use remote::{Remote, RemoteLogin, is_server_url, read_pem};
pub(crate) use repl::read_password;
pub(crate) use target::Target;

use output::{ResultWriter, WriteError};
use progress::ProgressLine;
use render::TableStyle;
use report::report;
use target::Answer;

/// Rows of a table that a person looks at.
const TERMINAL_ROWS: usize = 40;

/// Rows of a table in a file: all of them are held until their widths are known.
const FILE_ROWS: usize = 10_000;

/// How the running of statements ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of them did what they say.
    Done,
    /// One failed; the rest was not run.
    Failed(ErrorKind),
    /// The person pressed Ctrl-C.
    Interrupted,
    /// Nobody reads the output any more.
    Closed,
    /// The person wants to leave.
    Quit,
}

/// Runs statements and shows what they return.
pub(crate) struct Shell {
    target: Target,
    format: Format,
    style: TableStyle,
    shows_time: bool,
}

enum Stop {
    Failed(Box<Error>),
    Unwritten(WriteError),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<WriteError> for Stop {
    fn from(error: WriteError) -> Self {
        Self::Unwritten(error)
    }
}

impl Shell {
    /// A shell on `target`; without a format it is a table on a terminal and CSV otherwise.
    pub(crate) fn new(target: Target, format: Option<Format>, rows_max: Option<usize>) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let format = format.unwrap_or(if is_terminal { Format::Table } else { Format::Csv });
        let shows_time = format == Format::Table || std::io::stderr().is_terminal();
        let rows_max = rows_max.unwrap_or(if is_terminal { TERMINAL_ROWS } else { FILE_ROWS });
        Self { target, format, style: TableStyle::of_stdout(rows_max), shows_time }
    }

    /// Runs the statements of a script in order, up to the first that fails.
    ///
    /// Ctrl-C cancels the statement that runs, down to its sources, and ends the script.
    pub(crate) async fn run_script(&mut self, script: &str) -> Outcome {
        for piece in split::statements(script) {
            match self.run(piece.text).await {
                Outcome::Done => {}
                Outcome::Failed(kind) => {
                    if piece.line > 1 {
                        eprintln!("  (the statement that starts at line {} of the script)", piece.line);
                    }
                    return Outcome::Failed(kind);
                }
                other => return other,
            }
        }
        Outcome::Done
    }

    /// Runs one statement and shows what it returns, or why it failed.
    pub(crate) async fn run(&mut self, sql: &str) -> Outcome {
        let mut progress = ProgressLine::new();
        let outcome = tokio::select! {
            biased;
            interrupted = tokio::signal::ctrl_c() => {
                // Without a handler the signal has ended the process already.
                drop(interrupted);
                None
            }
            done = self.execute(sql, &mut progress) => Some(done),
        };
        progress.erase();
        match outcome {
            None => {
                eprintln!("cancelled");
                Outcome::Interrupted
            }
            Some(Ok(())) => Outcome::Done,
            Some(Err(Stop::Unwritten(WriteError::Closed))) => Outcome::Closed,
            Some(Err(Stop::Unwritten(WriteError::Failed(text)))) => {
                eprintln!("error: {text}");
                Outcome::Failed(ErrorKind::Internal)
            }
            Some(Err(Stop::Failed(error))) => {
                eprint!("{}", report(&error, sql));
                Outcome::Failed(error.kind())
            }
        }
    }

    async fn execute(&mut self, sql: &str, progress: &mut ProgressLine) -> Result<(), Stop> {
        let answer = progress.during(self.target.query(sql)).await?;
        let Answer { id, kind, schema, mut rows, look } = answer;
        progress.look_at(look);
        if kind == StatementKind::Update {
            while let Some(batch) = progress.during(rows.next()).await {
                batch?;
            }
            self.say("ok", progress, id);
            return Ok(());
        }
        let stdout = std::io::BufWriter::new(std::io::stdout());
        let mut writer = ResultWriter::begin(self.format, self.style, schema, stdout)?;
        let mut count = 0;
        while let Some(batch) = progress.during(rows.next()).await {
            let batch = batch?;
            count += batch.num_rows();
            writer.batch(&batch)?;
            progress.add(batch.num_rows(), writer.shows_rows() && std::io::stdout().is_terminal());
        }
        progress.erase();
        let left_out = writer.finish()?;
        let what = match (count, left_out) {
            (1, _) => "1 row".to_owned(),
            (count, 0) => format!("{count} rows"),
            (count, left_out) => format!("{count} rows, {left_out} of them not shown (--max-rows, --output csv)"),
        };
        self.say(&what, progress, id);
        Ok(())
    }

    /// The last line of a statement: what came of it, how long it took, its id.
    fn say(&self, what: &str, progress: &mut ProgressLine, id: Option<String>) {
        let elapsed = meesh_base::format_duration(progress.elapsed());
        progress.erase();
        if self.shows_time {
            let _ = std::io::stdout().flush();
            let id = id.map(|id| format!(" · {id}")).unwrap_or_default();
            eprintln!("{what} · {elapsed}{id}");
        }
    }

    /// Runs a statement without a word of success, as for the place that `--use` asks for.
    pub(crate) async fn run_quietly(&mut self, sql: &str) -> Outcome {
        let shows_time = std::mem::replace(&mut self.shows_time, false);
        let outcome = self.run(sql).await;
        self.shows_time = shows_time;
        outcome
    }
}

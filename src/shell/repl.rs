//! The shell for a person: lines with history, statements that end with a semicolon.

use std::borrow::Cow;
use std::path::PathBuf;

use anyhow::Context;
use reedline::{
    FileBackedHistory, Highlighter, Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    Signal, StyledText, ValidationResult, Validator,
};

use super::{Outcome, Shell, commands, split};

const HISTORY_LINES: usize = 10_000;

impl Shell {
    /// Reads and runs statements until the person leaves.
    ///
    /// A statement that fails or is cancelled by Ctrl-C does not end the shell. Reading blocks this
    /// thread, which must be none of the runtime's workers.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub(crate) async fn interact(&mut self) -> anyhow::Result<Outcome> {
        let mut editor = Reedline::create().with_validator(Box::new(UntilSemicolon));
        if let Some(history) = history() {
            editor = editor.with_history(Box::new(history));
        }
        loop {
            let prompt = Place(self.target.place());
            match editor.read_line(&prompt).context("cannot read from the terminal")? {
                Signal::Success(text) => {
                    if matches!(self.act(&text).await, Outcome::Quit | Outcome::Closed) {
                        return Ok(Outcome::Done);
                    }
                }
                Signal::CtrlD => return Ok(Outcome::Done),
                _ => {}
            }
        }
    }

    async fn act(&mut self, text: &str) -> Outcome {
        if commands::is_command(text) {
            return self.command(text).await;
        }
        match text.trim().trim_end_matches(';').trim().to_ascii_lowercase().as_str() {
            "quit" | "exit" => Outcome::Quit,
            "help" => self.command("\\?").await,
            _ => self.run_script(text).await,
        }
    }
}

/// Where earlier statements are kept, readable by their author only; `None` keeps them in memory.
fn history() -> Option<FileBackedHistory> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")))?;
    let folder = state.join("meesh");
    std::fs::create_dir_all(&folder).ok()?;
    let file = folder.join("history");
    restricted(&file).ok()?;
    FileBackedHistory::with_file(HISTORY_LINES, file).ok()
}

fn restricted(file: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file).map(drop)
}

struct UntilSemicolon;

impl Validator for UntilSemicolon {
    fn validate(&self, line: &str) -> ValidationResult {
        let is_word = matches!(line.trim().to_ascii_lowercase().as_str(), "quit" | "exit" | "help");
        if is_word || commands::is_command(line) || split::is_complete(line) {
            ValidationResult::Complete
        } else {
            ValidationResult::Incomplete
        }
    }
}

/// `sales.public> `
struct Place(String);

impl Prompt for Place {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("> ")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{:>width$}> ", "", width = self.0.chars().count()))
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "failing ",
        };
        Cow::Owned(format!("({failing}search: {}) ", search.term))
    }
}

/// Asks for a password without showing it.
///
/// # Errors
/// When the terminal cannot be read, or the person pressed Ctrl-C.
pub(crate) fn read_password(prompt: &str) -> anyhow::Result<String> {
    let mut editor = Reedline::create().with_highlighter(Box::new(Stars)).disable_hints();
    match editor.read_line(&Place(prompt.to_owned())).context("cannot read the password from the terminal")? {
        Signal::Success(password) => Ok(password),
        _ => anyhow::bail!("no password was given"),
    }
}

struct Stars;

impl Highlighter for Stars {
    fn highlight(&self, line: &str, _cursor: usize) -> StyledText {
        let mut text = StyledText::new();
        text.push((Default::default(), "*".repeat(line.len())));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_complete(line: &str) -> bool {
        matches!(UntilSemicolon.validate(line), ValidationResult::Complete)
    }

    #[test]
    fn statements_end_with_a_semicolon_and_commands_with_their_line() {
        assert!(is_complete("select 1;") && is_complete("\\d sales") && is_complete("quit") && is_complete(""));
        assert!(!is_complete("select 1") && !is_complete("select ';"));
    }
}

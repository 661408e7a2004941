//! Where output goes. The only place that writes to standard output and standard error.

use crate::text;
use std::borrow::Cow;
use std::io::{IsTerminal as _, Write as _};

/// Standard output and error as this command uses them.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Whether results are printed as JSON.
    pub json: bool,
    /// Whether standard error is a terminal that shows moving lines.
    pub live: bool,
    /// Whether colours are wanted.
    pub colour: bool,
    /// Whether each line says that nothing of it is real.
    pub simulated: bool,
}

impl Console {
    /// As the environment has it: `NO_COLOR` and `TERM=dumb` are honoured.
    pub fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            json,
            live: terminal && !dumb && !json,
            colour: terminal && !dumb && !no_colour,
            simulated: false,
        }
    }

    /// The same for what is not real: each line says so, and none moves.
    #[must_use]
    pub fn of_simulation(self) -> Self {
        Self {
            live: false,
            simulated: true,
            ..self
        }
    }

    fn marked(self, text: &str) -> Cow<'_, str> {
        match (self.simulated, self.json) {
            (false, _) => Cow::Borrowed(text),
            (true, true) if text.starts_with('{') => Cow::Owned(text::simulated_json(text)),
            (true, _) => Cow::Owned(text::simulated(text)),
        }
    }

    /// A result. A reader that has gone away is no fault of ours.
    pub fn out(self, text: &str) {
        let mut out = std::io::stdout().lock();
        let text = self.marked(text);
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// A result as JSON, with an end of line.
    pub fn out_json(self, value: &impl serde::Serialize) {
        // Values of ours have string keys only, so that writing them cannot fail.
        if let Ok(mut text) = serde_json::to_string_pretty(value) {
            text.push('\n');
            self.out(&text::json(&text));
        }
    }

    /// Standard output for bytes as they are. A terminal gets none of them: they may hold anything.
    ///
    /// # Errors
    /// When it is a terminal.
    pub fn raw(self) -> Result<impl std::io::Write, &'static str> {
        let out = std::io::stdout();
        if out.is_terminal() {
            return Err("the bytes of a file are not written to a terminal");
        }
        Ok(out.lock())
    }

    /// A line of a long result; whether anybody still reads.
    pub fn line(self, text: &str) -> bool {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", self.marked(text).trim_end()).is_ok()
    }

    /// A remark beside the results.
    pub fn note(self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = writeln!(err, "{}", self.marked(text).trim_end());
    }

    /// Whether a person can be asked.
    pub fn can_ask(self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks a question that is answered with `yes`.
    pub fn confirm(self, question: &str) -> std::io::Result<bool> {
        let mut err = std::io::stderr().lock();
        write!(err, "{question} Type `yes` to go on: ")?;
        err.flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(answer.trim() == "yes")
    }
}

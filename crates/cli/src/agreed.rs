//! What a person agrees to before something is done that does not come back.

use crate::console::Console;
use crate::failure::Failure;

/// A question before such a thing.
pub struct Agreed<'a> {
    /// What nobody can be asked: "whether to free the host".
    pub whether: &'a str,
    /// What to do where nobody can be asked.
    pub hint: &'a str,
    /// The question, and what follows from it.
    pub question: &'a str,
    /// What is said when the answer is no.
    pub otherwise: &'a str,
}

impl Agreed<'_> {
    /// Goes on when `--yes` was given, or a person says so now.
    ///
    /// # Errors
    /// When nobody can be asked, or the answer is another one.
    pub fn or_asked(self, yes: bool, console: Console) -> Result<(), Failure> {
        if yes {
            return Ok(());
        }
        if !console.can_ask() {
            let failure = Failure::input(format!("nobody can be asked {}", self.whether));
            return Err(failure.hint(self.hint));
        }
        match console.confirm(self.question).map_err(Failure::internal)? {
            true => Ok(()),
            false => Err(Failure::input(self.otherwise)),
        }
    }
}

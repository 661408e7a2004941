//! The person: reads what the program says, and gives the commands that it names, nothing else.

/// The commands that a text names, each as words behind `overhaul`, in order, each once.
pub fn named(text: &str) -> Vec<Vec<String>> {
    let mut out: Vec<Vec<String>> = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("overhaul ") {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            let rest = line.get(at + "overhaul ".len()..).unwrap_or_default();
            // In a sentence a command ends with its quotes, in a list with the remark behind it.
            let rest = match before {
                Some('`') => rest.split('`').next().unwrap_or_default(),
                None | Some(' ') => rest.split("  #").next().unwrap_or_default(),
                Some(_) => continue,
            };
            let words = words(rest);
            if !words.is_empty() && !out.contains(&words) {
                out.push(words);
            }
        }
    }
    out
}

/// Words as a shell has them, single quotes included.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for char in text.chars() {
        match char {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => out.extend(word.take()),
            char => word.get_or_insert_default().push(char),
        }
    }
    out.extend(word);
    out
}

/// What the person does after a controller has ended: the decisions first, then the command that takes the run up again.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Commands that end at once.
    pub decisions: Vec<Vec<String>>,
    /// The command with which the run goes on.
    pub go_on: Vec<String>,
}

/// The reason that a person gives.
const REASON: &str = "the host was looked at: the step may begin again";

/// Chosen from the commands that were named: a step that failed or is unknown is begun again, a question is answered with yes. None when nothing
/// was named that takes the run up.
pub fn answer(text: &str) -> Option<Answer> {
    let named = named(text);
    let is = |words: &[String], verb: &str| words.first().is_some_and(|word| word == verb);
    let mut decisions: Vec<Vec<String>> = Vec::new();
    for verb in ["retry", "approve"] {
        for words in named.iter().filter(|words| is(words, verb)) {
            let position = words.get(1);
            if decisions.iter().any(|decided| decided.get(1) == position) {
                continue;
            }
            let filled = words.iter().map(|word| match word.as_str() {
                "TEXT" => REASON.to_owned(),
                word => word.to_owned(),
            });
            decisions.push(filled.collect());
        }
    }
    let go_on = named.iter().rfind(|words| is(words, "resume"))?.clone();
    Some(Answer { decisions, go_on })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDS: &str = "run r1: debian-major on fleet six
  it stands until a person decides; no process of this machine has it: `overhaul resume r1` takes it up

decisions are needed:

full upgrade  [upgrade/a/web/change/full-upgrade@web1]
  failed: exit code 100
    overhaul retry upgrade/a/web/change/full-upgrade@web1 --reason 'TEXT' --run r1  # begin the step again
    overhaul skip upgrade/a/web/change/full-upgrade@web1 --reason 'TEXT' --run r1   # leave it out

after a decision: overhaul resume r1
";

    #[test]
    fn a_failed_step_is_begun_again_with_the_command_that_was_named() {
        let answer = answer(STANDS).unwrap();
        assert_eq!(answer.go_on, ["resume", "r1"]);
        assert_eq!(
            answer.decisions,
            [[
                "retry",
                "upgrade/a/web/change/full-upgrade@web1",
                "--reason",
                REASON,
                "--run",
                "r1"
            ]]
        );
    }

    #[test]
    fn a_run_without_a_controller_is_taken_up() {
        let said = "  steps are under way; no process of this machine has it: `overhaul resume r1` takes it up\n";
        let expected = Answer {
            decisions: Vec::new(),
            go_on: vec!["resume".into(), "r1".into()],
        };
        assert_eq!(answer(said), Some(expected));
    }

    #[test]
    fn without_a_command_nobody_knows_what_to_do() {
        assert_eq!(answer("error: db1 could not be worked with"), None);
        assert_eq!(answer("the overhauls resume"), None);
        assert_eq!(words("a 'b c'  d''"), ["a", "b c", "d"]);
    }
}

//! What lies on the machine's disk, as `lab/power-loss/look` tells it: the truth that journal and receipts are held against.

use std::collections::BTreeMap;

use serde_json::Value;

/// What lies there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The boot under which it was looked at.
    pub boot: String,
    /// Lines of effects, in order.
    pub effects: Vec<Effect>,
    /// Files that steps have written, by name.
    pub contents: BTreeMap<String, String>,
    /// Receipts by the attempt's key.
    pub receipts: BTreeMap<String, Receipt>,
}

/// A line of an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Whether it says that the work is done; else that it has begun.
    pub done: bool,
    /// The step.
    pub step: String,
    /// The boot under which it was written.
    pub boot: String,
}

/// A receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The step's name, from its beginning.
    pub step: String,
    /// Whether it has a beginning.
    pub begun: bool,
    /// Whether it has an end.
    pub ended: bool,
    /// Whether that says that all which the work has written is on the disk.
    pub synced: bool,
}

impl Truth {
    /// Reads what was told.
    ///
    /// # Errors
    /// The line that nobody has written so: then the disk holds something else than what was put there.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut out = Self::default();
        for line in text.lines() {
            out.line(line)
                .ok_or_else(|| format!("on the disk lies what nobody has written so: {line:?}"))?;
        }
        Ok(out)
    }

    /// The name of a step in a position, like `once-01` in `upgrade/plain/change/once-01@guest1`.
    pub fn step_of(position: &str) -> &str {
        let step = position.rsplit_once('@').map_or(position, |(step, _)| step);
        step.rsplit_once('/').map_or(step, |(_, name)| name)
    }

    /// How often a step's work has begun, and come to its end.
    pub fn count(&self, step: &str) -> (usize, usize) {
        let of_step = |done: bool| {
            let of_step = |line: &&Effect| line.step == step && line.done == done;
            self.effects.iter().filter(of_step).count()
        };
        (of_step(false), of_step(true))
    }

    /// Of these steps, those that left a file which they did not sync, and whose file is not whole.
    pub fn loose<'s>(&self, steps: impl Iterator<Item = &'s String>) -> Vec<&'s str> {
        let gone = |step: &&String| {
            let content = self.contents.get(&format!("loose-{step}"));
            self.count(step).1 > 0 && content != Some(&format!("{step}/"))
        };
        steps.filter(gone).map(String::as_str).collect()
    }

    fn line(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "boot" => rest.clone_into(&mut self.boot),
            "effect" => {
                let [said, step, boot] = words(rest)?;
                let done = match said {
                    "begun" => false,
                    "done" => true,
                    _ => return None,
                };
                let (step, boot) = (step.to_owned(), boot.to_owned());
                self.effects.push(Effect { done, step, boot });
            }
            "content" => {
                let (name, content) = rest.split_once(' ')?;
                self.contents.insert(name.to_owned(), content.to_owned());
            }
            "receipt" => self.receipt(rest)?,
            _ => return None,
        }
        Some(())
    }

    /// `KEY/PART.json SUM sha256 SUM JSON`: the checksum as it is and as it stands there must be the same.
    fn receipt(&mut self, rest: &str) -> Option<()> {
        let mut words = rest.splitn(5, ' ');
        let (key, part) = words.next()?.split_once('/')?;
        let (sum, word, told) = (words.next()?, words.next()?, words.next()?);
        let json: Value = serde_json::from_str(words.next()?).ok()?;
        if word != "sha256" || sum != told {
            return None;
        }
        let receipt = self.receipts.entry(key.to_owned()).or_default();
        match part {
            "begin.json" => {
                receipt.begun = true;
                Self::step_of(json.get("position")?.as_str()?).clone_into(&mut receipt.step);
            }
            "end.json" => {
                receipt.ended = json.get("end").is_some();
                receipt.synced = receipt.ended && json.get("unsynced").is_none();
            }
            _ => return None,
        }
        Some(())
    }
}

fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split(' ').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "boot b2
effect begun once-01 b1
effect done once-01 b1
effect begun once-01 b2
content file-05 file-05/
receipt k1/begin.json aa sha256 aa {\"key\":\"k1\",\"position\":\"upgrade/plain/change/once-01@guest1\"}
receipt k2/begin.json ab sha256 ab {\"position\":\"upgrade/plain/change/file-05@guest1\"}
receipt k1/end.json bb sha256 bb {\"end\":{\"exited\":{\"code\":0,\"success\":true}}}
";

    #[test]
    fn what_lies_there_is_read() {
        let truth = Truth::parse(TOLD).unwrap();
        assert_eq!(truth.boot, "b2");
        assert_eq!(truth.count("once-01"), (2, 1));
        assert_eq!(truth.count("once-02"), (0, 0));
        assert_eq!(truth.contents["file-05"], "file-05/");
        let receipt = |step: &str, ended| Receipt {
            step: step.to_owned(),
            begun: true,
            ended,
            synced: ended,
        };
        assert_eq!(truth.receipts["k1"], receipt("once-01", true));
        assert_eq!(truth.receipts["k2"], receipt("file-05", false));
    }

    #[test]
    fn files_that_nobody_waited_for_are_whole_or_not() {
        let truth = Truth::parse(
            "effect done once-01 b\neffect done safe-02 b\neffect done look-03 b\n\
             content loose-once-01 once-01/\ncontent loose-safe-02 \n",
        );
        let steps = ["once-01", "safe-02", "look-03", "file-05"].map(str::to_owned);
        assert_eq!(truth.unwrap().loose(steps.iter()), ["safe-02", "look-03"]);
    }

    #[test]
    fn what_nobody_has_written_is_named() {
        for line in [
            "effect begun",
            "effect bego once-01 b",
            "effect begun \0\0\0 b c",
            "receipt k1/begin.json aa sha256 ab {}",
            "receipt k1/begin.json aa sha256 aa {\"pos",
            "receipt k1/begin.json aa",
            "something else",
            "",
        ] {
            let error = Truth::parse(&format!("{TOLD}{line}\n")).unwrap_err();
            assert!(error.contains(&format!("{line:?}")), "{error}");
        }
    }
}

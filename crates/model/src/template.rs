//! Templates and conditions: minijinja, strict about undefined names, with a bound on work.
//!
//! A text without `{{` and `{%` is taken as it is. In scripts every interpolated value is quoted for
//! `/bin/sh`, unless the filter `raw` says otherwise.

use crate::belonging::BelongingAct;
use crate::definition::Release;
use crate::fleet::{Host, Vars};
use crate::primitive::{
    Command, Edit, EditFile, Exec, MachineAct, Measure, Moving, Primitive, WriteFile,
};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Output, State, UndefinedBehavior};
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Instructions that one rendering may take: far more than any real text needs, and over in milliseconds.
const FUEL_MAX: u64 = 100_000;

/// Names that variables must not take, because the renderer gives them a meaning.
pub const RESERVED: [&str; 4] = ["host", "steps", "from", "to"];

/// What went wrong with a template or condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TemplateError {
    /// What is wrong.
    pub message: String,
    /// The line inside the text, from 1.
    pub line: usize,
    /// The wrong part inside the text, in bytes.
    pub range: Option<std::ops::Range<usize>>,
}

impl From<minijinja::Error> for TemplateError {
    fn from(error: minijinja::Error) -> Self {
        let mut message = error.kind().to_string();
        if let Some(detail) = error.detail() {
            message = format!("{message}: {detail}");
        }
        Self {
            message,
            line: error.line().unwrap_or(1),
            range: error.range(),
        }
    }
}

/// How interpolated values are written into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// As they are.
    Plain,
    /// Each as one word of `/bin/sh`.
    Shell,
}

/// What a text can refer to, on one host.
#[derive(Clone, Debug, Serialize)]
pub struct Context {
    #[serde(flatten)]
    vars: Vars,
    host: HostView,
    from: Release,
    to: Release,
    steps: BTreeMap<String, BTreeMap<String, serde_json::Value>>,
}

#[derive(Clone, Debug, Default, Serialize)]
struct HostView {
    name: String,
    address: String,
    zone: Option<String>,
    roles: BTreeSet<String>,
}

impl Context {
    /// For steps in a host's lane (`None`: of the whole run).
    pub fn new(host: Option<&Host>, from: &Release, to: &Release) -> Self {
        let view = host.map(|host| HostView {
            name: host.name.to_string(),
            address: host.connection.address.clone(),
            zone: host.zone.as_ref().map(ToString::to_string),
            roles: host.roles.iter().map(ToString::to_string).collect(),
        });
        Self {
            vars: host.map(|host| host.vars.clone()).unwrap_or_default(),
            host: view.unwrap_or_default(),
            from: from.clone(),
            to: to.clone(),
            steps: BTreeMap::new(),
        }
    }

    /// With a further variable, as `codename` of a release.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.vars.insert(name.to_owned(), Arc::new(value.into()));
        self
    }

    /// With the outputs of an earlier step; its name is the last part of its id, `-` written `_`.
    pub fn add_outputs(
        &mut self,
        step: &crate::id::StepId,
        outputs: &BTreeMap<String, serde_json::Value>,
    ) {
        self.steps.insert(step_word(step), outputs.clone());
    }
}

/// The word by which templates refer to a step: the last part of its id, `-` written `_`.
pub fn step_word(step: &crate::id::StepId) -> String {
    step.as_str()
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .replace('-', "_")
}

/// Values are written as they are.
static PLAIN: LazyLock<Environment<'static>> = LazyLock::new(plain);

/// Each value is written as one word of `/bin/sh`.
static SHELL: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut shell = plain();
    shell.set_formatter(quote_for_shell);
    shell
});

/// The usual filters, strict about undefined names.
fn plain() -> Environment<'static> {
    let mut plain = Environment::new();
    plain.set_undefined_behavior(UndefinedBehavior::Strict);
    plain.set_fuel(Some(FUEL_MAX));
    plain.set_auto_escape_callback(|_| AutoEscape::None);
    // Refused only for clashing delimiters, and these are the usual ones.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        plain.set_syntax(syntax);
    }
    plain.add_filter("raw", |value: Value| {
        Value::from_safe_string(value.to_string())
    });
    plain.add_filter("quote", |value: Value| {
        Value::from_safe_string(shell_word(&value.to_string()))
    });
    plain
}

/// Renders texts and decides conditions. Costs nothing to make: what it knows is laid out once for all.
pub struct Renderer(());

impl Default for Renderer {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer {
    /// A renderer with the usual filters, strict about undefined names.
    pub fn new() -> Self {
        Self(())
    }

    fn env(&self, quoting: Quoting) -> &'static Environment<'static> {
        match quoting {
            Quoting::Plain => &PLAIN,
            Quoting::Shell => &SHELL,
        }
    }

    /// The names that a text refers to, dotted where it goes deeper, like `steps.launch.address`.
    ///
    /// # Errors
    /// When the text is no valid template.
    pub fn names(&self, text: &str) -> Result<BTreeSet<String>, TemplateError> {
        if is_plain(text) {
            return Ok(BTreeSet::new());
        }
        let template = self.env(Quoting::Plain).template_from_str(text)?;
        Ok(template.undeclared_variables(true).into_iter().collect())
    }

    /// The names that a condition refers to.
    ///
    /// # Errors
    /// When the text is no valid expression.
    pub fn condition_names(&self, text: &str) -> Result<BTreeSet<String>, TemplateError> {
        let expression = self.env(Quoting::Plain).compile_expression(text)?;
        Ok(expression.undeclared_variables(true).into_iter().collect())
    }

    /// The text with its values.
    ///
    /// # Errors
    /// When it is no valid template, names something undefined, or takes too much work.
    pub fn text(
        &self,
        text: &str,
        quoting: Quoting,
        context: &Context,
    ) -> Result<String, TemplateError> {
        if is_plain(text) {
            return Ok(text.to_owned());
        }
        Ok(self
            .env(quoting)
            .render_str(text, Value::from(Serde(context)))?)
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As for [`Renderer::text`], and when the answer is not true or false.
    pub fn holds(&self, condition: &str, context: &Context) -> Result<bool, TemplateError> {
        let value = self
            .env(Quoting::Plain)
            .compile_expression(condition)?
            .eval(Value::from(Serde(context)))?;
        match value.kind() {
            ValueKind::Bool => Ok(value.is_true()),
            other => Err(TemplateError {
                message: format!(
                    "the condition gives {other}, not true or false; compare it with something"
                ),
                line: 1,
                range: None,
            }),
        }
    }

    /// The primitive with its values.
    ///
    /// # Errors
    /// As for [`Renderer::text`].
    pub fn primitive(
        &self,
        primitive: &Primitive,
        context: &Context,
    ) -> Result<Primitive, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        let mut out = primitive.clone();
        match &mut out {
            Primitive::Exec(exec) | Primitive::Local(exec) => *exec = self.exec(exec, context)?,
            Primitive::Machine(act) => *act = self.machine(act, context)?,
            Primitive::Belonging(act) => *act = self.belonging(act, context)?,
            Primitive::WriteFile(file) => *file = self.write_file(file, context)?,
            Primitive::EditFile(edit) => *edit = self.edit_file(edit, context)?,
            Primitive::Reboot(reboot) => {
                reboot.command = reboot
                    .command
                    .iter()
                    .map(|t| text(t))
                    .collect::<Result<_, _>>()?;
            }
            Primitive::Fetch(fetch) => {
                fetch.exec = self.exec(&fetch.exec, context)?;
                fetch.file = text(&fetch.file)?;
            }
            Primitive::Feed(feed) => {
                feed.exec = self.exec(&feed.exec, context)?;
                feed.file = text(&feed.file)?;
            }
            Primitive::Persist(persist) => {
                for path in persist.paths.iter_mut().chain(&mut persist.exclude) {
                    *path = text(path)?;
                }
                persist.file = text(&persist.file)?;
            }
            Primitive::Restore(restore) => {
                for path in &mut restore.paths {
                    *path = text(path)?;
                }
                restore.file = text(&restore.file)?;
            }
            Primitive::Receive(receive) => {
                self.moving(&mut receive.data, context)?;
                self.first(&mut receive.first, context)?;
            }
            Primitive::TakeOver(take) => {
                self.moving(&mut take.data, context)?;
                self.first(&mut take.first, context)?;
                take.digest = text(&take.digest)?;
                take.stamps = text(&take.stamps)?;
            }
            Primitive::Wait(wait) => wait.until = self.measure(&wait.until, context)?,
            Primitive::Ask(ask) => ask.question = text(&ask.question)?,
            Primitive::Announce(announce) => announce.message = text(&announce.message)?,
            Primitive::NotAvailable(later) => {
                later.subject = text(&later.subject)?;
                for value in later.with.values_mut() {
                    *value = text(value)?;
                }
            }
        }
        Ok(out)
    }

    /// The measure with its values.
    ///
    /// # Errors
    /// As for [`Renderer::text`].
    pub fn measure(&self, measure: &Measure, context: &Context) -> Result<Measure, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        Ok(match measure {
            Measure::Command(exec) => Measure::Command(self.exec(exec, context)?),
            Measure::Unit { unit, state } => Measure::Unit {
                unit: text(unit)?,
                state: *state,
            },
            Measure::Release { os, version } => Measure::Release {
                os: text(os)?,
                version: text(version)?,
            },
            Measure::PackagesClean => Measure::PackagesClean,
            Measure::PackagesInstalled { names } => Measure::PackagesInstalled {
                names: names.iter().map(|t| text(t)).collect::<Result<_, _>>()?,
            },
            Measure::FileIs(file) => Measure::FileIs(self.write_file(file, context)?),
            Measure::FileEdited(edit) => Measure::FileEdited(self.edit_file(edit, context)?),
            Measure::Http { url, status } => Measure::Http {
                url: text(url)?,
                status: *status,
            },
            Measure::Tcp { address } => Measure::Tcp {
                address: text(address)?,
            },
            // A kind's commands are no templates.
            Measure::Member(member) => Measure::Member(member.clone()),
            Measure::All(parts) => Measure::All(
                parts
                    .iter()
                    .map(|part| self.measure(part, context))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    fn exec(&self, exec: &Exec, context: &Context) -> Result<Exec, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        Ok(Exec {
            command: match &exec.command {
                Command::Argv(argv) => {
                    Command::Argv(argv.iter().map(|t| text(t)).collect::<Result<_, _>>()?)
                }
                Command::Shell(script) => {
                    Command::Shell(self.text(script, Quoting::Shell, context)?)
                }
            },
            env: exec
                .env
                .iter()
                .map(|(key, value)| Ok((key.clone(), text(value)?)))
                .collect::<Result<_, TemplateError>>()?,
            cwd: exec.cwd.as_deref().map(text).transpose()?,
            success: exec.success.clone(),
            output: exec.output,
            stdin: exec.stdin.as_deref().map(text).transpose()?,
        })
    }

    fn moving(&self, data: &mut Moving, context: &Context) -> Result<(), TemplateError> {
        let lists = data.paths.iter_mut().chain(&mut data.exclude);
        for one in lists.chain(&mut data.units) {
            *one = self.text(one, Quoting::Plain, context)?;
        }
        Ok(())
    }

    fn first(&self, first: &mut Option<Exec>, context: &Context) -> Result<(), TemplateError> {
        if let Some(exec) = first {
            *exec = self.exec(exec, context)?;
        }
        Ok(())
    }

    fn machine(&self, act: &MachineAct, context: &Context) -> Result<MachineAct, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        Ok(MachineAct {
            machine: text(&act.machine)?,
            other: act.other.as_deref().map(text).transpose()?,
            image: act.image.as_deref().map(text).transpose()?,
            params: self.params(&act.params, context)?,
            ..act.clone()
        })
    }

    fn belonging(
        &self,
        act: &BelongingAct,
        context: &Context,
    ) -> Result<BelongingAct, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        Ok(BelongingAct {
            name: text(&act.name)?,
            machine: text(&act.machine)?,
            from: act.from.as_deref().map(text).transpose()?,
            expect: act.expect.as_deref().map(text).transpose()?,
            params: self.params(&act.params, context)?,
            ..act.clone()
        })
    }

    fn params(
        &self,
        params: &BTreeMap<String, Json>,
        context: &Context,
    ) -> Result<BTreeMap<String, Json>, TemplateError> {
        params
            .iter()
            .map(|(key, value)| Ok((key.clone(), self.json(value, context)?)))
            .collect()
    }

    /// The value with all its texts rendered; keys stay as they are.
    fn json(&self, value: &Json, context: &Context) -> Result<Json, TemplateError> {
        Ok(match value {
            Json::String(text) => Json::String(self.text(text, Quoting::Plain, context)?),
            Json::Array(items) => Json::Array(
                items
                    .iter()
                    .map(|item| self.json(item, context))
                    .collect::<Result<_, _>>()?,
            ),
            Json::Object(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.json(value, context)?)))
                    .collect::<Result<_, TemplateError>>()?,
            ),
            Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        })
    }

    fn write_file(&self, file: &WriteFile, context: &Context) -> Result<WriteFile, TemplateError> {
        Ok(WriteFile {
            path: self.text(&file.path, Quoting::Plain, context)?,
            content: self.text(&file.content, Quoting::Plain, context)?,
            ..file.clone()
        })
    }

    fn edit_file(&self, edit: &EditFile, context: &Context) -> Result<EditFile, TemplateError> {
        let text = |text: &str| self.text(text, Quoting::Plain, context);
        let edits = edit.edits.iter().map(|edit| {
            Ok(match edit {
                Edit::Set {
                    key,
                    value,
                    separator,
                } => Edit::Set {
                    key: text(key)?,
                    value: text(value)?,
                    separator: separator.clone(),
                },
                Edit::Line { line } => Edit::Line { line: text(line)? },
                Edit::Remove { line } => Edit::Remove { line: text(line)? },
                Edit::Replace { find, with } => Edit::Replace {
                    find: text(find)?,
                    with: text(with)?,
                },
            })
        });
        Ok(EditFile {
            path: text(&edit.path)?,
            edits: edits.collect::<Result<_, TemplateError>>()?,
            ..edit.clone()
        })
    }
}

/// Every text of a primitive that may be a template, with how its values are written.
pub fn texts_of_primitive(primitive: &Primitive) -> Vec<(&str, Quoting)> {
    let plain = |text| (text, Quoting::Plain);
    match primitive {
        Primitive::Exec(exec) | Primitive::Local(exec) => texts_of_exec(exec),
        Primitive::Machine(act) => {
            let mut out = vec![plain(act.machine.as_str())];
            out.extend(act.other.iter().map(|other| plain(other.as_str())));
            out.extend(act.image.iter().map(|image| plain(image.as_str())));
            let texts = act.params.values().flat_map(texts_of_json);
            out.extend(texts.map(plain));
            out
        }
        Primitive::Belonging(act) => {
            let mut out = vec![plain(act.name.as_str()), plain(act.machine.as_str())];
            let others = act.from.iter().chain(&act.expect);
            out.extend(others.map(|text| plain(text.as_str())));
            let texts = act.params.values().flat_map(texts_of_json);
            out.extend(texts.map(plain));
            out
        }
        Primitive::WriteFile(file) => vec![plain(file.path.as_str()), plain(file.content.as_str())],
        Primitive::EditFile(edit) => texts_of_edit(edit),
        Primitive::Reboot(reboot) => reboot.command.iter().map(|t| plain(t.as_str())).collect(),
        Primitive::Fetch(fetch) => {
            let mut out = texts_of_exec(&fetch.exec);
            out.push(plain(fetch.file.as_str()));
            out
        }
        Primitive::Feed(feed) => {
            let mut out = texts_of_exec(&feed.exec);
            out.push(plain(feed.file.as_str()));
            out
        }
        Primitive::Persist(persist) => {
            let paths = persist.paths.iter().chain(&persist.exclude);
            paths.chain([&persist.file]).map(|t| plain(t)).collect()
        }
        Primitive::Restore(restore) => {
            let paths = restore.paths.iter();
            paths.chain([&restore.file]).map(|t| plain(t)).collect()
        }
        Primitive::Receive(receive) => {
            let first = receive.first.iter().flat_map(texts_of_exec);
            let texts = texts_of_moving(&receive.data).map(|t| plain(t));
            texts.chain(first).collect()
        }
        Primitive::TakeOver(take) => {
            let first = take.first.iter().flat_map(texts_of_exec);
            let outputs = [&take.digest, &take.stamps];
            let texts = texts_of_moving(&take.data).chain(outputs);
            texts.map(|t| plain(t)).chain(first).collect()
        }
        Primitive::Wait(wait) => texts_of_measure(&wait.until),
        Primitive::Ask(ask) => vec![plain(ask.question.as_str())],
        Primitive::Announce(announce) => vec![plain(announce.message.as_str())],
        Primitive::NotAvailable(later) => {
            let with = later.with.values().map(String::as_str);
            std::iter::once(later.subject.as_str())
                .chain(with)
                .map(plain)
                .collect()
        }
    }
}

/// Every text of a measure that may be a template, with how its values are written.
pub fn texts_of_measure(measure: &Measure) -> Vec<(&str, Quoting)> {
    let plain = |text| (text, Quoting::Plain);
    match measure {
        Measure::Command(exec) => texts_of_exec(exec),
        Measure::Unit { unit, .. } => vec![plain(unit.as_str())],
        Measure::Release { os, version } => vec![plain(os.as_str()), plain(version.as_str())],
        Measure::PackagesClean | Measure::Member(_) => Vec::new(),
        Measure::PackagesInstalled { names } => names.iter().map(|t| plain(t.as_str())).collect(),
        Measure::FileIs(file) => vec![plain(file.path.as_str()), plain(file.content.as_str())],
        Measure::FileEdited(edit) => texts_of_edit(edit),
        Measure::Http { url, .. } => vec![plain(url.as_str())],
        Measure::Tcp { address } => vec![plain(address.as_str())],
        Measure::All(parts) => parts.iter().flat_map(texts_of_measure).collect(),
    }
}

fn texts_of_exec(exec: &Exec) -> Vec<(&str, Quoting)> {
    let mut out = match &exec.command {
        Command::Argv(argv) => argv.iter().map(|t| (t.as_str(), Quoting::Plain)).collect(),
        Command::Shell(script) => vec![(script.as_str(), Quoting::Shell)],
    };
    out.extend(exec.env.values().map(|t| (t.as_str(), Quoting::Plain)));
    let others = exec.cwd.iter().chain(&exec.stdin);
    out.extend(others.map(|t| (t.as_str(), Quoting::Plain)));
    out
}

/// Every text of a value of JSON, keys apart.
pub fn texts_of_json(value: &Json) -> Vec<&str> {
    match value {
        Json::String(text) => vec![text],
        Json::Array(items) => items.iter().flat_map(texts_of_json).collect(),
        Json::Object(entries) => entries.values().flat_map(texts_of_json).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) => Vec::new(),
    }
}

fn texts_of_moving(data: &Moving) -> impl Iterator<Item = &String> {
    data.paths.iter().chain(&data.exclude).chain(&data.units)
}

fn texts_of_edit(edit: &EditFile) -> Vec<(&str, Quoting)> {
    let plain = |text| (text, Quoting::Plain);
    let mut out = vec![plain(edit.path.as_str())];
    for edit in &edit.edits {
        match edit {
            Edit::Set { key, value, .. } => {
                out.extend([plain(key.as_str()), plain(value.as_str())])
            }
            Edit::Line { line } | Edit::Remove { line } => out.push(plain(line.as_str())),
            Edit::Replace { find, with } => {
                out.extend([plain(find.as_str()), plain(with.as_str())])
            }
        }
    }
    out
}

fn is_plain(text: &str) -> bool {
    !text.contains("{{") && !text.contains("{%") && !text.contains("{#")
}

fn quote_for_shell(
    out: &mut Output,
    _state: &mut State,
    value: &Value,
) -> Result<(), minijinja::Error> {
    if value.is_undefined() {
        return Err(minijinja::ErrorKind::UndefinedError.into());
    }
    let text = value.to_string();
    let text = if value.is_safe() {
        text
    } else {
        shell_word(&text)
    };
    out.write_str(&text).map_err(minijinja::Error::from)
}

/// The text as one word of `/bin/sh`.
pub fn shell_word(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context() -> Context {
        let release = |n: &str| Release {
            os: "debian".into(),
            release: n.into(),
        };
        let mut context = Context::new(None, &release("12"), &release("13"))
            .with("nasty", "a b; rm -rf /")
            .with("port", 5432);
        let outputs = [("digest".to_owned(), serde_json::json!("abc"))].into();
        context.add_outputs(&"upgrade/db/count-rows".into(), &outputs);
        context
    }

    #[test]
    fn values_are_quoted_in_scripts_and_plain_elsewhere() {
        let renderer = Renderer::new();
        let render = |text, quoting| renderer.text(text, quoting, &context()).unwrap();
        assert_eq!(
            render("p={{ port }} {{ to.release }}", Quoting::Plain),
            "p=5432 13"
        );
        assert_eq!(
            render("echo {{ nasty }}", Quoting::Shell),
            "echo 'a b; rm -rf /'"
        );
        assert_eq!(
            render("echo {{ nasty | raw }}", Quoting::Shell),
            "echo a b; rm -rf /"
        );
        assert_eq!(
            render("{{ steps.count_rows.digest }}", Quoting::Shell),
            "abc"
        );
        assert_eq!(
            render("awk '{print $1}'\n", Quoting::Shell),
            "awk '{print $1}'\n"
        );
    }

    #[test]
    fn undefined_names_and_endless_work_are_errors() {
        let renderer = Renderer::new();
        for text in [
            "{{ nothing }}",
            "{{ steps.other.x }}",
            "{{ 1 | nofilter }}",
            "{% if %}",
        ] {
            for quoting in [Quoting::Plain, Quoting::Shell] {
                assert!(renderer.text(text, quoting, &context()).is_err(), "{text}");
            }
        }
        let endless =
            "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}";
        assert!(renderer.text(endless, Quoting::Plain, &context()).is_err());
    }

    #[test]
    fn conditions_give_true_or_false_and_nothing_else() {
        let renderer = Renderer::new();
        assert!(renderer.holds("port == 5432", &context()).unwrap());
        assert!(!renderer.holds("to.release != '13'", &context()).unwrap());
        assert!(renderer.holds("port", &context()).is_err());
        assert!(renderer.holds("missing == 1", &context()).is_err());
    }

    #[test]
    fn names_are_found_with_their_path() {
        let names = Renderer::new().names("{{ steps.a.b }} {{ port }}").unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["port", "steps.a.b"]);
    }
}

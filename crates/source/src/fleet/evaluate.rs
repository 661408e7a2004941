//! Settings that are templates, over the variables of their host.

use super::value::{Nature, Value, Var, is_template};
use super::vault::{VaultKeys, decrypt};
use super::view::Merged;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use overhaul_model::secret::Secret;
use serde_json::Value as Json;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

/// Templates that name templates: how deep this may go.
const DEEP_MAX: usize = 8;

/// Work on one setting, in minijinja's instructions: a hundred times what any real one takes.
const FUEL_MAX: u64 = 10_000;

/// Why a setting has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It, or what it names, is encrypted and there is no key.
    NoKey(String),
    /// It, or what it names, is encrypted, and this setting does not keep secrets.
    IsSecret(String),
    /// It cannot be decrypted.
    Damaged(String),
    /// It is no good template, or names what is not known here.
    Template(String),
    /// It is no text, number or truth.
    NoText,
}

/// A setting's text, and whether something secret went into it.
pub(super) struct Text {
    pub(super) text: Secret,
    pub(super) is_secret: bool,
}

/// Gives settings their values.
pub(super) struct Evaluator<'e> {
    environment: Environment<'static>,
    keys: &'e VaultKeys,
    /// What was decrypted so far: hosts share passwords, and each takes milliseconds.
    decrypted: RefCell<HashMap<String, Secret>>,
}

impl<'e> Evaluator<'e> {
    pub(super) fn new(keys: &'e VaultKeys) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL_MAX));
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        Self {
            environment,
            keys,
            decrypted: RefCell::default(),
        }
    }

    fn decrypted(&self, text: &str) -> Result<Secret, Why> {
        if let Some(before) = self.decrypted.borrow().get(text) {
            return Ok(before.clone());
        }
        let secret = decrypt(text, self.keys).map_err(|error| Why::Damaged(error.to_string()))?;
        let mut kept = self.decrypted.borrow_mut();
        kept.insert(text.to_owned(), secret.clone());
        Ok(secret)
    }

    /// The text of a variable; `own` are the names that Ansible sets itself.
    pub(super) fn text(
        &self,
        name: &str,
        var: &Var,
        vars: &Merged<'_>,
        own: &BTreeMap<&str, Json>,
    ) -> Result<Text, Why> {
        let mut work = Work {
            evaluator: self,
            vars,
            own,
            is_secret: false,
        };
        let value = work.value(name, &var.value, var.nature, 0)?;
        let text = match value {
            Json::String(text) => text,
            Json::Number(number) => number.to_string(),
            Json::Bool(truth) => truth.to_string(),
            Json::Null => String::new(),
            Json::Array(_) | Json::Object(_) => return Err(Why::NoText),
        };
        Ok(Text {
            text: Secret::new(text),
            is_secret: work.is_secret,
        })
    }
}

struct Work<'w, 'e> {
    evaluator: &'w Evaluator<'e>,
    vars: &'w Merged<'w>,
    own: &'w BTreeMap<&'w str, Json>,
    is_secret: bool,
}

impl Work<'_, '_> {
    fn value(
        &mut self,
        name: &str,
        value: &Value,
        nature: Nature,
        depth: usize,
    ) -> Result<Json, Why> {
        match (value, nature) {
            (_, Nature::Plain) => Ok(value.to_json()),
            (Value::Encrypted(text), _) => {
                self.is_secret = true;
                if self.evaluator.keys.is_empty() {
                    return Err(Why::NoKey(name.to_owned()));
                }
                let opened = self.evaluator.decrypted(text)?;
                self.opened(opened.reveal(), depth)
            }
            (Value::Opened(secret), _) => {
                self.is_secret = true;
                self.opened(secret.reveal(), depth)
            }
            (Value::Text(text), _) => self.rendered(text, depth),
            _ => Err(Why::NoText),
        }
    }

    fn opened(&mut self, text: &str, depth: usize) -> Result<Json, Why> {
        match is_template(text) {
            true => self.rendered(text, depth),
            false => Ok(Json::String(text.to_owned())),
        }
    }

    fn rendered(&mut self, text: &str, depth: usize) -> Result<Json, Why> {
        if depth >= DEEP_MAX {
            let message = format!("templates name each other more than {DEEP_MAX} deep");
            return Err(Why::Template(message));
        }
        let wrong = |error: minijinja::Error| {
            let detail = error.detail().map(str::to_owned);
            Why::Template(detail.unwrap_or_else(|| error.kind().to_string()))
        };
        let template = self.evaluator.environment.template_from_str(text);
        let template = template.map_err(wrong)?;
        let mut context: BTreeMap<String, Json> = BTreeMap::new();
        for name in template.undeclared_variables(false) {
            if let Some(own) = self.own.get(name.as_str()) {
                context.insert(name, own.clone());
                continue;
            }
            let Some(var) = self.vars.get(name.as_str()) else {
                continue;
            };
            let value = self.value(&name, &var.value, var.nature, depth.saturating_add(1))?;
            context.insert(name, value);
        }
        let context = minijinja::value::Value::from(minijinja::value::Serde(context));
        template.render(context).map(Json::String).map_err(wrong)
    }
}

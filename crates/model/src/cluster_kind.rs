//! Kinds of clusters: what detects a member, which commands ask it, and how their answers are read.
//!
//! Reading is pure: the same answers give the same member. What cannot be read is unknown with its
//! reason, never assumed.

use crate::action::ClusterOp;
use crate::cluster::{ClusterMember, ClusterRole, Evidence, Lag};
use crate::facts::Known;
use crate::knowledge::Border;
use crate::primitive::Command;
use crate::span::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The name under which the command that lists instances appears among the answers.
pub const INSTANCES: &str = "instances";

/// Longest name, word or path that a member may tell: paths end at 4,096 bytes, names long before.
const TEXT_BYTES_MAX: usize = 4_096;

/// Most members that a list may name.
const LIST_MAX: usize = 1_000;

/// Output of each command that stays in the facts.
const EVIDENCE_BYTES_MAX: usize = 4 * 1_024;

/// A kind of cluster, as a file of `kinds/` describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterKind {
    /// Its name.
    pub name: String,
    /// What it is, in a sentence.
    pub describes: String,
    /// What says that a host may be a member.
    pub detect: Detect,
    /// Lists the instances on a host, a line of words each; none when there can be only one.
    pub instances: Option<Ask>,
    /// Commands that ask a member, by name. The words of its instance are their arguments.
    pub ask: BTreeMap<String, Ask>,
    /// All must hold of a member; where one certainly does not, the host has none.
    pub member_when: Vec<Condition>,
    /// Where members keep their data, whatever they say.
    pub owns: Vec<String>,
    /// Borders between versions that never meet in one cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_mix: Vec<Border>,
    /// Versions from which on a member never gives its data to an older one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_feed: Vec<String>,
    /// What can be done with a member.
    #[serde(default, skip_serializing_if = "Deeds::is_empty")]
    pub deeds: Deeds,
    /// What the answers mean.
    pub read: Readings,
}

/// What can be done with a member, as far as its kind says how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deeds {
    /// The host is no member any more, and the others know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leave: Option<Deed>,
    /// The host becomes a member, and receives its data from the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<Deed>,
    /// The host alone is the cluster, whatever others its configuration knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bootstrap: Option<Deed>,
    /// The host forgets what it has of the cluster's data, so that it receives all of it when it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<Deed>,
}

impl Deeds {
    /// Whether the kind says nothing of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is done for this word.
    pub fn of(&self, op: ClusterOp) -> Option<&Deed> {
        match op {
            ClusterOp::Leave => self.leave.as_ref(),
            ClusterOp::Join => self.join.as_ref(),
            ClusterOp::Bootstrap => self.bootstrap.as_ref(),
            ClusterOp::Forget => self.forget.as_ref(),
        }
    }
}

/// A command that changes a member. It can be begun again: what it had done before, it finds done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What is run, by `/bin/sh`.
    pub script: String,
    /// Succeeds when it is done already; none where only the member's health tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
    /// Longest that it may take.
    pub timeout: Span,
}

/// What says that a host may be a member: of each list that is not empty, one entry fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detect {
    /// Units that are loaded; one `*` stands for any text.
    pub units: Vec<String>,
    /// Local TCP ports that somebody listens on.
    pub ports: Vec<u16>,
    /// Programs that are found.
    pub programs: Vec<String>,
    /// Paths that exist.
    pub files: Vec<String>,
}

/// A command that asks a member, or lists instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// What is run.
    pub command: Command,
    /// Longest that it may take.
    pub timeout: Span,
    /// The form of what it prints.
    pub answer: Answer,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Lines of a key, a tab and a value; other lines are passed over.
    Lines,
    /// One JSON value.
    Json,
}

/// Where a value stands in an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The command's name.
    pub of: String,
    /// The key of a line, or a JSON pointer in which `*` stands for each element.
    pub at: String,
}

/// A value is one of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Where it stands.
    pub place: Place,
    /// Texts of which it is one.
    pub is: Vec<String>,
}

/// A number of members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Where it stands.
    pub place: Place,
    /// Whether elements of a list are counted; otherwise the value is the number.
    pub count: bool,
}

/// How a member's state is a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleReading {
    /// Where the state stands.
    pub place: Place,
    /// Roles by states.
    pub words: BTreeMap<String, ClusterRole>,
    /// The role in all other states; without it they are unknown.
    pub otherwise: Option<ClusterRole>,
}

/// How far a member is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LagReading {
    /// Where the number stands.
    pub place: Place,
    /// Of what.
    pub unit: String,
}

/// What the answers mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readings {
    /// What tells the cluster from others.
    pub cluster: Place,
    /// The member's name.
    pub member: Place,
    /// Its state and role.
    pub role: RoleReading,
    /// Names or addresses of members.
    pub members: Option<Place>,
    /// How many there are.
    pub known: Option<Count>,
    /// How many take part.
    pub alive: Option<Count>,
    /// All hold in a majority; empty when the kind has no quorum.
    pub quorate: Vec<Condition>,
    /// All hold of a member that does its work. Never empty.
    pub healthy: Vec<Condition>,
    /// How far it is behind.
    pub lag: Option<LagReading>,
    /// Where its data lies.
    pub data: Option<Place>,
    /// The version of the program that it runs, or would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Place>,
}

impl ClusterKind {
    /// The kind as far as members are asked by it: what can be done with them is left out.
    #[must_use]
    pub fn asking(&self) -> Self {
        Self {
            deeds: Deeds::default(),
            ..self.clone()
        }
    }

    /// What a member is by its answers; none when the host certainly is no member.
    ///
    /// `instance` names it among several on the host, `at` is the time of the answers.
    pub fn member(
        &self,
        instance: &str,
        evidence: Vec<Evidence>,
        at: Timestamp,
    ) -> Option<ClusterMember> {
        let answers = Answers::of(self, &evidence);
        if answers.all(&self.member_when) == Ok(false) {
            return None;
        }
        let read = &self.read;
        let known = Clock(at);
        let state = answers.text(&read.role.place);
        let mut data_paths = self.owns.clone();
        let told = read.data.as_ref().and_then(|at| answers.list(at).ok());
        data_paths.extend(told.into_iter().flatten().filter(|p| p.starts_with('/')));
        data_paths.sort();
        data_paths.dedup();
        let quorate = (!read.quorate.is_empty()).then(|| known.of(answers.all(&read.quorate)));
        Some(ClusterMember {
            kind: self.name.clone(),
            instance: instance.to_owned(),
            cluster: known.of(answers.text(&read.cluster)),
            member: known.of(answers.text(&read.member)),
            role: known.of(state.clone().and_then(|state| read.role.role(&state))),
            state: known.of(state),
            members: read.members.as_ref().map(|at| known.of(answers.list(at))),
            size_known: known.of(answers.size(read.known.as_ref())),
            size_alive: known.of(answers.size(read.alive.as_ref())),
            quorate,
            healthy: known.of(answers.all(&read.healthy)),
            version: read.version.as_ref().map(|at| known.of(answers.text(at))),
            lag: read.lag.as_ref().map(|lag| known.of(answers.lag(lag))),
            data_paths,
            evidence: evidence.into_iter().map(shortened).collect(),
        })
    }
}

impl RoleReading {
    fn role(&self, state: &str) -> Result<ClusterRole, String> {
        let role = self.words.get(state).copied().or(self.otherwise);
        role.ok_or_else(|| format!("no role is known for the state `{state}`"))
    }
}

struct Clock(Timestamp);

impl Clock {
    fn of<T>(&self, read: Result<T, String>) -> Known<T> {
        match read {
            Ok(value) => Known::Measured { value, at: self.0 },
            Err(reason) => Known::Unknown { reason },
        }
    }
}

fn shortened(mut evidence: Evidence) -> Evidence {
    let end = evidence.output.floor_char_boundary(EVIDENCE_BYTES_MAX);
    evidence.output.truncate(end);
    evidence
}

enum Parsed<'a> {
    Lines(BTreeMap<&'a str, Vec<&'a str>>),
    Json(Value),
    Nothing(String),
}

/// All answers of a member, ready to be looked up.
struct Answers<'a>(BTreeMap<&'a str, Parsed<'a>>);

impl<'a> Answers<'a> {
    fn of(kind: &ClusterKind, evidence: &'a [Evidence]) -> Self {
        let parse = |evidence: &'a Evidence| {
            let ask = evidence.ask.as_str();
            let form = kind.ask.get(ask).map(|ask| ask.answer);
            let parsed = match (&evidence.fault, form) {
                (Some(fault), _) => Parsed::Nothing(format!("{ask}: {fault}")),
                (None, Some(Answer::Json)) => json(ask, &evidence.output),
                (None, _) => Parsed::Lines(lines(&evidence.output)),
            };
            (ask, parsed)
        };
        Self(evidence.iter().map(parse).collect())
    }

    /// The values at a place, as texts.
    fn values(&self, place: &Place) -> Result<Vec<String>, String> {
        let Place { of, at } = place;
        let absent = || format!("{of} does not tell `{at}`");
        let found = match self.0.get(of.as_str()) {
            None => match self.0.get(INSTANCES) {
                Some(Parsed::Nothing(why)) => return Err(why.clone()),
                _ => return Err(format!("{of} was not asked")),
            },
            Some(Parsed::Nothing(why)) => return Err(why.clone()),
            Some(Parsed::Json(root)) => pointed(root, at).ok_or_else(absent)?,
            Some(Parsed::Lines(lines)) => {
                let values = lines.get(at.as_str()).ok_or_else(absent)?;
                values.iter().map(|value| (*value).to_owned()).collect()
            }
        };
        match found.iter().find(|text| !is_plain(text)) {
            Some(_) => Err(format!("{of} tells no plain text at `{at}`")),
            None => Ok(found),
        }
    }

    fn text(&self, place: &Place) -> Result<String, String> {
        let Place { of, at } = place;
        match <[String; 1]>::try_from(self.values(place)?) {
            Ok([text]) if !text.is_empty() => Ok(text),
            Ok(_) => Err(format!("{of} tells nothing at `{at}`")),
            Err(several) => Err(format!("{of} tells {} values at `{at}`", several.len())),
        }
    }

    /// A list: the elements at a pointer, or what commas part in a line.
    fn list(&self, place: &Place) -> Result<Vec<String>, String> {
        let values = self.values(place)?;
        let all: Vec<String> = match self.0.get(place.of.as_str()) {
            Some(Parsed::Json(_)) => values,
            _ => values
                .iter()
                .flat_map(|value| value.split(','))
                .map(|item| item.trim().to_owned())
                .filter(|item| !item.is_empty())
                .collect(),
        };
        if all.len() > LIST_MAX {
            return Err(format!(
                "{} tells more than {LIST_MAX} at `{}`",
                place.of, place.at
            ));
        }
        Ok(all)
    }

    fn number(&self, place: &Place) -> Result<u64, String> {
        let text = self.text(place)?;
        let Place { of, at } = place;
        text.parse()
            .map_err(|_| format!("{of} tells no whole number at `{at}`, but `{text}`"))
    }

    fn size(&self, count: Option<&Count>) -> Result<u32, String> {
        let Some(Count { place, count }) = count else {
            return Err("this kind does not tell it".to_owned());
        };
        let number = if *count {
            u64::try_from(self.list(place)?.len()).unwrap_or(u64::MAX)
        } else {
            self.number(place)?
        };
        u32::try_from(number).map_err(|_| format!("{number} members are told"))
    }

    fn lag(&self, lag: &LagReading) -> Result<Lag, String> {
        Ok(Lag {
            amount: self.number(&lag.place)?,
            unit: lag.unit.clone(),
        })
    }

    /// Whether all conditions hold. One that certainly does not decides, whatever is unknown beside it.
    fn all(&self, conditions: &[Condition]) -> Result<bool, String> {
        let mut unknown = None;
        for condition in conditions {
            match self.text(&condition.place) {
                Ok(text) if condition.is.contains(&text) => {}
                Ok(_) => return Ok(false),
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        unknown.map_or(Ok(true), Err)
    }
}

fn json<'a>(ask: &str, text: &str) -> Parsed<'a> {
    match serde_json::from_str(text) {
        Ok(value) => Parsed::Json(value),
        Err(error) => Parsed::Nothing(format!("{ask} printed no JSON: {error}")),
    }
}

/// Lines by key. A key that comes twice has two values, and so none that counts as one.
fn lines(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('\t')) {
        out.entry(key.trim()).or_default().push(value.trim());
    }
    out
}

/// What a pointer leads to, as texts; the elements where it leads to a list. None when it leads nowhere
/// or to what is no text.
fn pointed(root: &Value, pointer: &str) -> Option<Vec<String>> {
    let mut here = vec![root];
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let mut next = Vec::new();
        for value in here {
            match (value, step.as_str()) {
                (Value::Array(items), "*") => next.extend(items),
                (Value::Object(map), "*") => next.extend(map.values()),
                (Value::Array(items), index) => next.push(items.get(index.parse::<usize>().ok()?)?),
                (Value::Object(map), key) => next.push(map.get(key)?),
                _ => return None,
            }
        }
        here = next;
    }
    if let [Value::Array(items)] = here.as_slice() {
        here = items.iter().collect();
    }
    here.into_iter().map(scalar).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn is_plain(text: &str) -> bool {
    text.len() <= TEXT_BYTES_MAX && !text.contains(char::is_control)
}

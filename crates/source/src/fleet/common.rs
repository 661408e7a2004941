//! What the readers of all forms do alike with hosts and groups.

use super::book::{Book, Place};
use super::inventory::Inventory;
use super::value::{Value, Var};
use crate::node::shortened;
use crate::words::{NAME_HELP, name_fault};

/// Whether a host may have this name; reports when not.
pub(super) fn check_host(book: &Book, name: &str, place: Place) -> bool {
    let Some(fault) = name_fault(name) else {
        return true;
    };
    let message = format!("`{}` is no valid name: {fault}", shortened(name));
    let help = match name.contains(':') {
        true => "give the host a name, and its number in `ansible_host`",
        false => NAME_HELP,
    };
    book.problem(place, message, help.to_owned());
    false
}

/// Sets a variable of a group; `ansible_group_priority` is none.
pub(super) fn set_group_variable(
    book: &Book,
    inventory: &mut Inventory,
    group: usize,
    name: &str,
    var: Var,
) {
    let Some(group) = inventory.groups.get_mut(group) else {
        return;
    };
    if name != "ansible_group_priority" {
        group.vars.insert(name.to_owned(), var);
        return;
    }
    match priority(&var.value) {
        Some(priority) => group.priority = priority,
        None => book.problem(var.place, "a priority is a whole number", None),
    }
}

fn priority(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Some(whole),
            // Cut off as Python does it.
            None => format!("{:.0}", number.as_f64()?.trunc()).parse().ok(),
        },
        Value::Text(text) => text.trim().parse().ok(),
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::Null
        | Value::Unsafe(_)
        | Value::Encrypted(_)
        | Value::Opened(_)
        | Value::List(_)
        | Value::Map(_) => None,
    }
}

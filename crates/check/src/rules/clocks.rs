//! Clocks: packages' indexes and certificates have dates.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::span::Span;

/// An index that is signed "valid from now on" is refused by a clock that is behind; minutes do not
/// matter to it, but they make the timeline of a report hard to read.
const OFFSET_MAX: Span = Span::from_s(5 * 60);

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    view.fresh_facts()
        .filter_map(|(host, facts)| {
            let offset_ms = *facts.clock_offset_ms.value()?;
            let off = Span::from_ms(offset_ms.unsigned_abs());
            if off <= OFFSET_MAX {
                return None;
            }
            let way = if offset_ms > 0 { "ahead of" } else { "behind" };
            let sentence = format!("its clock is {off} {way} the controller's");
            let help = "set it right: package indexes and certificates are refused by their dates";
            Some(Complaint::warning(format!("host:{host}"), sentence, help))
        })
        .collect()
}

//! The findings about a task, from its evidence.

use super::join::{Joins, end_of};
use super::task_state::DerivedState;
use super::{Evidence, Findings, UrlFindings};
use crate::domain::outcome::UrlState;

/// Derives the findings from the evidence.
///
/// If facts disagree, SUCCEEDED or any video overrules FAILED, which overrules a refusal, which overrules a cancel.
pub fn weigh(evidence: &Evidence) -> Findings {
    let joins = Joins::of(evidence);
    let ends: Vec<_> = (0..evidence.urls.len()).map(|url| end_of(url, evidence, &joins)).collect();
    let derived = DerivedState::of(evidence, &ends);
    let all_indexed =
        ends.iter().flatten().filter(|end| end.state == UrlState::Indexed).count() == ends.len();
    let counts_for_later_jobs = !evidence.has_several_urls() || (evidence.has_complete_list() && all_indexed);
    let urls = ends.into_iter().zip(joins.own.into_iter().zip(joins.joined));
    let urls = urls.map(|(end, (own, joined))| {
        let outcome = end.unwrap_or_else(|| derived.open.clone());
        let attributed = joined.is_empty();
        let makes_known = outcome.state == UrlState::Indexed && (attributed || counts_for_later_jobs);
        UrlFindings { outcome, entries: if attributed { own } else { joined }, attributed, makes_known }
    });
    let urls = urls.collect();
    Findings { state: derived.state, error: derived.error, urls, wants_poll: joins.wants_poll }
}

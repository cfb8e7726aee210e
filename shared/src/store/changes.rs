//! What a commit changes in the schedule, as its script takes it.

use std::collections::BTreeMap;

use super::{Commit, Unit};
use crate::domain::case::Case;
use crate::domain::plan::Action;

/// One change as the script takes it: verb, slot, progress expected, due.
pub(super) fn change(unit: &Unit, case: &Case, action: Action) -> Option<(&'static str, u16, String, i64)> {
    let verb = match action {
        Action::Arm { .. } => "A",
        Action::Move { .. } => "M",
        Action::Cancel { .. } => "X",
        Action::Discard { .. } => return None,
    };
    let planned = case.planned.iter().find(|p| p.slot == action.slot())?;
    Some((verb, planned.slot, unit.raw_progress(planned.slot).0, planned.due_ms))
}

/// How the counts of armed timers change: what goes at once (due when it was taken) is no timer.
pub(super) fn armed_changes(commit: &Commit<'_>) -> BTreeMap<String, i64> {
    let mut changes = BTreeMap::new();
    for (_, case, actions) in &commit.units {
        for action in *actions {
            let Some(planned) = case.planned.iter().find(|p| p.slot == action.slot() && p.is_timer) else {
                continue;
            };
            let difference = match action {
                Action::Arm { .. } => 1,
                Action::Cancel { .. } => -1,
                Action::Move { .. } | Action::Discard { .. } => continue,
            };
            *changes.entry(planned.rule.clone()).or_default() += difference;
        }
    }
    changes
}

//! What a planned message does when it falls due.

use crate::domain::Fields;
use crate::domain::FiscalCode;
use crate::domain::case::{Case, Motivo, Planned};

use super::{Context, rule};

/// What is to be done with a planned message that fell due.
#[derive(Debug, Clone)]
pub enum Due {
    /// Render and send it.
    Send {
        /// Who gets it.
        recipient: FiscalCode,
        /// The thing's fields as later changes left them, derived ones included.
        fields: Fields,
        /// When its event was taken, Unix milliseconds, if it goes because its event came.
        taken_ms: Option<i64>,
    },
    /// Tell the office.
    Office,
    /// It is not sent, with the reason.
    Discard(Motivo),
    /// It is no longer planned: nothing to do.
    Gone,
}

/// Decides what a planned message does now.
///
/// The facts were held against the rules when they came; what may have changed since is time and the
/// ente's choices.
#[must_use]
pub fn fire(ctx: &Context<'_>, case: &Case, planned: &Planned) -> Due {
    if !planned.standing.is_armed() {
        return Due::Gone;
    }
    let message = ctx.service.messaggi.get(&planned.rule);
    let Some(pianificazione) =
        message.map(|m| &m.regola).or_else(|| ctx.service.timer.get(&planned.rule).map(|t| &t.regola))
    else {
        return Due::Discard(Motivo::TipoDisattivato);
    };
    let now = ctx.now_ms();
    if !ctx.is_active(&planned.rule) {
        return Due::Discard(Motivo::TipoDisattivato);
    }
    if planned.held_until_ms.is_some_and(|end| end > now) {
        return Due::Discard(Motivo::Annullato);
    }
    if planned.useful_until_ms.is_some_and(|end| end < now) {
        return Due::Discard(Motivo::ScadenzaPassata);
    }
    if message.is_none() {
        return Due::Office;
    }
    let on = case.things.get(&planned.thing).and_then(|thing| rule::trigger(ctx, pianificazione, thing));
    let Some(on) = on else { return Due::Discard(Motivo::Annullato) };
    let Some(recipient) = on.fact.recipient.clone() else { return Due::Discard(Motivo::Annullato) };
    let taken_ms = pianificazione.momento.ancora.is_none().then_some(on.fact.taken_ms);
    Due::Send { recipient, fields: on.fields, taken_ms }
}

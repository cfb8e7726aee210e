//! Keys derived from what they name, so that the same fact gives the same message.

use sha2::{Digest, Sha256};

use crate::domain::case::{CATCH_UP, Case, Planned};
use crate::domain::hex;

/// The store's key of a case: the first 12 bytes of SHA-256 over service and `subject`, and for one
/// recipient's share of a list event the keyed hash of the recipient. 96 bits: with a billion cases of
/// one ente the chance that any two meet is below 1 in 10^11.
#[must_use]
pub fn case_id(servizio: &str, pratica: &str, share_of: Option<&str>) -> [u8; 12] {
    let digest = Sha256::digest(format!("{servizio}\0{pratica}\0{}", share_of.unwrap_or("")));
    let mut id = [0; 12];
    id.copy_from_slice(&digest[..12]);
    id
}

/// The message key (contract.md section 5): 32 hex digits of SHA-256 over ente, service, case, rule and
/// occurrence. The occurrence holds the thing (notice, appointment, call), for a share the recipient, the
/// firing, and how many came before it.
#[must_use]
pub fn message_key(ente: &str, case: &Case, case_id: &[u8; 12], planned: &Planned) -> String {
    let share = if case.share { hex(case_id) } else { String::new() };
    let firing = if planned.firing == CATCH_UP { "+".to_owned() } else { planned.firing.to_string() };
    let text = format!(
        "{ente}\0{}\0{}\0{}\0{}\0{share}\0{firing}\0{}",
        case.servizio, case.pratica, planned.rule, planned.thing, planned.cycle
    );
    hex(&Sha256::digest(text)[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::case::Standing;

    /// Changing these values sends messages again: they are the identity of what was already sent.
    #[test]
    fn keys_never_change() {
        let case = Case { servizio: "alloggi-sociali".into(), pratica: "B27/1".into(), ..Case::default() };
        let planned = Planned {
            slot: 0,
            rule: "alloggi-avviso-canone".into(),
            thing: "avviso:302001234567890123".into(),
            firing: 0,
            anchor: String::new(),
            cycle: 0,
            due_ms: 0,
            useful_until_ms: None,
            held_until_ms: None,
            event: "e".into(),
            changed_by: None,
            is_timer: false,
            standing: Standing::Armed,
        };
        let id = case_id(&case.servizio, &case.pratica, None);
        assert_eq!(hex(&id), "a5100010a0a67b7ecfd6b6f6");
        assert_eq!(message_key("borgochiaro", &case, &id, &planned), "d070ab882fd3f36b944bc7ce8c4d92a0");
        let reminder = Planned { firing: -7, rule: "alloggi-avviso-canone-in-scadenza".into(), ..planned };
        assert_eq!(message_key("borgochiaro", &case, &id, &reminder), "e33b982dd2bea24b22e86321bb3e9bf0");
    }
}

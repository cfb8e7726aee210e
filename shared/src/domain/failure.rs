//! The codes of `messaggio.fallito` that are no refusal of ours: what IO or an operator said.
//!
//! IO's own texts may echo what was sent, so an ente is told a code of this closed list.

/// An operator gave it up, as its outcome and the store say it.
pub const DROPPED: &str = "in-doubt-dropped";
/// Policy `expire` gave it up: its use ended.
pub const EXPIRED: &str = "in-doubt-expired";

/// Code and meaning, one sentence for the docs. The rows of IO are those of its API's answers.
pub const FAILURES: [(&str, &str); 9] = [
    ("io-structure", "IO refuses the message's form (400)"),
    ("io-payment", "IO refuses the amount of the payment (400)"),
    ("io-recipient", "the account may write to test recipients only (403)"),
    ("io-configuration", "IO knows no remote content configuration that fits (403, 404)"),
    ("io-attachment", "the account may not attach documents (403)"),
    ("io-feature", "the account lacks another feature that the message uses (403)"),
    ("io-refused", "IO refuses it for a reason that is not in this list"),
    (DROPPED, "nobody knows whether it was sent, and an operator gave it up"),
    (EXPIRED, "nobody knows whether it was sent, and its use ended (policy `expire`)"),
];

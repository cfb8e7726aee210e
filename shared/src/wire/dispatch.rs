//! What the renderer asks of the dispatcher, and what the scheduler asks of it later.

use serde::{Deserialize, Serialize};

use super::MessageRef;
use crate::domain::FiscalCode;
use crate::domain::catalogue::InDubbio;

/// IO `feature_level_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Free message.
    #[default]
    Standard,
    /// Premium message.
    Advanced,
}

impl Level {
    /// As IO spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::Advanced => "ADVANCED",
        }
    }
}

/// IO `payment_data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentData {
    /// Euro cents.
    pub amount: i64,
    /// 18 digits.
    pub notice_number: String,
}

/// IO `third_party_data` of an attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThirdPartyData {
    /// The ente's own id of the document.
    pub id: String,
    /// The ente's remote configuration, a ULID.
    pub configuration_id: String,
    /// Always true: the only use of it here.
    pub has_attachments: bool,
}

/// IO `content`, in IO's field names.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Title, 10 to 120 UTF-16 units.
    pub subject: String,
    /// Front matter and text, 80 to 10,000 UTF-16 units.
    pub markdown: String,
    /// No e-mail copy, anonymous push.
    pub require_secure_channels: bool,
    /// Instant in UTC, `2027-06-30T21:59:59Z`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub due_date: Option<String>,
    /// Payment notice.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub payment_data: Option<PaymentData>,
    /// Attachment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub third_party_data: Option<ThirdPartyData>,
}

impl std::fmt::Debug for Content {
    /// Says that it is there: the text is personal data.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(…)")
    }
}

/// A rendered message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DispatchRequest {
    /// Version of this body.
    pub v: u8,
    /// Which message.
    #[serde(flatten)]
    pub message: MessageRef,
    /// The recipient.
    pub codice_fiscale: FiscalCode,
    /// What IO is given.
    pub content: Content,
    /// STANDARD or ADVANCED.
    pub livello: Level,
    /// The contract asks for ADVANCED, yet this one goes STANDARD because IO refused Premium: its
    /// reminder must be armed once it is sent (contract.md 10.23).
    #[serde(default)]
    pub ripiego: bool,
    /// Policy when the outcome is unknown.
    pub in_dubbio: InDubbio,
    /// Hash of the text version, first 16 hex digits of SHA-256.
    pub testo: String,
    /// Instant for which it was planned, whatever it waited for since, Unix milliseconds.
    pub dovuto_ms: i64,
    /// Instant after which it must not be sent, Unix milliseconds.
    #[serde(default)]
    pub utile_fino_ms: Option<i64>,
    /// When its event was taken, Unix milliseconds; absent for scheduled messages.
    #[serde(default)]
    pub accolto_ms: Option<i64>,
}

/// A sent message whose status is to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowRequest {
    /// Version of this body.
    pub v: u8,
    /// Which message; `attempt` is the number of this asking.
    #[serde(flatten)]
    pub message: MessageRef,
    /// The recipient: IO's status call has no other form than with the code in its path.
    pub codice_fiscale: FiscalCode,
    /// IO's id of the message.
    pub io_id: String,
    /// When it was sent, Unix milliseconds: asking ends some days later.
    pub inviato_ms: i64,
}

//! What a submitted message may hold, as data. Names are those that the API prints in its refusals; the
//! order of fields is the order in which it reports them. Legacy `legal_data`, `prescription_data` and
//! `eu_covid_cert` are here because the API still validates them.

use super::patterns::{
    FISCAL_CODE, is_email, is_fiscal_code, is_notice_number, is_organization_fiscal_code, is_ulid,
};

/// One property of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) presence: Presence,
    pub(super) kind: Kind,
}

/// What an absent property means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presence {
    /// Absent is refused.
    Required,
    /// Absent is fine, `null` is refused.
    Optional,
    /// Absent and `null` become this value.
    Default(Preset),
}

/// Value of an absent property.
#[derive(Debug, Clone, Copy)]
pub(super) enum Preset {
    Text(&'static str),
    Integer(u64),
    False,
}

/// Type of a property.
#[derive(Debug)]
pub(super) enum Kind {
    /// String of `min..=max` UTF-16 code units; the name says it.
    Length { min: usize, max: usize, name: &'static str },
    /// String that passes a check.
    Matching { is_valid: fn(&str) -> bool, name: &'static str },
    /// Integer in `min..=max`; the API checks it with a union, so it has two names.
    Integer { min: f64, max: f64, names: [&'static str; 2] },
    /// `true` or `false`.
    Boolean,
    /// Timestamp, normalised to UTC milliseconds.
    Timestamp,
    /// Object.
    Record(&'static [Part]),
}

/// One member of an intersection: it is checked on its own, and its refusals follow those of the member
/// before.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    /// Whether properties that it does not know are dropped.
    pub(super) is_exact: bool,
    pub(super) fields: &'static [Field],
}

use Kind::{Boolean, Integer, Length, Matching, Record, Timestamp};
use Presence::{Default, Optional, Required};

const fn field(name: &'static str, presence: Presence, kind: Kind) -> Field {
    Field { name, presence, kind }
}

const fn exact(name: &'static str, fields: &'static [Field]) -> Part {
    Part { name, is_exact: true, fields }
}

const NON_EMPTY: Kind = Length { min: 1, max: usize::MAX, name: "non empty string" };
const CITIZEN: Kind = Matching { is_valid: is_fiscal_code, name: FISCAL_CODE };
const FALSE: Presence = Default(Preset::False);

/// `time_to_live`: 3600 to 604800 s, default 3600.
const TIME_TO_LIVE: Field = field(
    "time_to_live",
    Default(Preset::Integer(3600)),
    Integer { min: 3600.0, max: 604_800.0, names: ["integer >= 3600 and < 604800", "604800"] },
);

const LEVEL: Field = field(
    "feature_level_type",
    Default(Preset::Text("STANDARD")),
    Matching { is_valid: |text| matches!(text, "STANDARD" | "ADVANCED"), name: "FeatureLevelType" },
);

/// The whole body.
pub(super) const MESSAGE: &[Part] = &[
    exact(
        "Exact<NewMessage>",
        &[
            field("content", Required, Record(CONTENT)),
            // The API prints the refusal of this one twice: here and in the second part.
            TIME_TO_LIVE,
            field("default_addresses", Optional, Record(DEFAULT_ADDRESSES)),
            field("fiscal_code", Optional, CITIZEN),
            LEVEL,
        ],
    ),
    Part {
        name: "{ feature_level_type: FeatureLevelType, time_to_live: (integer >= 3600 and < 604800 | 604800) }",
        is_exact: false,
        fields: &[LEVEL, TIME_TO_LIVE],
    },
];

const DEFAULT_ADDRESSES: &[Part] = &[exact(
    "Exact<NewMessageDefaultAddresses>",
    &[field(
        "email",
        Optional,
        Matching { is_valid: is_email, name: "string that represents an email address" },
    )],
)];

const CONTENT: &[Part] = &[
    exact(
        "Exact<MessageContentBase>",
        &[
            field(
                "subject",
                Required,
                Length { min: 10, max: 120, name: "string of length >= 10 and < 121" },
            ),
            field(
                "markdown",
                Required,
                Length { min: 80, max: 10_000, name: "string of length >= 80 and < 10001" },
            ),
            field("require_secure_channels", Optional, Boolean),
        ],
    ),
    exact(
        "Exact<MessageContent2>",
        &[
            field("payment_data", Optional, Record(PAYMENT_DATA)),
            field("prescription_data", Optional, Record(PRESCRIPTION_DATA)),
            field("legal_data", Optional, Record(LEGAL_DATA)),
            field("eu_covid_cert", Optional, Record(EU_COVID_CERT)),
            field("third_party_data", Optional, Record(THIRD_PARTY_DATA)),
            field("due_date", Optional, Timestamp),
        ],
    ),
];

const PAYMENT_DATA: &[Part] = &[
    exact(
        "Exact<PaymentDataBase>",
        &[
            field(
                "amount",
                Required,
                Integer {
                    min: 1.0,
                    max: 9_999_999_999.0,
                    names: ["integer >= 1 and < 9999999999", "9999999999"],
                },
            ),
            field(
                "notice_number",
                Required,
                Matching {
                    is_valid: is_notice_number,
                    name: r#"string that matches the pattern "^[0123][0-9]{17}$""#,
                },
            ),
            field("invalid_after_due_date", FALSE, Boolean),
        ],
    ),
    exact("Exact<PaymentData2>", &[field("payee", Optional, Record(PAYEE))]),
];

const PAYEE: &[Part] = &[exact(
    "Exact<Payee>",
    &[field(
        "fiscal_code",
        Required,
        Matching {
            is_valid: is_organization_fiscal_code,
            name: r#"string that matches the pattern "^[0-9]{11}$""#,
        },
    )],
)];

const PRESCRIPTION_DATA: &[Part] = &[exact(
    "Exact<PrescriptionData>",
    &[
        field("nre", Required, Length { min: 15, max: 15, name: "string of length >= 15 and < 16" }),
        field("iup", Optional, Length { min: 1, max: 16, name: "string of length >= 1 and < 17" }),
        field("prescriber_fiscal_code", Optional, CITIZEN),
    ],
)];

const LEGAL_DATA: &[Part] = &[exact(
    "Exact<LegalData>",
    &[
        field("sender_mail_from", Required, NON_EMPTY),
        field("has_attachment", FALSE, Boolean),
        field("message_unique_id", Required, NON_EMPTY),
        field("original_message_url", Optional, NON_EMPTY),
        field("pec_server_service_id", Optional, NON_EMPTY),
    ],
)];

const EU_COVID_CERT: &[Part] = &[exact(
    "Exact<EUCovidCert>",
    &[field("auth_code", Required, Length { min: 0, max: usize::MAX, name: "string" })],
)];

const THIRD_PARTY_DATA: &[Part] = &[exact(
    "Exact<ThirdPartyData>",
    &[
        field("id", Required, NON_EMPTY),
        field("original_sender", Optional, NON_EMPTY),
        field("original_receipt_date", Optional, Timestamp),
        field("has_attachments", FALSE, Boolean),
        field("has_remote_content", FALSE, Boolean),
        field(
            "has_precondition",
            Optional,
            Matching {
                is_valid: |text| matches!(text, "ALWAYS" | "ONCE" | "NEVER"),
                name: "HasPrecondition",
            },
        ),
        field("summary", Optional, NON_EMPTY),
        field(
            "configuration_id",
            Optional,
            Matching {
                is_valid: is_ulid,
                name: r#"string that matches the pattern "^[0-9a-hjkmnp-tv-zA-HJKMNP-TV-Z]{26}$""#,
            },
        ),
    ],
)];

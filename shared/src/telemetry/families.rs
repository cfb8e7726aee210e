//! Every metric of the fleet, in one table (contract.md section 9).

pub use super::family::{Family, Kind, Label, Process};

/// Values of `result` of [`EVENTS`].
pub const EVENT_RESULTS: [&str; 3] = ["accepted", "duplicate", "refused"];
/// Values of `outcome` of [`MESSAGES`]: the outcome types of contract.md section 5 without `messaggio.`.
pub const OUTCOMES: [&str; 7] =
    ["programmato", "inviato", "consegnato", "rifiutato", "scartato", "fallito", "in-dubbio"];
/// Values of `stage` of [`STAGE_DURATION`] by process.
pub const STAGES: [(Process, &[&str]); 3] = [
    (Process::Scheduler, &["intake", "claim"]),
    (Process::Renderer, &["render"]),
    (Process::Dispatcher, &["dispatch", "follow"]),
];
/// Values of `operation` of [`IO_REQUESTS`] and [`IO_REQUEST_DURATION`]: the calls of the IO API.
pub const IO_OPERATIONS: [&str; 3] = ["get_profile", "submit_message", "get_message"];
/// Values of `what` of [`RETENTION`].
pub const RETENTION_KINDS: [&str; 2] = ["shrunk", "deleted"];
/// Values of `result` of [`TRACE_SPANS`].
pub const SPAN_RESULTS: [&str; 3] = ["exported", "dropped", "failed"];
/// Values of `kind` of [`PREMIUM_MESSAGES`]: the Premium kinds, and `ripiego` for one that went STANDARD
/// after IO refused ADVANCED.
pub const PREMIUM_KINDS: [&str; 4] =
    ["promemoria-appuntamento", "promemoria-pagamento", "allegato", "ripiego"];

const SCHEDULER: &[Process] = &[Process::Scheduler];
const DISPATCHER: &[Process] = &[Process::Dispatcher];
const ALL: &[Process] = &[Process::Scheduler, Process::Renderer, Process::Dispatcher];

const ENTE: Label = Label { name: "ente", values: "id of the ente" };
const TIPO: Label = Label { name: "tipo", values: "event type of the catalogue" };
const MESSAGGIO: Label = Label { name: "messaggio", values: "message type of the catalogue" };
const ACCOUNT: Label = Label { name: "account", values: "`io.account` of the enti" };
const OPERATION: Label =
    Label { name: "operation", values: "`get_profile`, `submit_message`, `get_message`" };

/// Work inside one process: from half a millisecond to a stuck dependency.
const STAGE_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Calls to IO, up to the request timeout and beyond.
const CALL_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Delays that people notice: the target for immediate messages is 60 s (rules.md 1.2).
const DELAY_BUCKETS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0];

/// Events taken from the queue.
pub const EVENTS: Family = Family {
    name: "promemoria_events_total",
    kind: Kind::Counter,
    help: "Events taken, by what became of them. Where an event cannot be read, ente and tipo are `-`.",
    labels: &[ENTE, TIPO, Label { name: "result", values: "`accepted`, `duplicate`, `refused`" }],
    fed_by: SCHEDULER,
};
/// Armed timers.
pub const TIMERS_ARMED: Family = Family {
    name: "promemoria_timers_armed",
    kind: Kind::Gauge,
    help: "Timers armed in the fleet's store, office timers included.",
    labels: &[ENTE, Label { name: "messaggio", values: "message type, or office timer" }],
    fed_by: SCHEDULER,
};
/// How late due work leaves.
pub const TIMERS_DUE_LAG: Family = Family {
    name: "promemoria_timers_due_lag_seconds",
    kind: Kind::Histogram(DELAY_BUCKETS),
    help: "Time from the instant a timer was due to the instant it was emitted.",
    labels: &[],
    fed_by: SCHEDULER,
};
/// What is due and not claimed.
pub const SCHEDULE_DUE: Family = Family {
    name: "promemoria_schedule_due",
    kind: Kind::Gauge,
    help: "Entries of the schedule (messages, office timers, askings for a status) whose instant has come and \
           which no scheduler has claimed.",
    labels: &[ENTE, ACCOUNT],
    fed_by: SCHEDULER,
};
/// The schedule's earliest entry.
pub const SCHEDULE_NEXT: Family = Family {
    name: "promemoria_schedule_next_timestamp_seconds",
    kind: Kind::Gauge,
    help: "Instant of the schedule's earliest entry, in the past while nobody claims it; 0 without entries.",
    labels: &[ENTE],
    fed_by: SCHEDULER,
};
/// What the rest of the day asks of the account.
pub const SCHEDULE_TODAY: Family = Family {
    name: "promemoria_schedule_today",
    kind: Kind::Gauge,
    help: "Entries of the schedule until the end of the ente's day, and those on their way to IO.",
    labels: &[ENTE, ACCOUNT],
    fed_by: SCHEDULER,
};
/// Until when the day's messages are of use.
pub const SCHEDULE_DAY_END: Family = Family {
    name: "promemoria_schedule_day_end_timestamp_seconds",
    kind: Kind::Gauge,
    help: "Last second of the day of promemoria_schedule_today, in the ente's time zone; 0 until it is reckoned.",
    labels: &[ENTE, ACCOUNT],
    fed_by: SCHEDULER,
};
/// The account's budget.
pub const RATE_LIMIT_CALLS: Family = Family {
    name: "promemoria_rate_limit_calls",
    kind: Kind::Gauge,
    help: "Calls that the account may make in 5 seconds, as its enti say; 0 is no limit.",
    labels: &[ACCOUNT],
    fed_by: SCHEDULER,
};
/// Outcomes of messages.
pub const MESSAGES: Family = Family {
    name: "promemoria_messages_total",
    kind: Kind::Counter,
    help: "Outcomes of messages published.",
    labels: &[
        ENTE,
        MESSAGGIO,
        Label {
            name: "outcome",
            values: "`programmato`, `inviato`, `consegnato`, `rifiutato`, `scartato`, `fallito`, `in-dubbio`",
        },
    ],
    fed_by: ALL,
};
/// Work per stage.
pub const STAGE_DURATION: Family = Family {
    name: "promemoria_stage_duration_seconds",
    kind: Kind::Histogram(STAGE_BUCKETS),
    help: "Time one delivery, or one claim of due work, takes in a stage.",
    labels: &[Label { name: "stage", values: "`intake`, `claim`, `render`, `dispatch`, `follow`" }],
    fed_by: ALL,
};
/// From event to IO.
pub const END_TO_END: Family = Family {
    name: "promemoria_end_to_end_seconds",
    kind: Kind::Histogram(DELAY_BUCKETS),
    help: "Time from the event being taken to IO's 201, for immediate messages.",
    labels: &[MESSAGGIO],
    fed_by: DISPATCHER,
};
/// How late messages leave.
pub const SENT_LAG: Family = Family {
    name: "promemoria_sent_lag_seconds",
    kind: Kind::Histogram(DELAY_BUCKETS),
    help: "Time from the instant a message was planned for to IO's 201, waits and retries included.",
    labels: &[ENTE],
    fed_by: DISPATCHER,
};
/// Calls to IO.
pub const IO_REQUESTS: Family = Family {
    name: "promemoria_io_requests_total",
    kind: Kind::Counter,
    help: "Calls to the IO API.",
    labels: &[ENTE, OPERATION, Label { name: "status", values: "HTTP status, `none` without an answer" }],
    fed_by: DISPATCHER,
};
/// Duration of calls to IO.
pub const IO_REQUEST_DURATION: Family = Family {
    name: "promemoria_io_request_duration_seconds",
    kind: Kind::Histogram(CALL_BUCKETS),
    help: "Time of a call to the IO API, answered or not.",
    labels: &[OPERATION],
    fed_by: DISPATCHER,
};
/// Waits for the account's budget.
pub const RATE_LIMIT_WAIT: Family = Family {
    name: "promemoria_rate_limit_wait_seconds",
    kind: Kind::Histogram(CALL_BUCKETS),
    help: "Time a message waits for calls of its account's budget.",
    labels: &[ACCOUNT],
    fed_by: DISPATCHER,
};
/// What is left of the account's budget.
pub const RATE_LIMIT_REMAINING: Family = Family {
    name: "promemoria_rate_limit_remaining",
    kind: Kind::Gauge,
    help: "Calls left in the account's budget of 5 seconds, as last seen.",
    labels: &[ACCOUNT],
    fed_by: DISPATCHER,
};
/// Repetitions without budget.
pub const RETRIES_HELD: Family = Family {
    name: "promemoria_retries_held_total",
    kind: Kind::Counter,
    help: "Times a message that failed before had to wait because its account's repetitions are spent: a tenth of the fresh messages, or one a second.",
    labels: &[ACCOUNT],
    fed_by: DISPATCHER,
};
/// Messages in doubt.
pub const IN_DOUBT: Family = Family {
    name: "promemoria_in_doubt",
    kind: Kind::Gauge,
    help: "Messages that wait for an operator because their outcome is unknown.",
    labels: &[ENTE],
    fed_by: DISPATCHER,
};
/// Dead letters.
pub const DEAD: Family = Family {
    name: "promemoria_dead_total",
    kind: Kind::Counter,
    help: "Messages published to the queue promemoria.dead.",
    labels: &[Label { name: "code", values: "refusal code of docs/events.md" }],
    fed_by: ALL,
};
/// Premium messages.
pub const PREMIUM_MESSAGES: Family = Family {
    name: "promemoria_premium_messages_total",
    kind: Kind::Counter,
    help: "Messages sent ADVANCED, and those that fell back to STANDARD.",
    labels: &[
        ENTE,
        Label {
            name: "kind",
            values: "`promemoria-appuntamento`, `promemoria-pagamento`, `allegato`, `ripiego`",
        },
    ],
    fed_by: DISPATCHER,
};
/// Refused reloads.
pub const CONFIG_RELOAD_ERRORS: Family = Family {
    name: "promemoria_config_reload_errors_total",
    kind: Kind::Counter,
    help: "Reloads of the enti in which a file was refused and the old ente stayed.",
    labels: &[],
    fed_by: ALL,
};
/// The broker's alarm.
pub const BROKER_BLOCKED: Family = Family {
    name: "promemoria_broker_blocked",
    kind: Kind::Gauge,
    help: "1 while RabbitMQ takes nothing from this process because of an alarm (memory, disk), else 0.",
    labels: &[],
    fed_by: ALL,
};
/// What the broker did to the process.
pub const BROKER_FAULTS: Family = Family {
    name: "promemoria_broker_faults_total",
    kind: Kind::Counter,
    help: "Faults met at RabbitMQ: a connection lost or blocked, a message published again because its fate was \
           not known, returned because no queue took it, or refused; a consumer that ended or could not subscribe, a delivery settled \
           after its channel had gone, or dropped; a stream that was missing and made anew.",
    labels: &[Label {
        name: "kind",
        values: "`connection-lost`, `blocked`, `resent`, `returned`, `refused`, `consumer-ended`, `not-subscribed`, \
                 `stale-settlement`, `abandoned`, `stream-made`",
    }],
    fed_by: ALL,
};
/// Formats of another release.
pub const FOREIGN_FORMATS: Family = Family {
    name: "promemoria_foreign_formats_total",
    kind: Kind::Counter,
    help: "Times that a body or a store was left alone because another release wrote its format.",
    labels: &[Label { name: "format", values: "a format of docs/upgrades.md" }],
    fed_by: ALL,
};
/// The end of the certificates.
pub const CERTIFICATE_END: Family = Family {
    name: "promemoria_certificate_end_timestamp_seconds",
    kind: Kind::Gauge,
    help: "End of validity of the certificate file that a setting names, the earliest where it holds several.",
    labels: &[Label {
        name: "setting",
        values: "`amqp.tls.ca_file`, `amqp.tls.cert_file`, `redis.tls.ca_file`, `redis.tls.cert_file`",
    }],
    fed_by: ALL,
};
/// What becomes of the spans.
pub const TRACE_SPANS: Family = Family {
    name: "promemoria_trace_spans_total",
    kind: Kind::Counter,
    help: "Spans by what became of them: taken by the collector, dropped because 2048 waited for it, or lost because it was away or refused them.",
    labels: &[Label { name: "result", values: "`exported`, `dropped`, `failed`" }],
    fed_by: ALL,
};
/// The build.
pub const BUILD_INFO: Family = Family {
    name: "promemoria_build_info",
    kind: Kind::Gauge,
    help: "Always 1; the labels tell the build.",
    labels: &[
        Label { name: "version", values: "version of the fleet" },
        Label { name: "commit", values: "commit, or `unknown`" },
    ],
    fed_by: ALL,
};
/// Whether the books agree.
pub const CONSERVATION_DIFFERENCE: Family = Family {
    name: "promemoria_conservation_difference",
    kind: Kind::Gauge,
    help: "Messages on which the journal and the store differ in two comparisons one after the other: one that the \
           journal tells of is not there, waits in no set, ended in one and not in the other; or a case of which \
           the journal knows nothing. 0 when every message stands where the journal says.",
    labels: &[ENTE],
    fed_by: SCHEDULER,
};
/// When the books were compared.
pub const CONSERVATION_COMPARED: Family = Family {
    name: "promemoria_conservation_compared_timestamp_seconds",
    kind: Kind::Gauge,
    help: "End of the last comparison of journal and store, whichever scheduler made it; 0 before the first.",
    labels: &[ENTE],
    fed_by: SCHEDULER,
};
/// What retention took.
pub const RETENTION: Family = Family {
    name: "promemoria_retention_total",
    kind: Kind::Counter,
    help: "Cases and persons' facts past their time: without personal data from then on, or deleted.",
    labels: &[ENTE, Label { name: "what", values: "`shrunk`, `deleted`" }],
    fed_by: SCHEDULER,
};
/// Unknown fields of events.
pub const UNKNOWN_FIELDS: Family = Family {
    name: "promemoria_unknown_fields_total",
    kind: Kind::Counter,
    help: "Keys of `data` that neither the event type nor a template knows; they are ignored.",
    labels: &[ENTE, TIPO],
    fed_by: SCHEDULER,
};

/// All metrics of the fleet.
pub const FAMILIES: [Family; 31] = [
    EVENTS,
    UNKNOWN_FIELDS,
    RETENTION,
    TIMERS_ARMED,
    TIMERS_DUE_LAG,
    SCHEDULE_DUE,
    SCHEDULE_NEXT,
    SCHEDULE_TODAY,
    SCHEDULE_DAY_END,
    CONSERVATION_DIFFERENCE,
    CONSERVATION_COMPARED,
    MESSAGES,
    STAGE_DURATION,
    END_TO_END,
    SENT_LAG,
    IO_REQUESTS,
    IO_REQUEST_DURATION,
    RATE_LIMIT_WAIT,
    RATE_LIMIT_REMAINING,
    RETRIES_HELD,
    RATE_LIMIT_CALLS,
    IN_DOUBT,
    DEAD,
    PREMIUM_MESSAGES,
    CONFIG_RELOAD_ERRORS,
    BROKER_BLOCKED,
    BROKER_FAULTS,
    FOREIGN_FORMATS,
    CERTIFICATE_END,
    TRACE_SPANS,
    BUILD_INFO,
];

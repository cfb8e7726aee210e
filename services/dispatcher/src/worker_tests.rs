//! The loop on a broker in memory, with the doubles of IO and the ledger.

use serde_json::{Value, json};
use shared::broker::memory::MemoryBroker;
use shared::broker::topology::{Binding, Queue};
use shared::broker::topology::{DEAD_QUEUE, DISPATCH, FOLLOW, OUTCOMES, Routing, Topology, WORK};
use shared::broker::{Consumer, Outgoing};
use shared::domain::ente::Ente;
use shared::store::ledger::{Settled, Settlement};
use shared::suspects;

use super::*;
use crate::doubles::{CODE, Double, Seen, World, handler};
use crate::io_api::{Evidence, ProfileAnswer, SubmitAnswer};

/// A queue that takes every outcome, as an ente would bind one.
const ENTE_QUEUE: &str = "outcomes";

type Tested = Worker<Double, Double, Double, Arc<Ente>, MemoryBroker, Double>;

struct Bench {
    broker: MemoryBroker,
    worker: Arc<Tested>,
    world: Arc<World>,
    in_hand: TaskTracker,
}

fn bench() -> Bench {
    let mut topology = Topology::fleet();
    topology.queues.push(Queue { name: ENTE_QUEUE.to_owned(), ..topology.queues[0].clone() });
    topology.bindings.push(Binding {
        exchange: OUTCOMES.to_owned(),
        queue: ENTE_QUEUE.to_owned(),
        routing_key: "#".to_owned(),
    });
    assert!(topology.exchanges.iter().any(|it| it.name == OUTCOMES && it.routing == Routing::Topic));
    let broker = MemoryBroker::new(topology);
    let (handler, world) = handler();
    let clock = Clock::system();
    let metrics = Arc::clone(handler.metrics());
    let worker = Arc::new(Worker {
        handler,
        publisher: broker.clone(),
        suspects: Suspects::new(Double(Arc::clone(&world)), suspects::WAITING_CROWD, || true),
        outbox: Outbox::new(broker.clone(), clock.clone()),
        clock,
        metrics,
        traces: Traces::off(),
        shutdown: CancellationToken::new(),
    });
    Bench { broker, worker, world, in_hand: TaskTracker::new() }
}

impl Bench {
    async fn publish(&self, routing_key: &str, body: impl Into<Vec<u8>>) {
        let outgoing = Outgoing::new(WORK, routing_key, "m", body.into());
        self.broker.publish(outgoing).await.unwrap();
    }

    /// Runs both loops until `done`, then stops them and waits for what is in hand.
    async fn run_until(&self, done: impl Fn(&MemoryBroker) -> bool) {
        let dispatch = self.broker.subscribe(DISPATCH_QUEUE, 8);
        self.in_hand.spawn(Arc::clone(&self.worker).run::<DispatchRequest>(dispatch, self.in_hand.clone()));
        let follow = self.broker.subscribe(FOLLOW_QUEUE, 8);
        self.in_hand.spawn(Arc::clone(&self.worker).run::<FollowRequest>(follow, self.in_hand.clone()));
        let until = async {
            while !done(&self.broker) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(5), until).await.expect("within the deadline");
        self.worker.shutdown.cancel();
        self.in_hand.close();
        self.in_hand.wait().await;
    }

    fn waiting(&self, queue: &str) -> Vec<Value> {
        let bodies = self.broker.waiting(queue);
        bodies.iter().map(|body| serde_json::from_slice(body).unwrap_or(Value::Null)).collect()
    }
}

fn message(fields: &Value) -> Vec<u8> {
    let mut body = json!({
        "v": 1, "ente": "borgochiaro", "servizio": "alloggi-sociali", "pratica": "P-1",
        "messaggio": "alloggi-protocollo", "chiave": "k", "evento": "e", "caso": "c", "slot": 0, "attempt": 1,
        "codice_fiscale": CODE,
        "content": {"subject": "Domanda protocollata", "markdown": "testo", "require_secure_channels": true},
        "livello": "STANDARD", "in_dubbio": "hold", "testo": "0123456789abcdef", "dovuto_ms": 0,
        "io_id": "IO-1", "inviato_ms": 0
    });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body.to_string().into_bytes()
}

#[tokio::test(start_paused = true)]
async fn messages_and_askings_end_in_their_outcomes_and_leave_nothing_behind() {
    let bench = bench();
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.publish(FOLLOW, message(&json!({}))).await;
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 2 && broker.in_hand() == 0).await;
    let mut tipi: Vec<Value> = bench.waiting(ENTE_QUEUE).iter().map(|it| it["type"].clone()).collect();
    tipi.sort_by_key(ToString::to_string);
    assert_eq!(tipi, ["messaggio.consegnato", "messaggio.inviato"]);
    for queue in [DISPATCH_QUEUE, FOLLOW_QUEUE, DEAD_QUEUE] {
        assert!(bench.waiting(queue).is_empty(), "{queue}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_goes_to_the_dead_byte_for_byte_and_the_next_one_is_sent() {
    let bench = bench();
    let bad: [&[u8]; 2] = [b"{", &message(&json!({"codice_fiscale": "X"}))];
    for body in bad {
        bench.publish(DISPATCH, body).await;
    }
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    let mut dead = bench.broker.waiting(DEAD_QUEUE);
    dead.sort();
    let mut expected = bad.map(<[u8]>::to_vec);
    expected.sort();
    assert_eq!(dead, expected);
    let counted = |code: &str| bench.worker.metrics.fleet.dead.with_label_values(&[code]).get();
    assert_eq!((counted("json"), counted("version")), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_a_later_release_is_left_to_its_lease() {
    let bench = bench();
    bench.publish(DISPATCH, message(&json!({"v": 2, "livello": 7, "domani": true}))).await;
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    for queue in [DISPATCH_QUEUE, DEAD_QUEUE] {
        assert!(bench.waiting(queue).is_empty(), "{queue}");
    }
    assert_eq!(bench.world.settlements().len(), 1, "nothing is settled for it");
    assert_eq!(bench.worker.metrics.fleet.foreign.with_label_values(&["dispatch"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_is_not_confirmed_is_published_again_before_the_acknowledgement() {
    let bench = bench();
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.broker.fail_publishes(3);
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    assert_eq!(bench.world.settlements().len(), 1, "settled once");
    assert!(bench.waiting(DISPATCH_QUEUE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_told_late_is_recorded_once_more() {
    let bench = bench();
    bench.publish(DISPATCH, message(&json!({}))).await;
    // 0.1, 0.2, 0.4 and 0.8 s before each next one.
    bench.broker.fail_publishes(4);
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    let settlements = bench.world.settlements();
    assert!(matches!(settlements.as_slice(), [Settlement::Sent { .. }, Settlement::Sent { .. }]));
    assert_eq!(settlements[0], settlements[1]);
}

#[tokio::test(start_paused = true)]
async fn a_late_end_from_before_the_fence_undoes_nobody_elses_try_when_it_is_recorded_once_more() {
    let bench = bench();
    bench.world.profiles.lock().unwrap().push_back(ProfileAnswer::NotAllowed);
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.broker.fail_publishes(4);
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    let seen = bench.world.seen();
    let turned_back = |seen: &&Seen| matches!(seen, Seen::TurnedBack(Settlement::Discarded { .. }));
    assert_eq!(seen.iter().filter(turned_back).count(), 2, "{seen:?}");
    assert!(!seen.iter().any(|seen| matches!(seen, Seen::Settle(_))), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_doubt_that_was_told_late_stands_as_it_is() {
    let bench = bench();
    bench.world.submits.lock().unwrap().push_back(SubmitAnswer::Unknown(Evidence::Timeout));
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.broker.fail_publishes(4);
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    assert_eq!(bench.waiting(ENTE_QUEUE)[0]["type"], "messaggio.in-dubbio");
    assert_eq!(bench.world.settlements().len(), 1, "an operator may have ruled on it meanwhile");
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_told_before_a_stop_is_given_back() {
    let bench = bench();
    bench.publish(DISPATCH, message(&json!({}))).await;
    bench.broker.fail_publishes(u32::MAX);
    let world = Arc::clone(&bench.world);
    bench.run_until(move |_| !world.settlements().is_empty()).await;
    assert_eq!(bench.waiting(DISPATCH_QUEUE).len(), 1);
}

/// As often as it takes to be given up.
fn ended_every_process(bench: &Bench, queue: &str) {
    bench.world.ends.lock().unwrap().insert(Suspect::of(queue, b"k"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_ended_every_process_is_given_up_and_told() {
    let bench = bench();
    ended_every_process(&bench, DISPATCH_QUEUE);
    // New to this process: its lease ended while others were ended by the delivery before it.
    bench.publish(DISPATCH, message(&json!({"attempt": 2}))).await;
    bench.run_until(|broker| broker.waiting(DEAD_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    let told = bench.waiting(ENTE_QUEUE);
    assert_eq!(
        (told.len(), &told[0]["type"], &told[0]["data"]["codice"]),
        (1, &json!("messaggio.fallito"), &json!("attempts"))
    );
    // Before the fence: where the request of a try may have left, this ends nothing.
    assert_eq!(bench.world.seen(), [Seen::TurnedBack(Settlement::Failed { codice: "attempts".into() })]);
    assert_eq!(bench.worker.metrics.fleet.dead.with_label_values(&["attempts"]).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_may_have_left_is_no_failure_however_many_processes_it_ended() {
    let bench = bench();
    ended_every_process(&bench, DISPATCH_QUEUE);
    bench.world.settled.lock().unwrap().push_back(Ok(Settled::InDoubt));
    bench.publish(DISPATCH, message(&json!({"attempt": 2}))).await;
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    assert_eq!(bench.waiting(ENTE_QUEUE)[0]["type"], "messaggio.in-dubbio");
    assert!(bench.waiting(DEAD_QUEUE).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_asking_that_ended_every_process_is_not_made_again() {
    let bench = bench();
    ended_every_process(&bench, FOLLOW_QUEUE);
    bench.publish(FOLLOW, message(&json!({"attempt": 2}))).await;
    bench.run_until(|broker| broker.waiting(DEAD_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    assert_eq!(bench.world.seen(), [Seen::Settle(Settlement::FollowEnded)]);
    assert!(bench.waiting(ENTE_QUEUE).is_empty(), "it was sent, and stays so");
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_only_there_when_a_process_ended_is_sent_and_cleared_of_it() {
    let bench = bench();
    bench.world.ends.lock().unwrap().insert(Suspect::of(DISPATCH_QUEUE, b"k"), 1);
    bench.publish(DISPATCH, message(&json!({"attempt": 2}))).await;
    bench.run_until(|broker| broker.waiting(ENTE_QUEUE).len() == 1 && broker.in_hand() == 0).await;
    assert_eq!(bench.waiting(ENTE_QUEUE)[0]["type"], "messaggio.inviato");
    assert!(bench.world.ends.lock().unwrap().is_empty());
}

#[test]
fn the_reason_of_a_body_that_cannot_be_read_never_holds_what_it_says() {
    let body = message(&json!({"codice_fiscale": "RSSMRA85T10A562A", "livello": "SEGRETO"}));
    let reason = wire::read::<DispatchRequest>(&body).unwrap_err().to_string();
    assert!(!reason.contains("RSSMRA") && !reason.contains("SEGRETO"), "{reason}");
}

//! `dead`.

use shared::broker::{Consumer as _, DeadLetter, Deliveries, Outgoing, Publisher, RabbitMq, topology};
use shared::clock::Clock;

use crate::store::rent;
use crate::trial::{CANARY, DEADLINE, ENTE, Trial, depth};

pub(crate) async fn what_was_given_up_is_shown_and_decided(trial: &Trial) {
    let broker = trial.broker().await;
    for (id, code) in [("morto-1", "schema"), ("morto-2", "schema"), ("morto-3", "url")] {
        kill(&broker, id, code).await;
    }
    broker.close().await;
    for _ in 0..2 {
        // Looking takes nothing off.
        let (list, code) = trial.json(&["dead", "list"]).await;
        assert_eq!((list["messages"].as_array().unwrap().len(), code), (3, 1), "{list}");
    }
    let (list, _) = trial.json(&["dead", "list", "--code", "url"]).await;
    assert_eq!(list["messages"][0]["message_id"], "morto-3");
    let sheet = trial.run(&["dead", "show", "morto-2"]).await;
    assert!(sheet.out.contains("routing key  borgochiaro.pagamento.avviso-emesso"), "{}", sheet.out);
    assert!(sheet.out.contains("reason       data.nome: **************** is no name"), "{}", sheet.out);
    assert_eq!(trial.run(&["dead", "show", "nessuno"]).await.code, 1);
    let (requeued, code) = trial.json(&["dead", "requeue", "--id", "morto-2"]).await;
    assert_eq!((requeued["requeued"].as_array().unwrap().len(), code), (1, 0));
    assert_eq!(depth(&trial.settings, topology::EVENTS_QUEUE).await, 1);
    let broker = trial.broker().await;
    let mut deliveries = broker.subscribe(topology::EVENTS_QUEUE, 1);
    let again = tokio::time::timeout(DEADLINE, deliveries.next()).await.unwrap().unwrap();
    assert_eq!(again.routing_key, "borgochiaro.pagamento.avviso-emesso");
    assert_eq!((again.message_id(), again.header("x-promemoria-code")), (Some("morto-2"), None));
    assert!(again.ack());
    deliveries.stop().await;
    broker.close().await;
    let (dropped, _) = trial.json(&["dead", "drop", "--code", "schema"]).await;
    assert_eq!(dropped["dropped"].as_array().unwrap().len(), 1);
    let (dropped, code) = trial.json(&["dead", "drop", "--all"]).await;
    assert_eq!((dropped["dropped"].as_array().unwrap().len(), code), (1, 0));
    assert_eq!(trial.run(&["dead", "list"]).await.code, 0);
}

/// Publishes an event and gives it up as the scheduler does.
async fn kill(broker: &RabbitMq, id: &str, code: &str) {
    let body = rent(id, Clock::system().now()).to_string();
    let key = format!("{ENTE}.pagamento.avviso-emesso");
    let event = Outgoing::new(topology::EVENTS, &key, id, body);
    broker.publisher().publish(event).await.unwrap();
    let mut deliveries = broker.subscribe(topology::EVENTS_QUEUE, 1);
    let delivery = tokio::time::timeout(DEADLINE, deliveries.next()).await.unwrap().unwrap();
    let reason = format!("data.nome: {CANARY} is no name");
    let why = DeadLetter { code, reason: &reason, queue: topology::EVENTS_QUEUE, at: Clock::system().now() };
    broker.publisher().publish(Outgoing::dead_letter(&delivery, &why)).await.unwrap();
    assert!(delivery.ack());
    deliveries.stop().await;
}

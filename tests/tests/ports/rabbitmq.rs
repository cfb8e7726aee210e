//! RabbitMQ's adapter and its double in memory, on one contract.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use shared::broker::{
    Options, RabbitMq,
    contract::{self, Rig},
    memory::MemoryBroker,
    rabbitmq::RabbitPublisher,
    topology::Topology,
};
use tests::brokers::Brokers;

use crate::{proxy::Proxy, shared_brokers};

/// How long a broker that was just started may take to answer.
pub(crate) const START: Duration = Duration::from_mins(1);

struct Memory(MemoryBroker);

impl Memory {
    fn new() -> Self {
        Self(MemoryBroker::new(contract::topology("t")))
    }
}

impl Rig for Memory {
    type Publisher = MemoryBroker;
    type Consumer = MemoryBroker;

    fn prefix(&self) -> &'static str {
        "t"
    }
    fn publisher(&self) -> MemoryBroker {
        self.0.clone()
    }
    fn consumer(&self) -> MemoryBroker {
        self.0.clone()
    }
    async fn sever(&self) {
        self.0.sever();
    }
}

/// A real broker behind a cable, with names of its own.
pub(crate) struct Rabbit {
    prefix: String,
    pub(crate) proxy: Proxy,
    pub(crate) broker: RabbitMq,
    pub(crate) direct: String,
    _brokers: Arc<Brokers>,
}

impl Rabbit {
    /// On the broker that the tests share.
    pub(crate) async fn new(adjust: impl FnOnce(&mut Options)) -> Self {
        Self::on(shared_brokers().await, adjust).await
    }

    /// With the fleet's topology, whose names are the same for all: in a virtual host of its own.
    pub(crate) async fn of_fleet(vhost: &str) -> Self {
        let brokers = shared_brokers().await;
        let direct = brokers.vhost(vhost).await.unwrap();
        Self::at(direct, brokers, |options| options.topology = Topology::fleet()).await
    }

    pub(crate) async fn on(brokers: Arc<Brokers>, adjust: impl FnOnce(&mut Options)) -> Self {
        Self::at(brokers.amqp_url().to_owned(), brokers, adjust).await
    }

    async fn at(direct: String, brokers: Arc<Brokers>, adjust: impl FnOnce(&mut Options)) -> Self {
        let address = direct.rsplit('@').next().unwrap().trim_start_matches("amqp://");
        let address = address.split('/').next().unwrap().to_owned();
        let proxy = Proxy::to(address.clone()).await;
        let prefix = unique("t");
        let through = direct.replace(&address, &proxy.address());
        let mut options =
            Options { url: through.into(), topology: contract::topology(&prefix), ..Options::default() };
        adjust(&mut options);
        let broker = RabbitMq::start(options).unwrap();
        broker.wait_until_up(START).await.unwrap();
        Self { prefix, proxy, broker, direct, _brokers: brokers }
    }

    pub(crate) fn topology(&self) -> Topology {
        contract::topology(&self.prefix)
    }

    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}.{suffix}", self.prefix)
    }

    pub(crate) async fn close(self) {
        self.broker.close().await;
    }
}

impl Rig for Rabbit {
    type Publisher = RabbitPublisher;
    type Consumer = RabbitMq;

    fn prefix(&self) -> &str {
        &self.prefix
    }
    fn publisher(&self) -> RabbitPublisher {
        self.broker.publisher()
    }
    fn consumer(&self) -> RabbitMq {
        self.broker.clone()
    }
    /// Returns when the adapter has noticed, which it does by itself.
    async fn sever(&self) {
        let (mut links, lost) = (self.broker.links(), self.broker.counters().lost());
        self.proxy.cut();
        let both = links.wait_for(|_| self.broker.counters().lost() >= lost + 2);
        contract::soon("the loss of the connections", both).await.unwrap();
        self.broker.wait_until_up(START).await.unwrap();
    }
}

pub(crate) fn unique(stem: &str) -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    format!("{stem}{nanos}")
}

#[tokio::test]
async fn the_double_in_memory_is_a_publisher() {
    contract::publisher_contract(&Memory::new()).await;
}

#[tokio::test]
async fn the_double_in_memory_is_a_consumer() {
    contract::consumer_contract(&Memory::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_is_a_publisher() {
    let rabbit = Rabbit::new(|_| ()).await;
    contract::publisher_contract(&rabbit).await;
    rabbit.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_is_a_consumer() {
    let rabbit = Rabbit::new(|_| ()).await;
    contract::consumer_contract(&rabbit).await;
    rabbit.close().await;
}

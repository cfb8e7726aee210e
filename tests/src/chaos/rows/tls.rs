//! F55: certificates that nobody should take, of RabbitMQ, Redis and IO.

use std::sync::Arc;

use anyhow::{Context as _, ensure};

use crate::certificates::Authority;
use crate::chaos::checker::Bounds;
use crate::chaos::gate::{Face, Gate};
use crate::chaos::ground::Ground;
use crate::chaos::matrix::{Needs, Row, Seen};
use crate::chaos::trial::{Setup, Trial};

/// What is shown, and the words of the refusal: of broker and Redis, and of the dispatcher for IO.
const FAULTS: [(&str, &str, &str); 4] = [
    ("expired", "certificate expired", "tls-certificate-dates"),
    ("elsewhere", "not valid for name", "tls-certificate-name"),
    ("self-signed", "UnknownIssuer", "tls-certificate-issuer"),
    ("TLS 1.1", "peer is incompatible", "\"tls\""),
];

/// The row.
pub(in crate::chaos) fn rows() -> Vec<Row> {
    vec![Row::runs(
        "F55",
        [
            "bad certificates",
            "gates of TLS before RabbitMQ, Redis and IO; each shows an expired certificate, another host's, a self-signed one, and answers with TLS 1.1",
            "refused by name, nothing sent; never plain text; goes on by itself with a good one",
        ],
        (Needs::Lane, false),
        refused,
    )]
}

/// The three gates, each showing a good certificate at first.
struct Gates {
    authority: Authority,
    broker: Gate,
    redis: Gate,
    io: Gate,
    folder: tempfile::TempDir,
}

impl Gates {
    async fn before(ground: &Ground, io_port: u16) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("promemoria-gates-").tempdir()?;
        let authority = Authority::new(folder.path())?;
        let good = Face::Shows(Arc::new(authority.server("good")?));
        let broker = Gate::before(Ground::host_of(&ground.amqp_url)?, good.clone()).await?;
        let redis = Gate::before(Ground::host_of(&ground.redis_url)?, good.clone()).await?;
        let io = Gate::before(format!("127.0.0.1:{io_port}"), good).await?;
        Ok(Self { authority, broker, redis, io, folder })
    }

    fn face(&self, kind: &str) -> anyhow::Result<Face> {
        Ok(match kind {
            "TLS 1.1" => Face::Old,
            kind => Face::Shows(Arc::new(self.authority.server(kind)?)),
        })
    }

    /// Settings by which the services go through the gates.
    fn settings(&self, ground: &Ground) -> anyhow::Result<Vec<(String, String)>> {
        let through = |url: &str, scheme: &str, gate: &Gate| -> anyhow::Result<String> {
            let (_, rest) = url.split_once("://").context("an address has a scheme")?;
            let host = Ground::host_of(url)?;
            Ok(format!("{scheme}://{}", rest.replace(&host, &format!("127.0.0.1:{}", gate.port()))))
        };
        let ca = self.folder.path().join("ca.pem").display().to_string();
        let pairs = [
            ("PROMEMORIA__AMQP__URL", through(&ground.amqp_url, "amqps", &self.broker)?),
            ("PROMEMORIA__AMQP__TLS__CA_FILE", ca.clone()),
            ("PROMEMORIA__REDIS__URL", through(&ground.redis_url, "rediss", &self.redis)?),
            ("PROMEMORIA__REDIS__TLS__CA_FILE", ca.clone()),
            ("PROMEMORIA__IO__BASE_URL", format!("https://127.0.0.1:{}/api/v1", self.io.port())),
            // The machine's own list of authorities, which IO's certificate is held against.
            ("SSL_CERT_FILE", ca),
        ];
        Ok(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

async fn refused(ground: Ground) -> anyhow::Result<Seen> {
    let io_port = crate::brokers::free_port()?;
    let gates = Gates::before(&ground, io_port).await?;
    let mut setup = Setup::default().io_on(io_port);
    for (name, value) in gates.settings(&ground)? {
        setup = setup.variable(&name, &value);
    }
    let mut trial = Trial::start(&ground, setup).await?;
    trial.publish(10).await?;
    trial.settle().await?;
    for (kind, words, code) in FAULTS {
        servers(&trial, &gates, kind, words).await.with_context(|| kind.to_owned())?;
        io(&mut trial, &gates, kind, code).await.with_context(|| format!("IO: {kind}"))?;
    }
    trial.mended();
    trial.publish(10).await?;
    let took = trial.settle().await?;
    let report = trial.close(Bounds::default()).await?;
    Ok(Seen::new(
        format!(
            "each of four refused by all three and named; 10 more sent by good certificates within {took:.1} s"
        ),
        report,
    ))
}

/// Broker and Redis show it at once: each is refused in its own words, and nothing is ready.
async fn servers(trial: &Trial, gates: &Gates, kind: &str, words: &str) -> anyhow::Result<()> {
    let said = |who: &str| {
        let log = trial.crew.log_of("scheduler");
        log.lines().filter(|line| line.contains(who) && line.contains(words)).count()
    };
    let (of_broker, of_redis) = ("broker connection failed", "redis connection not opened");
    let before = (said(of_broker), said(of_redis));
    gates.broker.show(gates.face(kind)?);
    gates.redis.show(gates.face(kind)?);
    trial
        .wait_for("both refusals are named", async |_: &Trial| {
            Ok(said(of_broker) > before.0 && said(of_redis) > before.1)
        })
        .await?;
    for service in crate::fleet::SERVICES {
        trial.wait_readiness(service, false).await?;
    }
    gates.broker.show(gates.face("good")?);
    gates.redis.show(gates.face("good")?);
    for service in crate::fleet::SERVICES {
        trial.wait_readiness(service, true).await?;
    }
    Ok(())
}

/// IO shows it: the message waits, and is sent when IO is itself again.
async fn io(trial: &mut Trial, gates: &Gates, kind: &str, code: &str) -> anyhow::Result<()> {
    let before = trial.created().await?;
    let said = trial.crew.log_of("dispatcher").matches(code).count();
    gates.io.show(gates.face(kind)?);
    trial.publish(1).await?;
    trial
        .wait_for("the refusal is named", async |trial: &Trial| {
            Ok(trial.crew.log_of("dispatcher").matches(code).count() > said)
        })
        .await?;
    let sent = trial.created().await? - before;
    gates.io.show(gates.face("good")?);
    ensure!(sent == 0, "sent to a server that nobody should trust");
    trial.settle().await.map(drop)
}

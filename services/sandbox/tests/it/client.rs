//! What the tests call the sandbox with.

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use sandbox::{Options, Sandbox, Servizio};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Remote content configuration of the service with `chiave-uno`.
pub(crate) const CONFIGURATION: &str = "01HMVM9W74RWH93NT1EYNKKNNR";

/// A sandbox on a free port, and a client that never follows redirects.
pub(crate) struct Trial {
    pub(crate) sandbox: Sandbox,
    client: Client,
}

/// Two institutions: `chiave-uno` (Premium, no limit, secondary key `chiave-uno-bis`) and `chiave-due`
/// (not Premium, 150 calls in 5 s).
pub(crate) fn two_services() -> Options {
    let first = Servizio {
        chiave_secondaria: Some("chiave-uno-bis".to_owned()),
        premium: true,
        calls_per_5s: 0,
        nome: "Permesso di soggiorno".to_owned(),
        ente: "Comune di Borgochiaro".to_owned(),
        configurazioni_remote: vec![CONFIGURATION.to_owned()],
        ..Servizio::new("chiave-uno", "borgochiaro")
    };
    let second = Servizio::new("chiave-due", "valmora");
    Options { servizi: vec![first, second], processed_after: Duration::ZERO, ..Options::default() }
}

/// A message that any service may send.
pub(crate) fn message(fiscal_code: &str) -> Value {
    json!({
        "fiscal_code": fiscal_code,
        "content": {"subject": "La tua pratica", "markdown": "La tua pratica va avanti. ".repeat(5)},
    })
}

impl Trial {
    pub(crate) async fn start(options: Options) -> Self {
        // Fails when another test was first, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self { sandbox: Sandbox::start(options).await.unwrap(), client }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.sandbox.url()))
    }

    pub(crate) fn api(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.request(method, &format!("/api/v1{path}")).header("Ocp-Apim-Subscription-Key", key)
    }

    pub(crate) async fn submit(&self, key: &str, body: &Value) -> Response {
        self.api(Method::POST, "/messages", key).json(body).send().await.unwrap()
    }

    /// Submits a message that is accepted; its id.
    pub(crate) async fn accepted(&self, key: &str, body: &Value) -> String {
        let response = self.submit(key, body).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        response.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn status(&self, key: &str, fiscal_code: &str, id: &str) -> Value {
        let path = format!("/messages/{fiscal_code}/{id}");
        self.api(Method::GET, &path, key).send().await.unwrap().json().await.unwrap()
    }

    /// Asks until the status is the wished one; the whole answer.
    pub(crate) async fn until_status(&self, fiscal_code: &str, id: &str, wished: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let answer = self.status("chiave-uno", fiscal_code, id).await;
            if answer["status"] == wished {
                return answer;
            }
            assert!(Instant::now() < deadline, "still {} and not {wished}", answer["status"]);
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) async fn arm(&self, fault: Value) {
        let response = self.request(Method::POST, "/sandbox/faults").json(&fault).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
    }
}

/// Status and body of an error answer.
pub(crate) async fn refusal(response: Response) -> (u16, Value) {
    (response.status().as_u16(), response.json().await.unwrap())
}

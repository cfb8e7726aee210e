//! IO: reachable, and each key answers. The question is about IO's documented test citizen, who is nobody.

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use shared::settings::Io;
use url::Url;

use super::{Finding, State};
use crate::setup::Setup;

/// pagoPA's documented test citizen.
const NOBODY: &str = "AAAAAA00A00A000A";
/// Header of the service's key.
const KEY_HEADER: &str = "Ocp-Apim-Subscription-Key";

/// Asks IO with every key of every ente.
pub(super) async fn look(setup: &Setup) -> Vec<Finding> {
    let io = &setup.settings.io;
    let (Some(client), Some(profiles)) = (client(io), profiles(&io.base_url)) else {
        let mend = "check io.base_url and this machine's root certificates (ca-certificates)";
        return vec![Finding::new(State::Bad, "io", "no client can be made", mend)];
    };
    let mut findings = Vec::new();
    for ente in setup.enti.enti() {
        for (servizio, choices) in &ente.servizi {
            let secondary = choices.chiave_secondaria.as_ref().map(|key| ("chiave_secondaria", key));
            for (name, key) in std::iter::once(("chiave", &choices.chiave)).chain(secondary) {
                let what = format!("io {} {servizio} {name}", ente.id);
                match ask(&client, &profiles, key).await {
                    Ok(status) => findings.push(of_status(what, status)),
                    // The same address would be asked again and again.
                    Err(finding) => return findings.into_iter().chain([finding]).collect(),
                }
            }
        }
    }
    findings
}

fn client(io: &Io) -> Option<Client> {
    // Another part of the process may have chosen the provider already: it is the same one.
    drop(rustls::crypto::ring::default_provider().install_default());
    Client::builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(io.connect_timeout)
        .timeout(io.request_timeout)
        .build()
        .ok()
}

fn profiles(base: &Url) -> Option<Url> {
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().push("profiles");
    Some(url)
}

async fn ask(client: &Client, profiles: &Url, key: &SecretString) -> Result<StatusCode, Finding> {
    let call = client.post(profiles.clone()).header(KEY_HEADER, key.expose_secret());
    let answer = call.json(&json!({ "fiscal_code": NOBODY })).send().await;
    answer.map(|answer| answer.status()).map_err(|error| {
        let how = match () {
            () if error.is_builder() => "the key holds characters that no header takes",
            () if error.is_connect() => "no connection",
            () if error.is_timeout() => "no answer in time",
            () => "the connection broke",
        };
        let mend = "check io.base_url, name resolution and the firewall's way out to it";
        Finding::new(State::Away, "io", how, mend)
    })
}

/// What IO's answer says of a key.
fn of_status(what: String, status: StatusCode) -> Finding {
    let bad = |what, how: &str, mend: &str| Finding::new(State::Bad, what, how, mend);
    match status.as_u16() {
        200 | 404 => Finding::good(what, "the key is good"),
        429 => {
            Finding::new(State::Note, what, "the key is good, its account is at its limit", "ask again later")
        }
        401 => {
            bad(what, "IO does not know the key (401)", "copy the service's key from IO's back office again")
        }
        403 => bad(
            what,
            "the key may not do this (403)",
            "ask pagoPA to enable the service and this machine's address",
        ),
        500.. => {
            Finding::new(State::Away, what, format!("IO fails ({})", status.as_u16()), "ask again later")
        }
        code => bad(what, &format!("unexpected answer {code}"), "check that io.base_url ends in /api/v1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_the_key_is_good() {
        for (status, state) in [
            (200, State::Good),
            (404, State::Good),
            (429, State::Note),
            (401, State::Bad),
            (403, State::Bad),
            (301, State::Bad),
            (502, State::Away),
        ] {
            let finding = of_status("x".to_owned(), StatusCode::from_u16(status).unwrap());
            assert_eq!(finding.state, state, "{status}");
            assert!(state == State::Good || !finding.mend.is_empty(), "{status}");
        }
    }

    #[test]
    fn the_question_goes_to_profiles_below_the_base() {
        for base in ["https://api.io.pagopa.it/api/v1", "https://api.io.pagopa.it/api/v1/"] {
            let url = profiles(&Url::parse(base).unwrap()).unwrap();
            assert_eq!(url.as_str(), "https://api.io.pagopa.it/api/v1/profiles");
        }
    }
}

//! The inbox as a page: structure, labels, escaping.

use crate::client::{CONFIGURATION, Trial, two_services};
use reqwest::{Method, Response};
use sandbox::recipients;
use scraper::{ElementRef, Html, Selector};
use serde_json::{Value, json};

const ENTE: &str = "Comune di Borgochiaro";

/// Button, payment, due date, attachment, Premium, and text that tries to be HTML.
pub(crate) fn rich_message() -> Value {
    json!({
        "fiscal_code": recipients::ON_IO,
        "feature_level_type": "ADVANCED",
        "content": {
            "subject": "Avviso <script>alert(1)</script>",
            "markdown": "---\nit:\n    cta_1:\n        text: \"Prenota <b>ora</b>\"\n        action: \
                         \"iohandledlink://https://servizi.example.it/?a=1&b=\\\"2\\\"\"\n---\n\n# Le spese\n\nDevi \
                         pagare **entro la scadenza**. <img src=x onerror=alert(1)>\n\n[Leggi](https://example.it)",
            "due_date": "2027-02-28T22:59:59Z",
            "payment_data": {"amount": 123_456, "notice_number": "301000000000000017"},
            "third_party_data": {"id": "doc-1", "configuration_id": CONFIGURATION, "has_attachments": true},
        },
    })
}

async fn page(response: Response) -> Html {
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
    let html = response.text().await.unwrap();
    let page = Html::parse_document(&html);
    assert_eq!(page.errors, Vec::<String>::new(), "not well-formed");
    page
}

fn all<'a>(page: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    page.select(&Selector::parse(selector).unwrap()).collect()
}

fn text(page: &Html, selector: &str) -> String {
    let found = all(page, selector);
    let first = found.first().unwrap_or_else(|| panic!("no {selector}"));
    first.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a screen reader needs on every page.
fn assert_accessible(page: &Html) {
    assert_eq!(all(page, "html[lang=it]").len(), 1);
    assert_eq!(all(page, "main").len(), 1);
    assert_eq!(all(page, "h1").len(), 1);
    assert_eq!(all(page, "a[href='#contenuto']").len(), 1, "skip link");
    assert!(all(page, "script, [style], [onclick], [onerror]").is_empty());
    for input in all(page, "input") {
        let id = input.attr("id").unwrap();
        assert_eq!(all(page, &format!("label[for='{id}']")).len(), 1, "label of {id}");
    }
    for element in all(page, "[aria-labelledby], [aria-describedby]") {
        for name in ["aria-labelledby", "aria-describedby"] {
            if let Some(id) = element.attr(name) {
                assert_eq!(all(page, &format!("[id='{id}']")).len(), 1, "{name}={id}");
            }
        }
    }
}

#[tokio::test]
async fn the_list_shows_what_each_message_is_and_escapes_it() {
    let trial = Trial::start(two_services()).await;
    let id = trial.accepted("chiave-uno", &rich_message()).await;
    let list = page(trial.get("/").await).await;
    assert_accessible(&list);
    let link = format!(".busta h2 a[href='/messaggi/{id}']");
    assert_eq!(text(&list, &link), "Non letto: Avviso <script>alert(1)</script>");
    assert_eq!(text(&list, ".mittente .nome"), ENTE);
    let badges: Vec<String> = all(&list, ".segni li").iter().map(|badge| badge.text().collect()).collect();
    assert_eq!(badges, ["Da pagare 1.234,56\u{a0}€", "Scade il 28 febbraio 2027", "Allegato", "Premium"]);
    assert!(text(&list, ".assaggio").starts_with("Le spese Devi pagare entro la scadenza."));
}

#[tokio::test]
async fn the_message_page_has_every_part_of_the_message() {
    let trial = Trial::start(two_services()).await;
    let id = trial.accepted("chiave-uno", &rich_message()).await;
    let message = page(trial.get(&format!("/messaggi/{id}")).await).await;
    assert_accessible(&message);
    assert_eq!(text(&message, "h1"), "Avviso <script>alert(1)</script>");
    assert_eq!(text(&message, "section.scadenza"), "Scade il 28 febbraio 2027 alle ore 23:59");
    assert_eq!(text(&message, ".testo h2"), "Le spese");
    assert!(text(&message, ".testo").contains("<img src=x onerror=alert(1)>"));
    assert!(all(&message, ".testo img").is_empty());
    assert_eq!(text(&message, ".importo"), "1.234,56 €");
    assert_eq!(all(&message, "data[value='301000000000000017']").len(), 1);
    assert!(text(&message, "section.riquadro").contains("doc-1"));
    assert_eq!(text(&message, "form[method=post] button"), "Paga");
    let button = all(&message, "a.pulsante")[0];
    assert_eq!(button.attr("href"), Some("https://servizi.example.it/?a=1&b=\"2\""));
    assert_eq!(button.text().collect::<String>(), "Prenota <b>ora</b>");
    assert!(text(&message, ".note").contains("codice HTML"));
    let english = page(trial.get(&format!("/messaggi/{id}?lingua=en")).await).await;
    assert!(all(&english, "a.pulsante").is_empty(), "no English block, no button");
}

#[tokio::test]
async fn opening_reads_and_paying_pays() {
    let trial = Trial::start(two_services()).await;
    let id = trial.accepted("chiave-uno", &rich_message()).await;
    let before = trial.until_status(recipients::ON_IO, &id, "PROCESSED").await;
    assert_eq!((&before["read_status"], &before["payment_status"]), (&json!("UNREAD"), &json!("NOT_PAID")));
    trial.get(&format!("/messaggi/{id}")).await;
    let paid = trial.request(Method::POST, &format!("/messaggi/{id}/pagamento")).send().await.unwrap();
    assert_eq!(paid.status(), 303);
    let after = trial.status("chiave-uno", recipients::ON_IO, &id).await;
    assert_eq!((&after["read_status"], &after["payment_status"]), (&json!("READ"), &json!("PAID")));
    assert_eq!(text(&page(trial.get(&format!("/messaggi/{id}")).await).await, ".pagato"), "Pagato");
}

#[tokio::test]
async fn a_front_matter_that_the_app_cannot_decode_hides_the_text() {
    let trial = Trial::start(two_services()).await;
    let mut broken = rich_message();
    broken["content"]["markdown"] = format!("---\nuno: due: tre\n---\n{}", "Testo. ".repeat(20)).into();
    let id = trial.accepted("chiave-uno", &broken).await;
    let message = page(trial.get(&format!("/messaggi/{id}")).await).await;
    assert_eq!(all(&message, "[role=alert]").len(), 1);
    assert!(all(&message, ".testo").is_empty());
}

#[tokio::test]
async fn messages_are_found_by_recipient_and_by_text() {
    let trial = Trial::start(two_services()).await;
    trial.accepted("chiave-uno", &rich_message()).await;
    for (query, found) in [
        ("codice_fiscale=aaaaaa00a00a000a", 1),
        ("codice_fiscale=ZZZNIO80A01H501B", 0),
        ("testo=ENTRO+LA", 1),
        ("testo=altrove", 0),
        ("prima=1", 0),
        ("prima=x", 1),
    ] {
        let list = page(trial.get(&format!("/?{query}")).await).await;
        assert_eq!(all(&list, ".busta").len(), found, "{query}");
        assert_accessible(&list);
    }
    let wrong = page(trial.get("/?codice_fiscale=%22%3E%3Cb%3E").await).await;
    assert_eq!(all(&wrong, "input[aria-invalid=true]").len(), 1);
    assert_eq!(all(&wrong, "#codice_fiscale")[0].attr("value"), Some("\"><B>"));
}

#[tokio::test]
async fn a_long_list_goes_on_over_pages() {
    let trial = Trial::start(two_services()).await;
    for _ in 0..41 {
        trial.accepted("chiave-uno", &rich_message()).await;
    }
    let first = page(trial.get("/?testo=spese").await).await;
    assert_eq!(all(&first, ".busta").len(), 40);
    let older = all(&first, ".altri a")[0].attr("href").unwrap().to_owned();
    assert_eq!(all(&page(trial.get(&older).await).await, ".busta").len(), 1);
}

#[tokio::test]
async fn a_page_that_is_not_there_says_so() {
    let trial = Trial::start(two_services()).await;
    let response = trial.get("/messaggi/nessuno").await;
    assert_eq!(response.status(), 404);
    assert_accessible(&page(response).await);
}

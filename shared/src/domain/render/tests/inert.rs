//! Property: a user's text shows as it is and never becomes structure, link or code.

use std::sync::LazyLock;

use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser};

use super::fixture::{ente, request};
use super::golden::{real_catalogue, story_fields};
use crate::domain::Field;
use crate::domain::catalogue::{Catalogue, InDubbio, TipoCampo};
use crate::domain::ente::Ente;
use crate::domain::render::markdown::{CLOSE, OPEN, escape};
use crate::domain::render::plain::plain;
use crate::domain::render::{Texts, render};

/// Shapes in which a text may meet a template; `‹0›` and `‹1›` are the texts.
const TEMPLATES: [&str; 18] = [
    "Presso ‹0›, per ‹1›.",
    "‹0›",
    "‹0›\n‹1›",
    "‹0›‹1›",
    "Uno\n‹0›\n\n‹1›\n",
    "- ‹0›\n- ‹1›",
    "1. ‹0›\n2. ‹1›",
    "> ‹0›\n> ‹1›",
    "## ‹0›\n\n‹1›",
    "# A ‹0›\n‹1›",
    "**Dove:** ‹0›\n\n*‹1›*",
    "**‹0›** e __‹1›__",
    "[‹0›](https://a.example.it) ‹1›[qui](https://b.example.it)",
    "‹0›[qui](https://b.example.it)‹1›",
    "a | b\n‹0›\n‹1›",
    "1‹0›\n-‹1›",
    "`x` ‹0› `y` ‹1›",
    "[qui]‹0› (‹1›)",
];

/// Kinds of the events, with the texts between them joined.
fn structure(markdown: &str) -> (Vec<String>, String) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut kinds: Vec<String> = Vec::new();
    let mut shown = String::new();
    for event in Parser::new_ext(markdown, options) {
        let kind = match event {
            Event::Text(text) => {
                shown.push_str(&text);
                "text".to_owned()
            }
            Event::SoftBreak => {
                shown.push('\n');
                "break".to_owned()
            }
            other => format!("{other:?}"),
        };
        if kind != "text" || kinds.last().is_none_or(|last| last != "text") {
            kinds.push(kind);
        }
    }
    (kinds, shown)
}

fn filled(template: &str, texts: [&str; 2]) -> String {
    let [first, second] = texts.map(|text| format!("{OPEN}{text}{CLOSE}"));
    escape(&template.replace("‹0›", &first).replace("‹1›", &second))
}

/// Whether GFM would make a link of something outside the template's own links.
fn has_plain_link(markdown: &str) -> bool {
    let mut own = markdown.to_lowercase();
    for good in ["https://a.example.it", "https://b.example.it", "\\://"] {
        // Something stays in its place: what stood on both sides is no link either.
        own = own.replace(good, "\0");
    }
    let at = own.char_indices().filter(|(_, c)| *c == '@').any(|(at, _)| {
        let before = own[..at].chars().next_back();
        let after = own[at + 1..].chars().next();
        before.is_some_and(|c| c.is_alphanumeric() || "._-+".contains(c))
            && after.is_some_and(char::is_alphanumeric)
    });
    own.contains("www.") || own.contains("://") || at
}

/// Texts full of what Markdown reads, next to any characters at all.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "*", "**", "_", "__", "`", "```", "~", "~~~", "[", "]", "(", ")", "<", ">", "#", "##", "-", "--",
            "---", "+", "=", "===", "|", ":", "!", "&", "&amp;", "&#35;", "\\", ".", "1.", "2)", "10", "\"",
            "'", "{", "}", "{#x}", "^", "@", "$", "/", "//", ";", "\n", "\n\n", "\t", " ", "    ", "\r",
        ]),
        1 => prop::sample::select(vec![
            "https://evil.example", "http://x.y", "www.evil.it", "a@b.it", "mailto:a@b.it", "<b>", "</b>",
            "<!--", "<br>", "![](x)", "[a](b)", "[a]: b", "{{ 7*7 }}", "{% if x %}", "[^1]", "[x] ", "&lt",
            "javascript:alert(1)", "| a | b |", "|---|", ":-:", "<https://x.y>", "\u{202E}", "\u{200B}",
            "è", "😀", "Ⓐ", "🄰", "½", "Ⅷ", "a", "Via Roma 1", "snake_case",
        ]),
    ];
    (prop::collection::vec(piece, 0..12), any::<String>(), any::<bool>())
        .prop_map(|(pieces, any, with_any)| if with_any { pieces.concat() + &any } else { pieces.concat() })
        .prop_filter_map("a text that shows something", |text| {
            let text = plain(&text);
            (!text.is_empty()).then_some(text)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn users_texts_show_as_they_are_and_change_no_structure(first in text(), second in text()) {
        for template in TEMPLATES {
            let markdown = filled(template, [&first, &second]);
            let (kinds, shown) = structure(&markdown);
            let (plain_kinds, plain_shown) = structure(&filled(template, ["QzX0", "QzX1"]));
            prop_assert_eq!(&kinds, &plain_kinds, "{:?}", markdown);
            let expected = plain_shown.replace("QzX0", &first).replace("QzX1", &second);
            prop_assert_eq!(shown, expected, "{:?}", markdown);
            prop_assert!(!has_plain_link(&markdown), "{:?}", markdown);
            prop_assert!(!markdown.starts_with("---"));
        }
    }
}

/// The catalogue, an ente and the texts, compiled once for all cases.
static READY: LazyLock<(Catalogue, Ente, Texts)> = LazyLock::new(|| {
    let (catalogue, ente) = (real_catalogue(), ente(true));
    let texts = Texts::compile(&catalogue, [&ente]).unwrap_or_else(|faults| panic!("{faults:#?}"));
    (catalogue, ente, texts)
});

/// Every message type of the catalogue, with the same text for each variable of type text.
fn of_the_catalogue(text: &str) -> Vec<(String, String)> {
    let (catalogue, ente, texts) = &*READY;
    let mut messages = Vec::new();
    for (servizio, service) in &catalogue.servizi {
        for (id, messaggio) in &service.messaggi {
            let mut campi = story_fields();
            for variabile in messaggio.variabili.iter().filter(|v| v.tipo == TipoCampo::Testo) {
                campi.insert(variabile.nome.clone(), Field::Text(text.to_owned()));
            }
            // The number of a case stands in a url too: what it may hold there is another test's matter.
            campi.insert("numero_pratica".to_owned(), Field::Text("1".to_owned()));
            campi.insert("numero_protocollo".to_owned(), Field::Text("1".to_owned()));
            let request = request(ente, servizio, id, campi);
            let sent = render(texts, catalogue, ente, &request, InDubbio::Hold).unwrap();
            messages.push((id.clone(), sent.content.markdown));
        }
    }
    messages
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_no_message_of_the_catalogue_does_a_text_change_the_structure(text in text()) {
        for ((id, markdown), (_, inert)) in of_the_catalogue(&text).iter().zip(of_the_catalogue("QzX0")) {
            let ((kinds, shown), (plain_kinds, plain_shown)) = (structure(markdown), structure(&inert));
            prop_assert_eq!(kinds, plain_kinds, "{} {:?}", id, markdown);
            prop_assert_eq!(shown, plain_shown.replace("QzX0", &text), "{} {:?}", id, markdown);
        }
    }
}

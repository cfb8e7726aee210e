//! Buttons from the YAML front matter, read with the rules of the IO app (npm front-matter 4.0.2 and the
//! app's own decoding), which are not those of any YAML tool.

use serde::{Deserialize, Serialize};
use serde_yaml_ng::Value;

/// Language in which a citizen uses the app; the app knows buttons in these two only.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Language {
    #[default]
    It,
    En,
}

/// One button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Button {
    pub(super) text: String,
    pub(super) action: Action,
}

/// What a button does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Opens an address: `https:`, `http:`, `tel:`, `sms:`, `mailto:`.
    Open(String),
    /// Does something inside the app: copies, goes to a page of the app, signs in elsewhere.
    InApp,
    /// Nothing: the app does not know the scheme.
    Unknown,
}

/// A message's text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) body: String,
    /// None, one or two.
    pub(super) buttons: Vec<Button>,
    /// The app cannot decode the front matter: it hides the body behind an alert.
    pub(super) is_undecodable: bool,
    /// What the writer should know, in Italian.
    pub(super) notes: Vec<String>,
}

/// Takes a text apart as the app does for a citizen who uses it in `language`.
pub(super) fn read(markdown: &str, language: Language) -> Letter {
    let plain = |body: &str| Letter {
        body: body.to_owned(),
        buttons: Vec::new(),
        is_undecodable: false,
        notes: Vec::new(),
    };
    let Some((header, body)) = split(markdown) else { return plain(markdown) };
    let mut letter = plain(body);
    match serde_yaml_ng::from_str::<Value>(&untabbed(header)) {
        Err(_) => {
            letter.is_undecodable = true;
            letter.notes.push("Il front matter non è YAML valido: l’app nasconde il testo.".to_owned());
        }
        Ok(attributes) => match buttons(&attributes, language) {
            Ok(buttons) => letter.buttons = buttons,
            Err(note) => letter.notes.push(note.to_owned()),
        },
    }
    for button in letter.buttons.iter().filter(|button| button.action == Action::Unknown) {
        letter
            .notes
            .push(format!("L’azione del pulsante «{}» non è tra quelle che l’app apre.", button.text));
    }
    letter
}

/// Header and body. There is a header when the first line holds a marker, some line is exactly a marker,
/// and a later one closes it.
fn split(text: &str) -> Option<(&str, &str)> {
    let first = text.lines().next()?;
    if !first.contains("---") && !first.contains("= yaml =") {
        return None;
    }
    let mut lines = line_spans(text).into_iter();
    let (marker, header_from) = lines.find_map(|(from, to, next)| {
        let line = text.get(from..to)?;
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        matches!(line, "---" | "= yaml =").then_some((line, next))
    })?;
    let closing = lines.find(|&(from, to, _)| {
        text.get(from..to).is_some_and(|line| {
            let end = line.trim_end();
            end == marker || end == "..."
        })
    })?;
    let body = text.get(closing.2..)?;
    // The app's pattern takes the blank lines after the closing marker along.
    let blank = body.len() - body.trim_start().len();
    let body_from = body.get(..blank)?.rfind('\n').map_or(0, |at| at + 1);
    Some((text.get(header_from..closing.0)?, body.get(body_from..)?))
}

/// Start, end without the line break, and start of the following line, of every line.
fn line_spans(text: &str) -> Vec<(usize, usize, usize)> {
    let mut from = 0;
    text.split_inclusive('\n')
        .map(|line| {
            let span = (from, from + line.trim_end_matches(['\n', '\r']).len(), from + line.len());
            from = span.2;
            span
        })
        .collect()
}

/// The app's YAML reader takes a tab for nothing, so that what it indents is not nested.
fn untabbed(header: &str) -> String {
    header.lines().map(|line| line.trim_start_matches('\t')).collect::<Vec<_>>().join("\n")
}

/// The buttons of one language, or why there are none.
fn buttons(attributes: &Value, language: Language) -> Result<Vec<Button>, &'static str> {
    const MALFORMED: &str = "Il front matter non ha la forma dei pulsanti (it / en, cta_1, cta_2, text, \
                             action): l’app non ne mostra.";
    let it = block(attributes, "it").map_err(|()| MALFORMED)?;
    let en = block(attributes, "en").map_err(|()| MALFORMED)?;
    let wanted = match language {
        Language::It => it,
        Language::En => en,
    };
    let buttons = wanted.ok_or("Manca il blocco di questa lingua: chi la usa non vede pulsanti.")?;
    if buttons.iter().all(|button| button.action == Action::Unknown) {
        return Err("Nessun pulsante ha un’azione che l’app apre: non ne mostra.");
    }
    Ok(buttons)
}

/// The buttons of one block; an absent block is fine.
fn block(attributes: &Value, name: &str) -> Result<Option<Vec<Button>>, ()> {
    let Some(block) = attributes.get(name) else { return Ok(None) };
    let first = block.get("cta_1").and_then(button).ok_or(())?;
    match block.get("cta_2") {
        None => Ok(Some(vec![first])),
        Some(second) => Ok(Some(vec![first, button(second).ok_or(())?])),
    }
}

fn button(value: &Value) -> Option<Button> {
    let text = value.get("text")?.as_str()?.to_owned();
    Some(Button { text, action: action(value.get("action")?.as_str()?) })
}

fn action(text: &str) -> Action {
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("ioit://") || lower.starts_with("iosso://https://") {
        return Action::InApp;
    }
    let handled = "iohandledlink://";
    let (Some(target), Some(lower)) = (text.get(handled.len()..), lower.strip_prefix(handled)) else {
        return Action::Unknown;
    };
    match lower.split_once(':') {
        Some(("http" | "https" | "sms" | "tel" | "mailto", _)) => Action::Open(target.to_owned()),
        Some(("copy", _)) => Action::InApp,
        _ => Action::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str =
        "it:\n    cta_1:\n        text: \"Prenota\"\n        action: \"iohandledlink://https://x.it\"\n";

    #[test]
    fn the_header_is_found_where_the_app_finds_it() {
        for (case, text, expected) in [
            ("ok", format!("---\n{BLOCK}---\n\n# Ciao"), Some("# Ciao")),
            ("crlf", format!("---\n{BLOCK}---\n# Ciao").replace('\n', "\r\n"), Some("# Ciao")),
            ("byte order mark", format!("\u{feff}---\n{BLOCK}---\n# Ciao"), Some("# Ciao")),
            ("closed by dots", format!("---\n{BLOCK}...\n# Ciao"), Some("# Ciao")),
            ("trailing space", format!("---\n{BLOCK}---  \n# Ciao"), Some("# Ciao")),
            ("yaml marker", format!("= yaml =\n{BLOCK}= yaml =\n# Ciao"), Some("# Ciao")),
            ("leading line", format!("\n---\n{BLOCK}---\n# Ciao"), None),
            ("leading space", format!(" ---\n{BLOCK}---\n# Ciao"), None),
            ("not closed", format!("---\n{BLOCK}# Ciao"), None),
            ("rule in the body", "# Ciao\n\n---\n\nTesto".to_owned(), None),
        ] {
            let letter = read(&text, Language::It);
            assert_eq!(letter.body, expected.unwrap_or(&text), "{case}");
            assert_eq!(letter.buttons.len(), usize::from(expected.is_some()), "{case}");
            assert!(!letter.is_undecodable, "{case}");
        }
    }

    #[test]
    fn tabs_break_the_nesting_and_broken_yaml_hides_the_body() {
        let tabbed = read("---\nit:\n\tcta_1:\n\t\ttext: a\n---\nBody", Language::It);
        assert_eq!((tabbed.buttons.len(), tabbed.is_undecodable), (0, false));
        assert!(read("---\nTesto: uno: due\n---\nBody", Language::It).is_undecodable);
    }

    #[test]
    fn a_missing_language_has_no_buttons() {
        let text = format!("---\n{BLOCK}---\n# Ciao");
        assert_eq!(read(&text, Language::It).buttons.len(), 1);
        assert!(read(&text, Language::En).buttons.is_empty());
    }

    #[test]
    fn actions_are_those_that_the_app_opens() {
        for (text, expected) in [
            ("iohandledlink://https://a.it/?q=1", Action::Open("https://a.it/?q=1".to_owned())),
            ("IOHandledLink://tel:+390600000000", Action::Open("tel:+390600000000".to_owned())),
            ("iohandledlink://copy:123", Action::InApp),
            ("ioit://main/messages", Action::InApp),
            ("iosso://https://a.it", Action::InApp),
            ("iosso://http://a.it", Action::Unknown),
            ("iohandledlink://javascript:alert(1)", Action::Unknown),
            ("https://a.it", Action::Unknown),
        ] {
            assert_eq!(action(text), expected, "{text}");
        }
    }
}

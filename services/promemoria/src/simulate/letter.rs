//! A message's text taken apart as the app shows it: body and Italian buttons.

use minijinja::HtmlEscape;
use pulldown_cmark::{Event, Parser, Tag, TagEnd, html};
use serde_yaml_ng::Value;

/// Body and buttons.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Letter<'a> {
    pub(super) body: &'a str,
    pub(super) buttons: Vec<Button>,
}

/// A button.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Button {
    pub(super) text: String,
    pub(super) url: String,
}

/// Takes a rendered text apart. Ours has its front matter first, between lines of `---`.
pub(super) fn read(markdown: &str) -> Letter<'_> {
    let parts = markdown.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    let Some((front, body)) = parts else { return Letter { body: markdown, buttons: Vec::new() } };
    let front: Option<Value> = serde_yaml_ng::from_str(front).ok();
    let italian = front.as_ref().and_then(|front| front.get("it"));
    let buttons = ["cta_1", "cta_2"].into_iter().filter_map(|name| {
        let button = italian?.get(name)?;
        let url = button.get("action")?.as_str()?;
        let url = url.strip_prefix("iohandledlink://").unwrap_or(url).to_owned();
        Some(Button { text: button.get("text")?.as_str()?.to_owned(), url })
    });
    Letter { body: body.trim_start_matches('\n'), buttons: buttons.collect() }
}

/// A body as HTML: every character of it is text, whatever it looks like. Links are shown, not followed:
/// the page is to be read and printed.
pub(super) fn html(body: &str) -> String {
    let events = Parser::new(body).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::SoftBreak => Event::HardBreak,
        Event::Start(Tag::Link { dest_url, .. }) => {
            let shown = HtmlEscape(&dest_url).to_string();
            Event::InlineHtml(format!("<span class=\"link\" title=\"{shown}\">").into())
        }
        Event::End(TagEnd::Link) => Event::InlineHtml("</span>".into()),
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_gives_the_italian_button() {
        let text = "---\nit:\n    cta_1:\n        text: \"Prenota\"\n        action: \"iohandledlink://https://x.it\"\n\
                    en:\n    cta_1:\n        text: \"Book\"\n        action: \"iohandledlink://https://x.it\"\n---\n\nCiao";
        let button = Button { text: "Prenota".to_owned(), url: "https://x.it".to_owned() };
        assert_eq!(read(text), Letter { body: "Ciao", buttons: vec![button] });
        assert_eq!(read("Ciao\n---\nx"), Letter { body: "Ciao\n---\nx", buttons: Vec::new() });
    }

    #[test]
    fn nothing_of_a_text_becomes_markup_of_its_own() {
        let page = html("<script>alert(1)</script>\n\nuno **due** <b>tre</b> [qui](https://x.it/?a=\"b\")");
        assert!(page.contains("&lt;script&gt;") && page.contains("<strong>due</strong>"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("<script") && !page.contains("<a "), "{page}");
    }
}

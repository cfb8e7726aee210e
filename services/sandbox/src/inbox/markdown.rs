//! Markdown as the IO app draws it: raw HTML is text, a line break is a line break, tables and
//! strikethrough vanish, headings from the fourth on are body text.

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// A text, drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drawn {
    /// Safe HTML: every character of the text is escaped.
    pub(super) html: String,
    /// What the writer should know, in Italian; each once.
    pub(super) notes: Vec<&'static str>,
}

const TABLE: &str = "C’è una tabella: l’app non la mostra affatto.";
const STRIKETHROUGH: &str = "C’è del testo barrato (~~): l’app non lo mostra affatto.";
const RAW_HTML: &str = "C’è del codice HTML: l’app lo mostra così com’è scritto.";
const LINK: &str = "C’è un collegamento che l’app non apre: usa https, mailto, tel o sms.";
const IMAGE: &str = "C’è un’immagine: qui se ne vede solo la descrizione.";

/// Draws a body (without front matter).
pub(super) fn draw(body: &str) -> Drawn {
    let mut painter = Painter::default();
    let mut events = Vec::new();
    for event in Parser::new_ext(body, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        painter.paint(event, &mut events);
    }
    let mut html = String::new();
    html::push_html(&mut html, events.into_iter());
    Drawn { html, notes: painter.notes }
}

/// The text alone, in one line, at most `limit` characters.
pub(super) fn snippet(body: &str, limit: usize) -> String {
    let mut text = String::new();
    for event in Parser::new(body) {
        match event {
            Event::Text(part) | Event::Code(part) | Event::Html(part) | Event::InlineHtml(part) => {
                text.push_str(&part);
            }
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image) => {}
            Event::SoftBreak | Event::HardBreak | Event::End(_) => text.push(' '),
            _ => {}
        }
    }
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(limit) {
        Some((at, _)) => format!("{}…", words.get(..at).unwrap_or_default().trim_end()),
        None => words,
    }
}

#[derive(Debug, Default)]
struct Painter {
    /// Depth inside what the app does not draw.
    hidden: usize,
    /// Whether each open link can be opened.
    links: Vec<bool>,
    notes: Vec<&'static str>,
}

impl Painter {
    fn paint<'a>(&mut self, event: Event<'a>, out: &mut Vec<Event<'a>>) {
        match &event {
            Event::Start(Tag::Table(_)) => self.hide(TABLE),
            Event::Start(Tag::Strikethrough) => self.hide(STRIKETHROUGH),
            Event::End(TagEnd::Table | TagEnd::Strikethrough) => {
                self.hidden = self.hidden.saturating_sub(1);
                return;
            }
            _ => {}
        }
        if self.hidden > 0 {
            return;
        }
        match event {
            Event::SoftBreak => out.push(Event::HardBreak),
            Event::Html(raw) | Event::InlineHtml(raw) => self.raw_html(&raw, out),
            Event::Start(tag) => self.start(tag, out),
            Event::End(tag) => self.end(tag, out),
            other => out.push(other),
        }
    }

    fn start<'a>(&mut self, tag: Tag<'a>, out: &mut Vec<Event<'a>>) {
        let tag = match tag {
            Tag::HtmlBlock => Tag::Paragraph,
            Tag::Heading { level, .. } => match lowered(level) {
                Some(level) => Tag::Heading { level, id: None, classes: Vec::new(), attrs: Vec::new() },
                None => Tag::Paragraph,
            },
            Tag::Link { dest_url, .. } => {
                let can_open = can_open(&dest_url);
                self.links.push(can_open);
                if !can_open {
                    self.note(LINK);
                    return out.push(Event::InlineHtml("<span class=\"chiuso\">".into()));
                }
                Tag::Link {
                    link_type: pulldown_cmark::LinkType::Inline,
                    dest_url,
                    title: "".into(),
                    id: "".into(),
                }
            }
            Tag::Image { .. } => {
                self.note(IMAGE);
                return out.push(Event::InlineHtml("<span class=\"immagine\">".into()));
            }
            other => other,
        };
        out.push(Event::Start(tag));
    }

    fn end(&mut self, tag: TagEnd, out: &mut Vec<Event<'_>>) {
        let closing = || Event::InlineHtml("</span>".into());
        out.push(match tag {
            TagEnd::HtmlBlock => Event::End(TagEnd::Paragraph),
            TagEnd::Heading(level) => Event::End(lowered(level).map_or(TagEnd::Paragraph, TagEnd::Heading)),
            TagEnd::Link if self.links.pop() == Some(false) => closing(),
            TagEnd::Image => closing(),
            other => Event::End(other),
        });
    }

    /// `<br>` is a line break, anything else is text.
    fn raw_html<'a>(&mut self, raw: &CowStr<'a>, out: &mut Vec<Event<'a>>) {
        let line = raw.trim_end_matches(['\n', '\r']);
        if matches!(line.to_ascii_lowercase().as_str(), "<br>" | "<br/>" | "<br />") {
            return out.push(Event::HardBreak);
        }
        self.note(RAW_HTML);
        out.push(Event::Text(line.to_owned().into()));
        if line.len() < raw.len() {
            out.push(Event::HardBreak);
        }
    }

    fn hide(&mut self, note: &'static str) {
        self.hidden += 1;
        self.note(note);
    }

    fn note(&mut self, note: &'static str) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// One level down, because the page's first heading is the subject; `None` for what looks like body text.
fn lowered(level: HeadingLevel) -> Option<HeadingLevel> {
    match level {
        HeadingLevel::H1 => Some(HeadingLevel::H2),
        HeadingLevel::H2 => Some(HeadingLevel::H3),
        HeadingLevel::H3 => Some(HeadingLevel::H4),
        HeadingLevel::H4 | HeadingLevel::H5 | HeadingLevel::H6 => None,
    }
}

fn can_open(target: &str) -> bool {
    let scheme = target.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "mailto" | "tel" | "sms"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_dialect_is_drawn() {
        for (body, expected) in [
            ("# A\n\n#### B", "<h2>A</h2>\n<p>B</p>\n"),
            ("uno\ndue", "<p>uno<br />\ndue</p>\n"),
            ("a<br>b", "<p>a<br />\nb</p>\n"),
            ("a <b>x</b>", "<p>a &lt;b&gt;x&lt;/b&gt;</p>\n"),
            ("~~via~~ resta", "<p> resta</p>\n"),
            ("| a |\n|---|\n| b |\n\nresta", "<p>resta</p>\n"),
            ("[x](javascript:alert(1))", "<p><span class=\"chiuso\">x</span></p>\n"),
            ("[x](https://a.it?a=\"b)", "<p><a href=\"https://a.it?a=%22b\">x</a></p>\n"),
            ("![Pianta](https://a.it/p.png)", "<p><span class=\"immagine\">Pianta</span></p>\n"),
        ] {
            assert_eq!(draw(body).html, expected, "{body}");
        }
    }

    #[test]
    fn a_script_block_is_text_and_the_writer_is_told() {
        let drawn = draw("<script>\nalert(1)\n</script>");
        assert!(!drawn.html.contains("<script"), "{}", drawn.html);
        assert_eq!(drawn.notes, [RAW_HTML]);
    }

    #[test]
    fn a_snippet_is_plain_text() {
        assert_eq!(snippet("# Ciao\n\nIl **permesso**, [qui](https://a.it).", 80), "Ciao Il permesso, qui.");
        assert_eq!(snippet("abcdefghij", 4), "abcd…");
    }
}

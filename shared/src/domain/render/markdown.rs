//! Escaping for Markdown: what a user wrote shows as it is and does nothing.
//!
//! The template engine prints each text between two marks; once the whole message is there, [`escape`]
//! sets a backslash before each character of a text that its place makes active: by CommonMark 0.31, by
//! GFM (strikethrough, tables, links out of plain addresses), or by IO's e-mail preview, which cuts at
//! the last `---` (io-api.md section 6). A character that its place leaves inert stays as it is.
//!
//! What escapes cannot stop: a reader that searches the parsed text for addresses (remark-gfm does, after
//! parsing) still links one that is written out. It then opens the very address that is shown.

/// Begins a text. Plain texts and templates hold no control characters but line breaks.
pub(super) const OPEN: char = '\u{2}';
/// Ends a text.
pub(super) const CLOSE: char = '\u{3}';

/// The Markdown of a marked message.
pub(super) fn escape(marked: &str) -> String {
    let mut out = String::with_capacity(marked.len() + 16);
    let mut rest = marked;
    while let Some((template, text)) = rest.split_once(OPEN) {
        out.push_str(template);
        rest = push_text(&mut out, text);
    }
    out.push_str(rest);
    out
}

/// The marked message without its marks, for places that are no Markdown.
pub(super) fn unmark(marked: &str) -> String {
    marked.replace([OPEN, CLOSE], "")
}

/// Escapes up to the closing mark and gives what is after it.
fn push_text<'a>(out: &mut String, text: &'a str) -> &'a str {
    let mut line = Line::after(out);
    let joined = out.ends_with(']');
    let mut before = out.chars().next_back().unwrap_or('\n');
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == CLOSE {
            break;
        }
        let place = Place { line, before, after: chars.as_str(), link: joined && before == ']' };
        if place.activates(c, out) {
            out.push('\\');
            line.part = Part::Text;
        } else {
            line.part = line.part.then(c, false);
        }
        out.push(c);
        before = c;
    }
    chars.as_str()
}

/// Where in its line a character stands, as far as blocks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A block may begin here: nothing so far but space and the marks of blocks.
    Start,
    /// As before, and then digits: the number of a list item, perhaps.
    Digits,
    /// Past any beginning.
    Text,
}

impl Part {
    /// The part after one more character, of the template or of a text.
    fn then(self, c: char, template: bool) -> Self {
        match (self, c) {
            (Self::Start | Self::Digits, '0'..='9') => Self::Digits,
            (Self::Digits, '.' | ')') if template => Self::Start,
            (_, '\n') | (Self::Start, ' ') => Self::Start,
            (Self::Start, '>' | '#' | '-' | '+' | '*' | '=' | '_' | '~' | '|' | ':' | '`') if template => {
                Self::Start
            }
            _ => Self::Text,
        }
    }
}

/// The line in which a text begins.
#[derive(Debug, Clone, Copy)]
struct Line {
    part: Part,
    /// The template made it a heading.
    heading: bool,
}

impl Line {
    /// The line that `out` ends with.
    fn after(out: &str) -> Self {
        let line = out.rsplit('\n').next().unwrap_or_default();
        let mut part = Part::Start;
        for c in line.chars() {
            part = part.then(c, true);
            if part == Part::Text {
                break;
            }
        }
        Self { part, heading: line.trim_start().starts_with('#') }
    }
}

/// The surroundings of a character of a text.
struct Place<'a> {
    line: Line,
    before: char,
    /// All that follows, marks included.
    after: &'a str,
    /// It comes right after a `]` of the template.
    link: bool,
}

impl Place<'_> {
    /// Whether the character would do anything here.
    fn activates(&self, c: char, out: &str) -> bool {
        if c == ' ' || c.is_alphanumeric() {
            return false;
        }
        let start = self.line.part == Part::Start;
        let next = self.next();
        match c {
            '`' | '[' | ']' => true,
            '*' | '~' => start || !self.is_apart(),
            '_' => start || !(self.is_apart() || self.is_inside_word()),
            '\\' => next == '\n' || next.is_ascii_punctuation(),
            '<' => next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?'),
            '&' => self.is_entity(),
            '!' => self.after.starts_with(CLOSE) && next == '[',
            '>' | '=' | '|' => start,
            '#' => start || (self.line.heading && self.closes_heading()),
            '+' => start && next.is_whitespace(),
            '-' => {
                (start && (next.is_whitespace() || matches!(next, '-' | '|' | ':'))) || out.ends_with("--")
            }
            '.' => self.ends_number() || ends_with_www(out),
            ')' => self.ends_number(),
            '(' => self.link,
            ':' => self.link || (start && next == '-') || self.visible().take(2).eq("//".chars()),
            '@' => !self.before.is_whitespace() && !next.is_whitespace(),
            _ => false,
        }
    }

    /// What follows, without marks.
    fn visible(&self) -> impl Iterator<Item = char> {
        self.after.chars().filter(|c| !matches!(*c, OPEN | CLOSE))
    }

    /// The character that follows; a line break at the end.
    fn next(&self) -> char {
        self.visible().next().unwrap_or('\n')
    }

    /// White space on both sides: a delimiter that neither opens nor closes.
    fn is_apart(&self) -> bool {
        self.before.is_whitespace() && self.next().is_whitespace()
    }

    /// Letters or digits on both sides: `_` neither opens nor closes.
    ///
    /// Of ASCII only: beyond it Unicode's "alphabetic" holds symbols too (the circled and squared letters),
    /// and next to a symbol `_` does close. An escape that was not needed shows nothing.
    fn is_inside_word(&self) -> bool {
        self.before.is_ascii_alphanumeric() && self.next().is_ascii_alphanumeric()
    }

    /// `.` or `)` after the number that would make a list item.
    fn ends_number(&self) -> bool {
        self.line.part == Part::Digits && self.next().is_whitespace()
    }

    /// `&amp;`, `&#233;`: letters, digits and `#` up to a semicolon.
    fn is_entity(&self) -> bool {
        let mut length = 0;
        for c in self.visible() {
            match c {
                ';' => return length > 0,
                '#' if length == 0 => length += 1,
                _ if c.is_ascii_alphanumeric() => length += 1,
                _ => return false,
            }
        }
        false
    }

    /// The `#` run that ends a heading and is not shown.
    fn closes_heading(&self) -> bool {
        self.before.is_whitespace() && self.visible().find(|c| *c != '#').is_none_or(|c| c == '\n')
    }
}

/// `www`, after which a dot makes a link in GFM.
fn ends_with_www(out: &str) -> bool {
    let bytes = out.as_bytes();
    bytes.len() >= 3 && bytes[bytes.len() - 3..].eq_ignore_ascii_case(b"www")
}

#[cfg(test)]
mod tests {
    use super::{CLOSE, OPEN, escape};

    fn in_template(before: &str, text: &str, after: &str) -> String {
        let escaped = escape(&format!("{before}{OPEN}{text}{CLOSE}{after}"));
        escaped[before.len()..escaped.len() - after.len()].to_owned()
    }

    #[test]
    fn what_its_place_leaves_inert_stays_as_it_is() {
        for text in [
            "Via Roma 1",
            "N. 12/A",
            "2026/0451",
            "Sportello Casa (piano 2), ore 9:30-12.",
            "snake_case_name",
            "A & B S.n.c. | R&D",
            "3 * 4 < 5 > 2 = x + y - z # 1!",
            "C:\\casa",
            "100% 'vero' \"detto\" €",
        ] {
            assert_eq!(in_template("Presso ", text, "."), text);
            assert_eq!(in_template("", text, "."), text);
        }
    }

    #[test]
    fn what_is_active_everywhere_is_escaped() {
        for (text, escaped) in [
            ("[Rimborso](x)", "\\[Rimborso\\](x)"),
            ("![](x)", "!\\[\\](x)"),
            ("*a* **b**", "\\*a\\* \\*\\*b\\*\\*"),
            ("_a_", "\\_a\\_"),
            ("`x`", "\\`x\\`"),
            ("<a href> </b> <!-- <3", "\\<a href> \\</b> \\<!-- <3"),
            ("&lt; &#60; &x", "\\&lt; \\&#60; &x"),
            ("a\\*b \\n", "a\\\\\\*b \\n"),
            ("~~x~~", "\\~\\~x\\~\\~"),
            ("a --- b", "a --\\- b"),
        ] {
            assert_eq!(in_template("Testo ", text, " fine"), escaped, "{text}");
        }
    }

    #[test]
    fn a_letter_that_is_a_symbol_makes_no_word() {
        for (text, escaped) in [("Σ_🄰", "Σ\\_🄰"), ("Ⓐ_a", "Ⓐ\\_a"), ("a_1", "a_1")] {
            assert_eq!(in_template("__", text, "__"), escaped);
        }
    }

    #[test]
    fn addresses_make_no_links() {
        for (text, escaped) in [
            ("https://evil.example", "https\\://evil.example"),
            ("WWW.evil.example", "WWW\\.evil.example"),
            ("a@evil.example", "a\\@evil.example"),
            ("venga @ casa", "venga @ casa"),
        ] {
            assert_eq!(in_template("Testo ", text, " fine"), escaped);
        }
    }

    #[test]
    fn marks_of_blocks_are_escaped_where_a_block_can_begin() {
        for (text, escaped) in [
            ("# a", "\\# a"),
            ("> a", "\\> a"),
            ("- a", "\\- a"),
            ("-5 gradi", "-5 gradi"),
            ("---", "\\--\\-"),
            ("+ a", "\\+ a"),
            ("1. a", "1\\. a"),
            ("12) a", "12\\) a"),
            ("1.5", "1.5"),
            ("===", "\\==="),
        ] {
            for before in ["", "riga\n", "- ", "> ", "1. "] {
                assert_eq!(in_template(before, text, ""), escaped, "{before:?} {text}");
            }
        }
        assert_eq!(in_template("Nel 1", ". x", ""), ". x");
        assert_eq!(in_template("1", ". x", ""), "\\. x");
        assert_eq!(in_template("## ", "a ##", "\n"), "a \\##");
    }

    #[test]
    fn a_text_does_not_join_with_the_template() {
        assert_eq!(in_template("Bravo", "!", "[sito](u)"), "\\!");
        assert_eq!(in_template("[sito]", "(u)", ""), "\\(u)");
        assert_eq!(in_template("[sito]", ": u", ""), "\\: u");
        assert_eq!(in_template("", "x\\", "[sito](u)"), "x\\\\");
        assert_eq!(in_template("", "&amp", ";"), "\\&amp");
        assert_eq!(in_template("", "x\\", "\ny"), "x\\\\");
    }
}

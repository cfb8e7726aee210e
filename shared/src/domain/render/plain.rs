//! Text of users and enti made plain: one line, nothing invisible.

/// The text on one line: a run of spaces, control characters and line breaks becomes one space, no white
/// space is left at the ends, and format characters that show nothing are dropped.
///
/// Dropped are the directional overrides, isolates and marks, by which a text can read as another
/// (Unicode TR36, section 2.9), and the zero-width characters, by which two texts that look alike differ.
/// That takes joiners apart: an emoji made of several shows as its parts.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.chars() {
        if is_break(c) {
            gap = true;
        } else if !is_invisible(c) {
            if gap && !out.is_empty() {
                out.push(' ');
            }
            gap = false;
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// Space, control character (tab and line breaks among them), line or paragraph separator.
fn is_break(c: char) -> bool {
    c == ' ' || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Format characters (Unicode category Cf) that can stand in a text and show nothing.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}'
            | '\u{61C}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn breaks_become_one_space_and_ends_are_trimmed() {
        assert_eq!(plain("  Via\r\n\r\nRoma\t \u{0}1\u{2028} "), "Via Roma 1");
    }

    #[test]
    fn invisible_characters_are_dropped() {
        assert_eq!(plain("\u{FEFF}Ma\u{200B}rio \u{202E}issoR\u{2069}"), "Mario issoR");
        assert_eq!(plain(" \u{200B} \u{2066}\n"), "");
    }

    #[test]
    fn letters_marks_and_emoji_stay() {
        assert_eq!(plain("Łódź, naïve, 北京, 👍🏽"), "Łódź, naïve, 北京, 👍🏽");
    }
}

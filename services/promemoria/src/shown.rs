//! What others wrote, made fit for a terminal: no fiscal code, no control characters.

/// Hides every fiscal code in a text, and shows control characters by their code, so that nothing in a
/// message can steer the terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at + LENGTH <= chars.len() {
        if is_fiscal_code(&chars[at..at + LENGTH]) {
            chars[at..at + LENGTH].fill('*');
            at += LENGTH;
        } else {
            at += 1;
        }
    }
    let mut shown = String::with_capacity(text.len());
    for c in chars {
        if c.is_control() || ('\u{202A}'..='\u{202E}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same, keeping line breaks.
pub(crate) fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// Characters of a fiscal code.
const LENGTH: usize = 16;

/// By its form alone: one with a wrong check letter is somebody's too.
fn is_fiscal_code(chars: &[char]) -> bool {
    chars.iter().enumerate().all(|(place, c)| match place {
        6 | 7 | 9 | 10 | 12..=14 => c.is_ascii_digit() || "LMNPQRSTUVlmnpqrstuv".contains(*c),
        _ => c.is_ascii_alphabetic(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fiscal_codes_are_hidden_wherever_they_stand() {
        for text in [
            "RSSMRA85T10A562S",
            "rssmra85t10a562s",
            "xRSSMRA85T10A562Sx",
            "RSSMRA85T10A562A",
            "RSSMRAURTMLARSNS",
        ] {
            let shown = shown(text);
            assert!(shown.contains("****************") && !shown.to_uppercase().contains("RSSMRA"), "{text}");
        }
        assert_eq!(shown("borgochiaro.permesso.rinnovato"), "borgochiaro.permesso.rinnovato");
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(shown("a\u{1b}[31mb\nc\u{202e}"), "a\\u{1b}[31mb\\u{a}c\\u{202e}");
        assert_eq!(shown_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }
}

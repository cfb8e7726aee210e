//! The button of a message, as YAML before its text (io-api.md section 6).

/// Front matter with one button that opens a url, and the empty line before the body.
///
/// The IO app reads `it` and `en` only, and shows no button to a reader whose language is missing.
pub(super) fn front_matter(it: &str, en: &str, url: &str) -> String {
    let action = quoted(&format!("iohandledlink://{url}"));
    let button = |language: &str, label: &str| {
        format!("{language}:\n    cta_1:\n        text: {}\n        action: {action}\n", quoted(label))
    };
    format!("---\n{}{}---\n\n", button("it", it), button("en", en))
}

/// A YAML double-quoted scalar on one line (YAML 1.2, section 7.3.1).
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{FEFF}') => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::front_matter;

    #[test]
    fn labels_and_url_come_back_from_yaml_as_they_were() {
        let label = "Dì \"sì\": \\ #1 - {x} 'y'";
        let text = front_matter(label, "Book", "https://a.example.it/?a=1#b");
        let yaml = text.strip_prefix("---\n").and_then(|text| text.strip_suffix("---\n\n")).unwrap();
        let read: serde_yaml_ng::Value = serde_yaml_ng::from_str(yaml).unwrap();
        assert_eq!(read["it"]["cta_1"]["text"], label);
        assert_eq!(read["en"]["cta_1"]["text"], "Book");
        for language in ["it", "en"] {
            assert_eq!(read[language]["cta_1"]["action"], "iohandledlink://https://a.example.it/?a=1#b");
        }
    }
}

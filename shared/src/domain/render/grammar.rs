//! What a text may do: print a variable, branch on one. Nothing else of the template language.
//!
//! Texts are the catalogue's or an ente's own. Without loops, filters, calls and operators on strings
//! what a text gives is no longer than the text and the values it prints, whatever it says, and
//! `promemoria lint` can tell beforehand which variables it needs.

/// Length of a text's source in bytes. IO takes 10,000 UTF-16 units at most, so four times that leaves
/// room for every branch.
const LONGEST: usize = 40_000;

/// A variable that a text prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// It stands where Markdown takes a link's destination.
    pub(super) in_link: bool,
}

/// What a text uses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses<'a> {
    /// Variables it prints, in order.
    pub(super) prints: Vec<Print<'a>>,
    /// Variables it branches on.
    pub(super) branches: Vec<&'a str>,
}

/// Reads a text's tags.
///
/// # Errors
/// The first thing that a text may not do, in words for its author.
pub(super) fn uses(source: &str) -> Result<Uses<'_>, String> {
    if source.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    if source.chars().any(|c| c.is_control() && c != '\n') {
        return Err("has control characters: only line breaks (LF) are taken".to_owned());
    }
    let mut found = Uses::default();
    let mut at = 0;
    while let Some(offset) = source[at..].find('{') {
        let open = at + offset;
        let rest = &source[open..];
        let close = match rest.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => {
                at = open + 1;
                continue;
            }
        };
        let end = rest.find(close).ok_or_else(|| format!("has a `{}` without `{close}`", &rest[..2]))?;
        let inner = trim_tag(&rest[2..end]);
        match close {
            "}}" => found.prints.push(Print { name: name(inner)?, in_link: in_link(&source[..open]) }),
            "%}" => found.branches.extend(condition(inner)?),
            _ => {}
        }
        at = open + end + 2;
    }
    Ok(found)
}

/// A tag's inside without the marks that trim white space.
fn trim_tag(inner: &str) -> &str {
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    inner.strip_suffix('-').unwrap_or(inner).trim()
}

/// A variable's name.
fn name(text: &str) -> Result<&str, String> {
    if is_name(text) { Ok(text) } else { Err(format!("prints `{text}`: only a variable's name is taken")) }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// The variables of `if …`, `elif …`, `else`, `endif`.
fn condition(inner: &str) -> Result<Vec<&str>, String> {
    let (keyword, test) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    match keyword {
        "else" | "endif" if test.is_empty() => Ok(Vec::new()),
        "if" | "elif" => names_of_test(test),
        _ => Err(format!("has `{keyword}`: only if, elif, else and endif are taken")),
    }
}

/// The variables of a test made of names, quoted words, `==`, `!=`, `and`, `or`, `not`.
fn names_of_test(test: &str) -> Result<Vec<&str>, String> {
    let mut names = Vec::new();
    for (place, part) in test.split('"').enumerate() {
        // Odd places are between quotes.
        if place % 2 == 1 {
            if part.contains('\\') {
                return Err("has a backslash in a quoted word".to_owned());
            }
            continue;
        }
        for word in part.split_whitespace() {
            match word {
                "==" | "!=" | "and" | "or" | "not" => {}
                _ if is_name(word) => names.push(word),
                _ => return Err(format!("has `{word}` in a condition")),
            }
        }
    }
    if names.is_empty() { Err("has a condition without a variable".to_owned()) } else { Ok(names) }
}

/// Whether what follows is the destination of a link: after `](` or `<`, and before its end.
fn in_link(before: &str) -> bool {
    let tail = |open: &str| before.rfind(open).map(|at| &before[at + open.len()..]);
    tail("](").is_some_and(|tail| !tail.contains([')', ' ', '\n']))
        || tail("<").is_some_and(|tail| !tail.contains(['>', ' ', '\n']))
}

#[cfg(test)]
mod tests {
    use super::uses;

    #[test]
    fn variables_are_found_with_their_place() {
        let found =
            uses("{{ a }} [sito]({{ url }}) {%- if b == \"x y\" and not c -%}{{d}}{% endif %}").unwrap();
        let prints: Vec<_> = found.prints.iter().map(|p| (p.name, p.in_link)).collect();
        assert_eq!(prints, [("a", false), ("url", true), ("d", false)]);
        assert_eq!(found.branches, ["b", "c"]);
    }

    #[test]
    fn braces_of_the_text_are_no_tags() {
        assert!(uses("a { b } c }} %}").unwrap().prints.is_empty());
    }

    #[test]
    fn everything_else_of_the_language_is_refused() {
        for text in [
            "{{ 'a' * 100000000 }}",
            "{{ a|safe }}",
            "{{ a.b }}",
            "{{ f() }}",
            "{{ \"a\" }}",
            "{{ }}",
            "{{ a",
            "{% for x in y %}{% endfor %}",
            "{% set a = b %}",
            "{% include \"x\" %}",
            "{% raw %}",
            "{% if a.b == \"x\" %}",
            "{% if \"x\" == \"x\" %}",
            "{% if (a) %}",
            "a\rb",
            "a\u{2}b",
        ] {
            assert!(uses(text).is_err(), "{text}");
        }
    }
}

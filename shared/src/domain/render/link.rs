//! Urls: checked, placeholders filled, percent-encoded where Markdown or YAML would stumble.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// All but the unreserved characters (RFC 3986, section 2.3): a value of one path segment.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a url is not good, without a word of it.
pub(super) type Fault = &'static str;

/// Fills the placeholders `{nome}` of an ente's pattern, each as one path segment.
///
/// `field` finds the value. The fault holds the placeholder's name where there is one.
pub(super) fn fill(pattern: &str, field: impl Fn(&str) -> Option<String>) -> Result<String, (String, Fault)> {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) =
            after.split_once('}').ok_or_else(|| (String::new(), "has a placeholder without an end"))?;
        let value = field(name).ok_or_else(|| (name.to_owned(), "needs a field that is missing"))?;
        if matches!(value.as_str(), "" | "." | "..") {
            return Err((name.to_owned(), "needs a field that can be no path segment"));
        }
        out.push_str(before);
        out.extend(utf8_percent_encode(&value, SEGMENT));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Checks an absolute `https` url and gives it in a form that can stand in `[…](…)` and in quoted YAML.
///
/// What is in order stays as it is written: no slash is added, no letter changes case. The host alone is
/// given in its ASCII form.
pub(super) fn checked(text: &str) -> Result<String, Fault> {
    let rest = match text.get(..8) {
        Some(scheme) if scheme.eq_ignore_ascii_case("https://") => &text[8..],
        _ => return Err("is no https url"),
    };
    if text.contains(char::is_control) || text.trim() != text {
        return Err("has white space or control characters around or in it");
    }
    let url = Url::parse(text).map_err(|_| "is no url")?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err("has credentials in it");
    }
    if tail.starts_with('\\') {
        return Err("has a backslash after its host");
    }
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or("has no host")?;
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str("https://");
    out.push_str(host);
    if let Some(port) = url.port() {
        out.push(':');
        out.push_str(&port.to_string());
    }
    encode(&mut out, tail);
    Ok(out)
}

/// Percent-encodes what a url may not hold (RFC 3986) and what Markdown would read: parentheses, quotes,
/// `*`, `~`, and the semicolon that would end an entity.
fn encode(out: &mut String, tail: &str) {
    let mut entity = false;
    for (at, c) in tail.char_indices() {
        let keep = match c {
            '%' => is_encoded(&tail.as_bytes()[at + 1..]),
            ';' => !entity,
            '-' | '.' | '_' | '/' | '?' | '#' | '=' | '&' | '+' | ',' | ':' | '@' | '!' | '$' => true,
            _ => c.is_ascii_alphanumeric(),
        };
        entity = c == '&' || (entity && (c == '#' || c.is_ascii_alphanumeric()));
        if keep {
            out.push(c);
        } else {
            out.extend(utf8_percent_encode(c.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC));
        }
    }
}

/// Whether two hexadecimal digits begin the bytes.
fn is_encoded(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && bytes[..2].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::{checked, fill};

    #[test]
    fn a_good_url_stays_as_it_is_written() {
        for url in [
            "https://prenota.example.it",
            "https://prenota.example.it/disdici?a=1&b=%C3%A8#x",
            "https://a.example.it:8443/x_y/",
        ] {
            assert_eq!(checked(url), Ok(url.to_owned()));
        }
    }

    #[test]
    fn what_markdown_or_yaml_would_read_is_encoded() {
        for (url, encoded) in [
            ("https://a.it/x y", "https://a.it/x%20y"),
            ("https://a.it/(x)[y]\"'", "https://a.it/%28x%29%5By%5D%22%27"),
            ("https://a.it/a\\b<c>`*~|", "https://a.it/a%5Cb%3Cc%3E%60%2A%7E%7C"),
            ("https://a.it/?a=1&lt;x", "https://a.it/?a=1&lt%3Bx"),
            ("https://a.it/a;b=1", "https://a.it/a;b=1"),
            ("https://a.it/è%2F%zz", "https://a.it/%C3%A8%2F%25zz"),
            ("HTTPS://Città.Example.IT/x", "https://xn--citt-3na.example.it/x"),
        ] {
            assert_eq!(checked(url).as_deref(), Ok(encoded));
        }
    }

    #[test]
    fn a_bad_url_is_refused_with_its_fault() {
        for (url, fault) in [
            ("http://a.it", "is no https url"),
            ("javascript:alert(1)", "is no https url"),
            ("data:text/html,x", "is no https url"),
            ("https:a.it", "is no https url"),
            ("https://", "is no url"),
            ("https:///", "is no url"),
            ("https://a.it/\nx", "has white space or control characters around or in it"),
            ("https://a.it ", "has white space or control characters around or in it"),
            ("https://u:p@a.it", "has credentials in it"),
            ("https://@a.it", "has credentials in it"),
            ("https://a.it\\@evil.it", "has a backslash after its host"),
        ] {
            assert_eq!(checked(url), Err(fault), "{url}");
        }
    }

    #[test]
    fn placeholders_are_filled_as_one_segment() {
        let field = |name: &str| (name == "numero_pratica").then(|| "2026/0451 è?".to_owned());
        assert_eq!(
            fill("https://a.it/{numero_pratica}/x", field),
            Ok("https://a.it/2026%2F0451%20%C3%A8%3F/x".to_owned())
        );
        assert!(fill("https://a.it/{altro}", field).is_err_and(|(name, _)| name == "altro"));
        assert!(fill("https://a.it/{numero", field).is_err());
        assert!(fill("https://a.it/{x}", |_| Some("..".to_owned())).is_err());
    }
}

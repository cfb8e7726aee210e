//! Files of events: one object, an array, or one event a line.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::report::Failure;

/// One event as it was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Where it stands: file, and line or place.
    pub(crate) place: String,
    /// Its bytes, unchanged: the check looks at them as the fleet does.
    pub(crate) body: Vec<u8>,
}

/// Reads every file; every one that cannot be read is told.
pub(crate) fn read_all(files: &[PathBuf]) -> Result<Vec<Given>, Failure> {
    let (mut given, mut faults) = (Vec::new(), Vec::new());
    for file in files {
        let name = file.display().to_string();
        match bytes(file) {
            Ok(bytes) => {
                let events = split(&name, &bytes);
                if events.is_empty() {
                    faults.push(format!("{name}: holds no event"));
                }
                given.extend(events);
            }
            Err(error) => faults.push(format!("{name}: cannot be read: {}", error.kind())),
        }
    }
    if faults.is_empty() { Ok(given) } else { Err(Failure::Fault(faults)) }
}

/// The bytes of a file; `-` is standard input.
pub(crate) fn bytes(file: &Path) -> std::io::Result<Vec<u8>> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    std::fs::read(file)
}

/// Takes a file's events apart without touching their bytes: parsing and writing again would mend what the
/// check must see, such as a key given twice.
fn split(name: &str, bytes: &[u8]) -> Vec<Given> {
    let one = |place: String, body: &[u8]| Given { place, body: body.trim_ascii().to_vec() };
    if let Some(elements) = elements(bytes) {
        let place = |at: usize| format!("{name}, element {}", at + 1);
        return elements.into_iter().enumerate().map(|(at, body)| one(place(at), body)).collect();
    }
    if serde_json::from_slice::<IgnoredAny>(bytes).is_ok() {
        return vec![one(name.to_owned(), bytes)];
    }
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    let lines: Vec<_> = lines.filter(|(_, line)| !line.trim_ascii().is_empty()).collect();
    // Several lines of which the first is no event by itself: one broken event, not as many as lines.
    if let [(_, first), _, ..] = lines[..]
        && serde_json::from_slice::<IgnoredAny>(first).is_err()
        && first.trim_ascii() == b"{"
    {
        return vec![one(name.to_owned(), bytes)];
    }
    lines.into_iter().map(|(at, line)| one(format!("{name}, line {}", at + 1), line)).collect()
}

/// The elements of a JSON array, as they are written; `None` if it is none.
fn elements(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = bytes.trim_ascii().strip_prefix(b"[")?.trim_ascii_start();
    let mut elements = Vec::new();
    while rest != b"]" {
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        stream.next()?.ok()?;
        let (element, after) = rest.split_at(stream.byte_offset());
        elements.push(element);
        let after = after.trim_ascii_start();
        match after.strip_prefix(b",") {
            Some(next) => rest = next.trim_ascii_start(),
            None => rest = (after == b"]").then_some(after)?,
        }
    }
    Some(elements)
}

/// The routing key that an event asks for, `<ente>.<type>`; what is missing the check will tell.
pub(crate) fn routing_key(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Names {
        #[serde(default)]
        ente: Value,
        #[serde(default, rename = "type")]
        tipo: Value,
    }
    let names = serde_json::from_slice::<Names>(body).ok();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    names.map_or_else(|| "-.-".to_owned(), |names| format!("{}.{}", word(&names.ente), word(&names.tipo)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(text: &str) -> Vec<(String, String)> {
        let text_of = |given: Given| (given.place, String::from_utf8(given.body).unwrap());
        split("f", text.as_bytes()).into_iter().map(text_of).collect()
    }

    fn place(place: &str, body: &str) -> (String, String) {
        (place.to_owned(), body.to_owned())
    }

    #[test]
    fn one_object_an_array_and_lines_are_told_apart() {
        let object = "{\n \"a\": 1,\n \"a\": 2\n}\n";
        assert_eq!(bodies(object), [place("f", object.trim())]);
        assert_eq!(
            bodies(" [ {\"a\":1} ,\n{\"a\":[2]} ]\n"),
            [place("f, element 1", "{\"a\":1}"), place("f, element 2", "{\"a\":[2]}")]
        );
        assert_eq!(
            bodies("{\"a\":1}\n\n{\"b\":2}\r\n"),
            [place("f, line 1", "{\"a\":1}"), place("f, line 3", "{\"b\":2}")]
        );
        assert_eq!(bodies("[]"), []);
        assert_eq!(bodies(" \n"), []);
    }

    #[test]
    fn what_is_broken_is_still_one_event_for_the_check() {
        assert_eq!(bodies("{\n \"a\": 1,\n}\n").len(), 1);
        assert_eq!(bodies("{\"a\":1}\n{\"b\":\n").len(), 2);
        assert_eq!(bodies("[{\"a\":1},]").len(), 1);
    }

    #[test]
    fn the_routing_key_is_of_the_event() {
        assert_eq!(routing_key(br#"{"ente":"x","type":"a.b"}"#), "x.a.b");
        assert_eq!(routing_key(br#"{"ente":1}"#), "-.-");
        assert_eq!(routing_key(b"nonsense"), "-.-");
    }
}

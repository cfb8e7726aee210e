//! JSON parsing with the refusals of V8's `JSON.parse` (Node.js 20), which the API shows in its 500 answers.

use serde_json::Value;

/// Parses a body.
///
/// # Errors
/// The text of V8's `SyntaxError`. It may quote up to 20 characters of the body: never log it.
pub fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| {
        Scanner::new(text).first_fault().unwrap_or_else(|| {
            // Well-formed for V8 and not for us: a lone surrogate, or nesting deeper than 128.
            format!("body not read by the sandbox: {}", error.classify_text())
        })
    })
}

trait ClassifyText {
    fn classify_text(&self) -> &'static str;
}

impl ClassifyText for serde_json::Error {
    fn classify_text(&self) -> &'static str {
        if self.to_string().contains("recursion") { "nested too deep" } else { "lone surrogate escape" }
    }
}

type Step = Result<(), String>;

/// Finds the first fault of a text, reading it as V8 does.
struct Scanner {
    units: Vec<char>,
    at: usize,
}

impl Scanner {
    fn new(text: &str) -> Self {
        Self { units: text.chars().collect(), at: 0 }
    }

    fn first_fault(mut self) -> Option<String> {
        self.document().err()
    }

    fn document(&mut self) -> Step {
        self.value(0)?;
        self.blank();
        if self.at < self.units.len() {
            return Err(self.located("Unexpected non-whitespace character after JSON"));
        }
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Step {
        if depth > 1_000 {
            // Deep enough: V8 would go on, and the caller says so in its own words.
            self.at = self.units.len();
            return Ok(());
        }
        self.blank();
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            Some('"') => self.string(),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.word("true"),
            Some('f') => self.word("false"),
            Some('n') => self.word("null"),
            _ => Err(self.unexpected()),
        }
    }

    fn object(&mut self, depth: usize) -> Step {
        self.at += 1;
        let mut expectation = "Expected property name or '}' in JSON";
        loop {
            self.blank();
            match self.peek() {
                Some('}') if expectation.starts_with("Expected property") => break self.at += 1,
                Some('"') => self.string()?,
                Some(_) => return Err(self.located(expectation)),
                None => return Err(end_of_input()),
            }
            self.blank();
            self.expect(':', "Expected ':' after property name in JSON")?;
            self.value(depth + 1)?;
            self.blank();
            match self.peek() {
                Some('}') => break self.at += 1,
                Some(',') => self.at += 1,
                Some(_) => return Err(self.located("Expected ',' or '}' after property value in JSON")),
                None => return Err(end_of_input()),
            }
            expectation = "Expected double-quoted property name in JSON";
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Step {
        self.at += 1;
        self.blank();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.blank();
            match self.peek() {
                Some(']') => break self.at += 1,
                Some(',') => self.at += 1,
                Some(_) => return Err(self.located("Expected ',' or ']' after array element in JSON")),
                None => return Err(end_of_input()),
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Step {
        self.at += 1;
        loop {
            match self.peek() {
                Some('"') => break self.at += 1,
                Some('\\') => self.escape()?,
                Some(unit) if unit < ' ' => {
                    return Err(self.located("Bad control character in string literal in JSON"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.located("Unterminated string in JSON")),
            }
        }
        Ok(())
    }

    fn escape(&mut self) -> Step {
        self.at += 1;
        match self.peek() {
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => self.at += 1,
            Some('u') => {
                self.at += 1;
                for _ in 0..4 {
                    match self.peek() {
                        Some(digit) if digit.is_ascii_hexdigit() => self.at += 1,
                        Some(_) => return Err(self.located("Bad Unicode escape in JSON")),
                        None => return Err(self.located("Unterminated string in JSON")),
                    }
                }
            }
            Some(_) => return Err(self.located("Bad escaped character in JSON")),
            None => return Err(self.located("Unterminated string in JSON")),
        }
        Ok(())
    }

    fn number(&mut self) -> Step {
        if self.peek() == Some('-') {
            self.at += 1;
            self.digit("No number after minus sign in JSON")?;
        }
        if self.peek() == Some('0') {
            self.at += 1;
            if self.peek().is_some_and(|unit| unit.is_ascii_digit()) {
                return Err(self.located("Unexpected number in JSON"));
            }
        }
        self.digits();
        if self.peek() == Some('.') {
            self.at += 1;
            self.digit("Unterminated fractional number in JSON")?;
            self.digits();
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            self.digit("Exponent part is missing a number in JSON")?;
            self.digits();
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Step {
        for unit in word.chars() {
            if self.peek() != Some(unit) {
                return Err(self.unexpected());
            }
            self.at += 1;
        }
        Ok(())
    }

    fn digit(&self, fault: &str) -> Step {
        if self.peek().is_some_and(|unit| unit.is_ascii_digit()) { Ok(()) } else { Err(self.located(fault)) }
    }

    fn digits(&mut self) {
        while self.peek().is_some_and(|unit| unit.is_ascii_digit()) {
            self.at += 1;
        }
    }

    fn expect(&mut self, unit: char, fault: &str) -> Step {
        match self.peek() {
            Some(found) if found == unit => self.at += 1,
            Some(_) => return Err(self.located(fault)),
            None => return Err(end_of_input()),
        }
        Ok(())
    }

    fn peek(&self) -> Option<char> {
        self.units.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.at += 1;
        }
    }

    fn located(&self, fault: &str) -> String {
        let position: usize = self.units.iter().take(self.at).map(|unit| unit.len_utf16()).sum();
        format!("{fault} at position {position}")
    }

    /// V8 quotes the whole of a short text, 10 characters either side in a long one.
    fn unexpected(&self) -> String {
        const CONTEXT: usize = 10;
        let Some(token) = self.peek() else {
            return end_of_input();
        };
        let length = self.units.len();
        let quote =
            |from: usize, to: usize| self.units.get(from..to).unwrap_or_default().iter().collect::<String>();
        let context = if length <= 2 * CONTEXT {
            format!("\"{}\"", quote(0, length))
        } else if self.at < CONTEXT {
            format!("\"{}\"...", quote(0, self.at + CONTEXT))
        } else if self.at < length - CONTEXT {
            format!("...\"{}\"...", quote(self.at - CONTEXT, self.at + CONTEXT))
        } else {
            format!("...\"{}\"", quote(self.at - CONTEXT, length))
        };
        format!("Unexpected token '{token}', {context} is not valid JSON")
    }
}

fn end_of_input() -> String {
    "Unexpected end of JSON input".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_body_is_refused_in_the_words_of_the_apis_parser() {
        for (text, expected) in [
            ("{bad", "Expected property name or '}' in JSON at position 1"),
            ("", "Unexpected end of JSON input"),
            ("{\"a\":1,}", "Expected double-quoted property name in JSON at position 7"),
            ("{\"a\":", "Unexpected end of JSON input"),
            ("{\"a\" 1}", "Expected ':' after property name in JSON at position 5"),
            ("[1 2]", "Expected ',' or ']' after array element in JSON at position 3"),
            ("\"😀\" x", "Unexpected non-whitespace character after JSON at position 5"),
            ("\"abc", "Unterminated string in JSON at position 4"),
            ("\"a\nb\"", "Bad control character in string literal in JSON at position 2"),
            ("hello", "Unexpected token 'h', \"hello\" is not valid JSON"),
            ("<html><body>Bad Gateway</body>", "Unexpected token '<', \"<html><bod\"... is not valid JSON"),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text:?}");
        }
    }

    #[test]
    fn what_only_the_sandbox_refuses_says_so() {
        assert_eq!(parse("\"\\ud800\"").unwrap_err(), "body not read by the sandbox: lone surrogate escape");
    }
}

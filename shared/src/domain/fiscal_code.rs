//! The fiscal code of a natural person (codice fiscale).

use std::fmt;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

/// The test citizen documented by pagoPA, whose check letter is not right.
const TEST_CITIZEN: &str = "AAAAAA00A00A000A";

/// A valid fiscal code: 16 characters, upper case, check letter verified (contract.md 10.7).
///
/// It is personal data: no `Display`, `Debug` hides it, and [`FiscalCode::expose`] is the one way out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FiscalCode(String);

/// Why a text is no fiscal code. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FiscalCodeError {
    /// Not 16 characters.
    #[error("must have 16 characters, has {0}")]
    Length(usize),
    /// A character that its place does not allow, counted from 1.
    #[error("character {0} is not allowed in that place")]
    Character(usize),
    /// The last letter does not follow from the others.
    #[error("the check letter (character 16) is wrong")]
    Check,
}

impl FiscalCode {
    /// Checks a code; lower case is raised, nothing else is mended.
    ///
    /// # Errors
    /// Says what is wrong, with the place, never the text.
    pub fn parse(text: &str) -> Result<Self, FiscalCodeError> {
        let length = text.chars().count();
        if length != 16 {
            return Err(FiscalCodeError::Length(length));
        }
        let code = text.to_ascii_uppercase();
        for (place, c) in code.chars().enumerate() {
            if !allowed(place, c) {
                return Err(FiscalCodeError::Character(place + 1));
            }
        }
        if code != TEST_CITIZEN && check_letter(code.as_bytes()) != code.as_bytes()[15] {
            return Err(FiscalCodeError::Check);
        }
        Ok(Self(code))
    }

    /// The code itself. Every caller is a place where personal data leaves: the IO request, the keyed
    /// hash, the stored case.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The date of birth that the code tells, taking the latest century that is not after `on`; `None` if
    /// it tells no real date (the test citizen).
    #[must_use]
    pub fn birth_date(&self, on: NaiveDate) -> Option<NaiveDate> {
        let digits = |from: usize| -> Option<i32> {
            self.0.as_bytes()[from..from + 2].iter().try_fold(0, |n, b| Some(n * 10 + digit(*b)?))
        };
        let month = u32::try_from("ABCDEHLMPRST".find(char::from(self.0.as_bytes()[8]))?).ok()? + 1;
        let day = u32::try_from(digits(9)? % 40).ok()?;
        let year = digits(6)?;
        let century = on.year() - on.year() % 100;
        let recent = NaiveDate::from_ymd_opt(century + year, month, day);
        match recent {
            Some(date) if date <= on => Some(date),
            _ => NaiveDate::from_ymd_opt(century - 100 + year, month, day),
        }
    }
}

/// The digit of a byte, or of the letter that stands for it in a code changed because of a homonym
/// (omocodia, D.M. 23/12/1976 art. 6).
fn digit(byte: u8) -> Option<i32> {
    match byte {
        b'0'..=b'9' => Some(i32::from(byte - b'0')),
        _ => i32::try_from("LMNPQRSTUV".find(char::from(byte))?).ok(),
    }
}

/// The pattern of the IO API: six letters, two digits, a month letter, two digits, a letter, three
/// digits, a letter; a digit may be its omocodia letter.
fn allowed(place: usize, c: char) -> bool {
    match place {
        6 | 7 | 9 | 10 | 12..=14 => c.is_ascii_digit() || "LMNPQRSTUV".contains(c),
        8 => "ABCDEHLMPRST".contains(c),
        _ => c.is_ascii_uppercase(),
    }
}

/// The check letter of the first 15 characters (D.M. 23/12/1976, table of odd places).
fn check_letter(code: &[u8]) -> u8 {
    const ODD: [u8; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let sum: u32 = code[..15]
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte - b'A' };
            u32::from(if place % 2 == 0 { ODD[usize::from(value)] } else { value })
        })
        .sum();
    b'A' + u8::try_from(sum % 26).unwrap_or(0)
}

impl TryFrom<String> for FiscalCode {
    type Error = FiscalCodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl fmt::Debug for FiscalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FiscalCode(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_omocodia_and_test_codes_are_taken() {
        for code in ["RSSMRA85T10A562S", "rssmra85t10a562s", "AAAAAA00A00A000A", "SPNDNL80R13C555T"] {
            assert!(FiscalCode::parse(code).is_ok(), "{code}");
        }
    }

    #[test]
    fn faults_name_the_place_and_never_the_text() {
        let cases = [
            ("RSSMRA85T10A562A", FiscalCodeError::Check),
            ("RSSMRA85T10A562", FiscalCodeError::Length(15)),
            ("12345678901", FiscalCodeError::Length(11)),
            (" SSMRA85T10A562S", FiscalCodeError::Character(1)),
            ("RSSMRА85T10A562S", FiscalCodeError::Character(6)),
            ("RSSMRA85Z10A562S", FiscalCodeError::Character(9)),
        ];
        for (code, fault) in cases {
            assert_eq!(FiscalCode::parse(code), Err(fault), "{code}");
            assert!(!fault.to_string().contains(code), "{code}");
        }
    }

    #[test]
    fn debug_hides_the_code() {
        let code = FiscalCode::parse("RSSMRA85T10A562S").unwrap();
        assert_eq!(format!("{code:?}"), "FiscalCode(…)");
    }

    #[test]
    fn the_birth_date_takes_the_latest_century_that_is_past() {
        let on = NaiveDate::from_ymd_opt(2026, 11, 21).unwrap();
        let born = |code: &str| FiscalCode::parse(code).unwrap().birth_date(on);
        assert_eq!(born("RSSMRA85T10A562S"), NaiveDate::from_ymd_opt(1985, 12, 10));
        assert_eq!(born("AAAAAA00A00A000A"), None);
    }
}

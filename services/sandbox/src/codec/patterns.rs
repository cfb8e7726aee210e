//! Leaf checks on strings, with the patterns that the API names in its refusals.

/// Pattern of a citizen's fiscal code (upper case, omocodia letters allowed, no checksum).
pub(crate) const FISCAL_CODE: &str = r#"string that matches the pattern "^[A-Z]{6}[0-9LMNPQRSTUV]{2}[ABCDEHLMPRST][0-9LMNPQRSTUV]{2}[A-Z][0-9LMNPQRSTUV]{3}[A-Z]$""#;

/// Whether `text` has the shape of a citizen's fiscal code. Like the API, it does not verify the check
/// letter.
#[must_use]
pub fn is_fiscal_code(text: &str) -> bool {
    // One class a position: L letter, D digit or its omocodia letter, M month letter.
    const SHAPE: &[u8; 16] = b"LLLLLLDDMDDLDDDL";
    text.len() == SHAPE.len()
        && text.bytes().zip(SHAPE).all(|(byte, class)| match class {
            b'L' => byte.is_ascii_uppercase(),
            b'M' => b"ABCDEHLMPRST".contains(&byte),
            _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte),
        })
}

/// Whether `text` is a pagoPA notice number: 18 digits, the first 0 to 3.
pub(super) fn is_notice_number(text: &str) -> bool {
    text.len() == 18 && is_digits(text) && matches!(text.as_bytes().first(), Some(b'0'..=b'3'))
}

/// Whether `text` is an organization's fiscal code: 11 digits.
pub(super) fn is_organization_fiscal_code(text: &str) -> bool {
    text.len() == 11 && is_digits(text)
}

/// Whether `text` is a ULID in Crockford's alphabet, either case.
pub(crate) fn is_ulid(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(&byte))
}

/// Whether `text` looks like an e-mail address: a dotted domain with an alphabetic last label, a local part
/// of 1 to 64 plain characters.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_atom = |atom: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
        !atom.is_empty() && atom.bytes().all(is_plain)
    };
    (1..=64).contains(&local.len())
        && local.split('.').all(is_atom)
        && labels.len() >= 2
        && labels.iter().all(is_label)
        && labels.last().is_some_and(|last| last.len() >= 2 && last.bytes().all(|b| b.is_ascii_alphabetic()))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fiscal_codes_are_judged_by_shape_only() {
        for (text, expected) in [
            ("AAAAAA00A00A000A", true),
            ("RSSMRA85T10A562S", true),
            ("RSSMRA85T10A56NS", true),
            ("RSSMRA85T10A562A", true),
            ("QXJNTX9RCRVD6V4O", true),
            ("aaaaaa00a00a000a", false),
            ("12345678901", false),
            ("RSSMRA85F10A562S", false),
            ("RSSMRA85T10A562SS", false),
        ] {
            assert_eq!(is_fiscal_code(text), expected, "{text}");
        }
    }

    #[test]
    fn ulids_leave_out_the_ambiguous_letters() {
        assert!(is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert!(is_ulid("01arz3ndektsv4rrffq69g5fav"));
        assert!(!is_ulid("01ARZ3NDEKTSV4RRFFQ69G5FAI"));
        assert!(!is_ulid("0e9852ccb8a04128bd637c807b9d80d3"));
    }

    #[test]
    fn an_email_needs_a_dotted_domain() {
        assert!(is_email("ufficio.anagrafe@comune.example.it"));
        for text in ["nope", "a@b", "@example.it", "a..b@example.it", "a@-x.it", "a@example.1"] {
            assert!(!is_email(text), "{text}");
        }
    }
}

//! Colours of the inbox: every pair of text and ground has the contrast that WCAG 2.2 AA asks of text.

use std::collections::HashMap;

const STYLE: &str = include_str!("../../templates/inbox.css");

/// Least contrast of text (WCAG 2.2, success criterion 1.4.3).
const AA: f64 = 4.5;

/// Text, ground: the variables that the style sheet puts together.
const PAIRS: [(&str, &str); 19] = [
    ("testo", "fondo"),
    ("testo", "fondo-2"),
    ("testo", "carta"),
    ("testo", "rilievo"),
    ("testo", "blu-velo"),
    ("grigio", "fondo"),
    ("grigio", "fondo-2"),
    ("grigio", "carta"),
    ("grigio", "rilievo"),
    ("blu", "fondo"),
    ("blu", "fondo-2"),
    ("blu", "carta"),
    ("blu", "blu-velo"),
    ("su-blu", "blu"),
    ("su-blu", "blu-scuro"),
    ("ambra", "ambra-velo"),
    ("rosso", "rosso-velo"),
    ("verde", "verde-velo"),
    ("viola", "viola-velo"),
];

/// The colours that a block declares, by variable (without its dashes) or property.
fn colours(block: &str) -> HashMap<&str, [f64; 3]> {
    let declarations = block.split(';').filter_map(|declaration| declaration.split_once(':'));
    declarations
        .filter_map(|(name, value)| {
            let hex = value.trim().strip_prefix('#')?;
            let channel = |at: usize| {
                let byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
                let part = f64::from(byte) / 255.0;
                Some(if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) })
            };
            let name = name.rsplit("--").next()?.trim();
            Some((name, [channel(0)?, channel(2)?, channel(4)?]))
        })
        .collect()
}

fn luminance([red, green, blue]: [f64; 3]) -> f64 {
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn text_is_readable_in_light_and_dark() {
    let blocks: Vec<&str> =
        STYLE.split(":root {").skip(1).map(|rest| rest.split_once('}').unwrap().0).collect();
    assert_eq!(blocks.len(), 2, "light and dark");
    for (theme, block) in ["light", "dark"].into_iter().zip(blocks) {
        let colours = colours(block);
        for (text, ground) in PAIRS {
            let found = contrast(colours[text], colours[ground]);
            assert!(found >= AA, "{theme}: --{text} on --{ground}: {found:.2}");
        }
    }
}

#[test]
fn initials_are_readable_on_every_tint() {
    let tints: Vec<[f64; 3]> = STYLE
        .split(".tinta-")
        .skip(1)
        .map(|rule| colours(rule.split_once('{').unwrap().1.split_once('}').unwrap().0)["background"])
        .collect();
    assert_eq!(tints.len(), 6);
    for (number, tint) in tints.into_iter().enumerate() {
        assert!(contrast([1.0; 3], tint) >= AA, "tint {number}");
    }
}

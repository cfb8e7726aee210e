//! Writes `docs/configuration.md` from the built-in defaults and their comments.

use std::fmt::Write as _;

use super::merge::DEFAULTS;

/// One key of `defaults.toml`.
pub(super) struct Key<'a> {
    /// Table, empty at the root.
    pub(super) table: &'a str,
    /// Key.
    pub(super) name: &'a str,
    /// The default, or an example.
    pub(super) value: &'a str,
    /// It has no default.
    pub(super) optional: bool,
    /// Its comment.
    pub(super) meaning: String,
}

/// What stands before the first table of the page.
const HEAD: &str = "# Settings

One TOML file for the fleet; each service reads its own part. A service takes `--config FILE`, else the file that `PROMEMORIA_CONFIG` names, else the
defaults alone.

- The environment overrides each key: `PROMEMORIA__AMQP__URL` is `amqp.url`. Lists are separated by commas there.
- Unknown keys are faults. All faults are listed at once, each with file, key and reason, and the exit code is 78.
- Durations are written `\"500ms\"`, `\"30s\"`, `\"5m\"`, `\"2h\"`, `\"7d\"`.
- Relative paths start from the settings file's folder; those of the defaults and of the environment from the
  working directory; those in an ente's file from that file's folder.
- A secret is given as text or, with `_file`, as the path of a file, whose trailing white space is taken off.
  Secrets are never printed. A key of the environment wins over either form in the file.
- Plain-text AMQP, Redis or HTTP to anything but loopback needs `allow_plaintext = true` in that section.
- The table `[sandbox]` belongs to the sandbox and is left alone.

`deploy/config/fleet.toml` is the same list as a file to start from; `deploy/config/enti/` has an example of an
ente without Premium contract and one with both.
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn configuration_page() -> String {
    let mut page = HEAD.to_owned();
    let mut table = None;
    for key in keys() {
        if table != Some(key.table) {
            table = Some(key.table);
            let title =
                if key.table.is_empty() { "Top level".to_owned() } else { format!("`[{}]`", key.table) };
            push(
                &mut page,
                format_args!("\n## {title}\n\n| key | default | meaning |\n| --- | --- | --- |\n"),
            );
        }
        let value = if key.optional {
            format!("none; for example `{}`", key.value)
        } else {
            format!("`{}`", key.value)
        };
        push(&mut page, format_args!("| `{}` | {value} | {} |\n", key.name, key.meaning));
    }
    page
}

fn push(page: &mut String, text: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    page.write_fmt(text).ok();
}

/// The keys in their order. A key is `name = value`, one without default `#name = value`; the comment
/// lines above, which begin with `# `, tell its meaning.
pub(super) fn keys() -> Vec<Key<'static>> {
    let mut keys = Vec::new();
    let mut table = "";
    let mut meaning: Vec<&str> = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            meaning.push(comment);
        } else if let Some(name) = line.strip_prefix('[') {
            table = name.trim_end_matches(']');
        } else if let Some((name, value)) = line.split_once(" = ") {
            let optional = name.starts_with('#');
            let meaning = std::mem::take(&mut meaning).join(" ");
            keys.push(Key { table, name: name.trim_start_matches('#'), value, optional, meaning });
        } else {
            meaning.clear(); // an empty line ends the comment of the file as a whole
        }
    }
    keys
}

//! The inbox in a real browser: headless Chromium.

use crate::client::{Trial, two_services};
use crate::inbox::rich_message;
use sandbox::recipients;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// The browser, from `CHROMIUM` or by its usual names on the `PATH`.
fn chromium() -> String {
    let named = std::env::var("CHROMIUM").ok().into_iter();
    let usual = ["chromium", "chromium-browser"].map(str::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .chain(usual)
        .find(|name| std::env::split_paths(&path).any(|folder| folder.join(name).is_file()))
        .expect(
            "no Chromium: install it (Debian: `apt-get install chromium`; the project's setup script does it) \
             or name it in CHROMIUM",
        )
}

async fn browse(profile: &Path, arguments: &[&str]) -> Output {
    let child = Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage"])
        .args(["--disable-background-networking", "--no-first-run", "--disable-component-update"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_mins(1), child)
        .await
        .expect("Chromium ends")
        .expect("Chromium starts")
}

/// Width and height in the header of a PNG.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "not a PNG");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_list_and_a_message() {
    let trial = Trial::start(two_services()).await;
    let id = trial.accepted("chiave-uno", &rich_message()).await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("{}/?codice_fiscale={}", trial.sandbox.url(), recipients::ON_IO);
    let dom = browse(folder.path(), &["--dump-dom", &url]).await;
    let dom = String::from_utf8(dom.stdout).unwrap();
    assert!(dom.contains(&format!("href=\"/messaggi/{id}\"")), "{dom}");
    assert!(dom.contains("Avviso &lt;script&gt;alert(1)&lt;/script&gt;"), "{dom}");
    for (name, window, size) in
        [("desktop.png", "1400,950", (1400, 950)), ("phone.png", "500,1000", (500, 1000))]
    {
        let file = folder.path().join(name);
        let screenshot = format!("--screenshot={}", file.display());
        let window = format!("--window-size={window}");
        let page = format!("{}/messaggi/{id}", trial.sandbox.url());
        let output = browse(folder.path(), &[&screenshot, &window, &page]).await;
        let picture = std::fs::read(&file)
            .unwrap_or_else(|_| panic!("no screenshot: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(png_size(&picture), size, "{name}");
        // A blank page of this size compresses to a few kilobytes.
        assert!(picture.len() > 20_000, "{name} looks blank: {} bytes", picture.len());
    }
}

//! `publish`.

use serde_json::json;
use shared::broker::topology;
use shared::clock::Clock;

use crate::store::rent;
use crate::trial::{Trial, depth};

pub(crate) async fn good_events_are_published_and_bad_ones_hold_all_back(trial: &Trial) {
    let file = trial.folder.path().join("events.jsonl");
    let path = file.to_str().unwrap();
    let now = Clock::system().now();
    let (good, mut bad) = (rent("nuovo-1", now), rent("nuovo-2", now));
    bad["data"]["importo_centesimi"] = json!(-1);
    std::fs::write(&file, format!("{good}\n{bad}\n")).unwrap();
    let ending = trial.run(&["publish", path]).await;
    assert_eq!(ending.code, 1, "{ending:?}");
    assert!(ending.err.contains("line 2: schema: data.importo_centesimi"), "{}", ending.err);
    assert_eq!(depth(&trial.settings, topology::EVENTS_QUEUE).await, 0);
    std::fs::write(&file, format!("[{good}]")).unwrap();
    let ending = trial.run(&["publish", path]).await;
    assert_eq!((ending.code, ending.out.as_str()), (0, "1 event published and confirmed\n"), "{ending:?}");
    assert_eq!(depth(&trial.settings, topology::EVENTS_QUEUE).await, 1);
}

//! The quick half of the fault matrix.

use tests::chaos::{Half, Length, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quick_half_of_the_fault_matrix_holds() -> anyhow::Result<()> {
    let outcome = run(&crate::binaries(), &Half::Quick, Length::Short).await?;
    let broken: Vec<String> = outcome.broken().iter().map(|f| format!("{}: {}", f.id, f.seen)).collect();
    assert!(broken.is_empty(), "broken rows:\n{}", broken.join("\n"));
    Ok(())
}

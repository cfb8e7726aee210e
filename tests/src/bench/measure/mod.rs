//! The measurements.

mod cost;
mod fire;
mod latency;
mod memory;
mod quota;
mod rebuild;
mod relay;

pub(super) use fire::{Fire, fire};
pub(super) use latency::{Latency, latency};
pub(super) use memory::{Memory, memory};
pub(super) use quota::{Quota, quota};
pub(super) use rebuild::{Rebuild, rebuild};
pub(super) use relay::{Relay, relay};

/// The middle of some figures; the lower of the two middle ones.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    quantile(&figures, 0.5)
}

/// The figure below which a share of the sorted ones lies (nearest rank); 0 of none.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among a few million figures is exact in an f64, and never negative"
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts of the benchmark are far below 2^53")]
fn figure(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_figures() {
        let figures: Vec<f64> = (1..=100).map(f64::from).collect();
        assert!((quantile(&figures, 0.99) - 99.0).abs() < f64::EPSILON);
        assert!((quantile(&figures, 0.5) - 50.0).abs() < f64::EPSILON);
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median([]).abs() < f64::EPSILON);
    }
}

//! Many numbers as a few: medians with spread, never means, which one disturbance spoils.

use serde_json::{Value, json};

/// What many measurements come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// How many there were.
    pub count: usize,
    /// Half are less.
    pub median: f64,
    /// A quarter is less.
    pub low: f64,
    /// A quarter is more.
    pub high: f64,
    /// One in a hundred is more.
    pub worst: f64,
    /// None is less.
    pub least: f64,
}

impl Summary {
    /// Sums up.
    pub fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut numbers: Vec<f64> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        Self {
            count: numbers.len(),
            median: quantile(&numbers, 50),
            low: quantile(&numbers, 25),
            high: quantile(&numbers, 75),
            worst: quantile(&numbers, 99),
            least: quantile(&numbers, 0),
        }
    }

    /// How far the middle half lies apart, as a part of the median.
    pub fn spread(&self) -> f64 {
        (self.high - self.low) / self.median
    }

    /// For machines.
    pub fn to_json(&self) -> Value {
        let Self { count, median, low, high, worst, least } = *self;
        let [median, low, high, worst, least] = [median, low, high, worst, least].map(rounded);
        json!({ "count": count, "median": median, "p25": low, "p75": high, "p99": worst, "min": least })
    }
}

/// Four digits behind the point say more than any clock knows.
pub fn rounded(number: f64) -> f64 {
    (number * 1e4).round() / 1e4
}

/// The number below which so many in a hundred of sorted numbers lie.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let (place, part) = (last * percent / 100, last * percent % 100);
    let next = sorted[(place + 1).min(last)];
    #[expect(clippy::cast_precision_loss, reason = "it is less than a hundred")]
    let part = part as f64 / 100.0;
    sorted[place] + (next - sorted[place]) * part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let summary = Summary::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((summary.least, summary.low, summary.median), (1.0, 1.75, 2.5));
        assert_eq!((summary.high, summary.count), (3.25, 4));
        assert!(Summary::of([]).median.is_nan());
    }
}

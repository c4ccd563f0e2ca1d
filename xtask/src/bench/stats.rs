//! Medians and quartiles.

/// A series of measurements of one thing, summed up.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Summary {
    pub(super) count: usize,
    pub(super) median: f64,
    pub(super) low_quartile: f64,
    pub(super) high_quartile: f64,
}

impl Summary {
    /// Sums up values; of no values it is all zeros.
    pub(super) fn of(values: &[f64]) -> Self {
        Self {
            count: values.len(),
            median: quantile(values, 0.5),
            low_quartile: quantile(values, 0.25),
            high_quartile: quantile(values, 0.75),
        }
    }
}

/// Returns the value below which a share of the values are, between two neighbours where it falls
/// there.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * sorted.len().saturating_sub(1) as f64;
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(0.0);
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0], 0.5), 1.5);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0, 5.0], 0.25), 2.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}

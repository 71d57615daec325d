//! Reading the exposition of a running router.

use std::collections::BTreeMap;

/// Every sample of an exposition: the series as printed, and its value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Samples(BTreeMap<String, f64>);

impl Samples {
    /// Reads Prometheus text or OpenMetrics.
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let pair = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self(samples.filter_map(pair).collect())
    }

    /// The sum of the samples of `name` whose labels contain every one of `labels`, such as `reason="x"`.
    pub(crate) fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.matching(name, labels).map(|(_, value)| value).sum()
    }

    /// The samples of `name` with these labels.
    pub(crate) fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.iter().filter_map(move |(series, value)| {
            let (head, tail) = series.split_once('{').unwrap_or((series, ""));
            let fits = head == name && labels.iter().all(|label| tail.contains(label));
            fits.then_some((series.as_str(), *value))
        })
    }
}

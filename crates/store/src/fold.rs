//! Adding up what calls cost, as both adapters of the Records port do it.

use bedplate_core::{
    message::Usage,
    port::{
        ledger::Period,
        records::{
            CacheUse, CallRecord, CostRow, CostSum, Costs, Dimension, MAX_COST_ROWS, Outcome, Quantiles, RecordFilter,
            RecordsError,
        },
    },
    time::Timestamp,
};
use std::{collections::BTreeMap, time::Duration};

/// What of a call is added up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) failed: bool,
    pub(crate) cancelled: bool,
    pub(crate) hit: bool,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<u64>,
    pub(crate) saved: u64,
    pub(crate) total_us: u64,
    pub(crate) first_us: Option<u64>,
}

impl Figures {
    pub(crate) fn of(record: &CallRecord) -> Self {
        Self {
            failed: matches!(record.outcome, Outcome::Failed { .. }),
            cancelled: record.outcome == Outcome::Cancelled,
            hit: record.cache.is_some_and(CacheUse::is_hit),
            usage: record.usage,
            cost: record.cost,
            saved: record.saved,
            total_us: micros(record.total),
            first_us: record.first_token.map(micros),
        }
    }
}

/// Adds calls up by what they have in common.
pub(crate) struct Fold {
    rows: BTreeMap<Vec<Option<String>>, Sum>,
    total: Sum,
}

impl Fold {
    pub(crate) fn new() -> Self {
        Self { rows: BTreeMap::new(), total: Sum::default() }
    }

    pub(crate) fn add(&mut self, by: Vec<Option<String>>, figures: &Figures) -> Result<(), RecordsError> {
        self.total.add(figures);
        self.rows.entry(by).or_default().add(figures);
        if self.rows.len() > MAX_COST_ROWS { Err(RecordsError::TooManyRows) } else { Ok(()) }
    }

    pub(crate) fn finish(self) -> Costs {
        let rows = self.rows.into_iter().map(|(by, sum)| CostRow { by, sum: sum.finish() });
        Costs { rows: rows.collect(), total: self.total.finish() }
    }
}

/// Returns what `at` is under a dimension of time; none for any other dimension.
pub(crate) fn time_value(dimension: &Dimension, at: Timestamp) -> Option<String> {
    let start = match dimension {
        Dimension::Minute => at.0.div_euclid(60_000) * 60_000,
        Dimension::Hour => at.0.div_euclid(3_600_000) * 3_600_000,
        Dimension::Day => Period::Day.bucket(at),
        Dimension::Month => Period::Month.bucket(at),
        _ => return None,
    };
    Some(start.to_string())
}

/// Returns what a record is under a dimension.
pub(crate) fn value(dimension: &Dimension, record: &CallRecord) -> Option<String> {
    let text = |it: &Option<std::sync::Arc<str>>| it.as_deref().map(str::to_owned);
    match dimension {
        Dimension::Minute | Dimension::Hour | Dimension::Day | Dimension::Month => time_value(dimension, record.at),
        Dimension::Model => text(&record.model),
        Dimension::Route => Some(record.route.to_string()),
        Dimension::Provider => text(&record.provider),
        Dimension::Target => text(&record.target),
        Dimension::Key => text(&record.key),
        Dimension::Team => text(&record.team),
        Dimension::User => text(&record.user),
        Dimension::Agent => text(&record.agent),
        Dimension::Session => text(&record.session),
        Dimension::Run => record.run.map(|run| run.to_string()),
        Dimension::Error => match &record.outcome {
            Outcome::Failed { kind, .. } => Some(kind.to_string()),
            Outcome::Ok | Outcome::Cancelled => None,
        },
        Dimension::Cache => record.cache.map(|cache| cache.as_str().to_owned()),
        Dimension::Tag(name) => record.tags.get(name).cloned(),
    }
}

/// Returns whether a record is meant by a filter.
pub(crate) fn matches(filter: &RecordFilter, record: &CallRecord) -> bool {
    filter.from.is_none_or(|from| record.at >= from)
        && filter.to.is_none_or(|to| record.at < to)
        && (!filter.failed || matches!(record.outcome, Outcome::Failed { .. }))
        && filter.equal.iter().all(|(dimension, wanted)| value(dimension, record).as_ref() == Some(wanted))
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[derive(Default)]
struct Sum {
    sum: CostSum,
    latency: Histogram,
    first: Histogram,
}

impl Sum {
    fn add(&mut self, figures: &Figures) {
        let sum = &mut self.sum;
        sum.calls += 1;
        sum.errors += u64::from(figures.failed);
        sum.cancelled += u64::from(figures.cancelled);
        sum.cache_hits += u64::from(figures.hit);
        sum.unpriced += u64::from(figures.cost.is_none() && !figures.failed);
        sum.usage += figures.usage;
        sum.cost = sum.cost.saturating_add(figures.cost.unwrap_or(0));
        sum.saved = sum.saved.saturating_add(figures.saved);
        if !figures.failed && !figures.cancelled {
            self.latency.add(figures.total_us);
        }
        if let Some(first) = figures.first_us {
            self.first.add(first);
        }
    }

    fn finish(self) -> CostSum {
        CostSum { latency: self.latency.quantiles(), first_token: self.first.quantiles(), ..self.sum }
    }
}

/// Counts of values in steps that grow with the value: 32 steps for each power of two, so that each is told within 4
/// per cent.
#[derive(Default)]
struct Histogram {
    counts: BTreeMap<u16, u32>,
    total: u64,
}

const STEPS: u32 = 5;

impl Histogram {
    fn add(&mut self, value: u64) {
        *self.counts.entry(step(value)).or_default() += 1;
        self.total += 1;
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let at = |percent: u64| {
            let wanted = (self.total * percent).div_ceil(100);
            let mut seen = 0;
            let found = self.counts.iter().find(|(_, count)| {
                seen += u64::from(**count);
                seen >= wanted
            });
            found.map_or(Duration::ZERO, |(step, _)| Duration::from_micros(top(*step)))
        };
        (self.total > 0).then(|| Quantiles { p50: at(50), p95: at(95), p99: at(99) })
    }
}

fn step(value: u64) -> u16 {
    let bits = u64::BITS - value.leading_zeros();
    let step = match bits.checked_sub(STEPS + 1) {
        None => value,
        Some(shift) => (u64::from(shift + 1) << STEPS) + ((value >> shift) - (1 << STEPS)),
    };
    u16::try_from(step).unwrap_or(u16::MAX)
}

/// Returns the largest value of a step.
fn top(step: u16) -> u64 {
    let (shift, rest) = (step >> STEPS, u64::from(step) & ((1 << STEPS) - 1));
    match shift.checked_sub(1) {
        None => rest,
        Some(shift) => (((1_u64 << STEPS) + rest + 1) << shift).wrapping_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_told_within_four_per_cent() {
        for value in [0, 1, 31, 32, 33, 63, 64, 1_000, 123_456, 60_000_000, u64::from(u32::MAX), u64::MAX] {
            let told = top(step(value));
            assert!(told >= value && told - value <= value / 25, "{value} is told as {told}");
        }
        let mut histogram = Histogram::default();
        for value in 1..=1_000 {
            histogram.add(value * 1_000);
        }
        let told = histogram.quantiles().expect("it has values");
        let near = |duration: Duration, wanted: u128| duration.as_millis().abs_diff(wanted) <= wanted / 25;
        assert!(near(told.p50, 500) && near(told.p95, 950) && near(told.p99, 990), "{told:?}");
    }
}

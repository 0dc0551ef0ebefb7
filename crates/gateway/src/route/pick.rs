//! Which of several targets gets a call: by weight, by measurement, or by who has its prefix in memory.

use crate::resilience::health::Reading;

/// What a choice by measurement looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The expected time until the first token, by peak-EWMA.
    Latency,
    /// The price.
    Cost,
    /// The part of calls that fail.
    Errors,
    /// What is left of the quota: who said that it is used up goes last, then who has most calls under way.
    Quota,
    /// Replicas of one self-hosted model: who has the prompt's beginning in memory and not too much else to do.
    Replicas,
}

/// A target as a choice sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// What was measured.
    pub reading: Reading,
    /// Millionths of a dollar for a million tokens of output and three of input; none: not known.
    pub price: Option<u64>,
    /// What tells the target from others.
    pub hash: u64,
}

/// Returns the index that `key` always falls on, spread by `weights`; none when all are 0.
///
/// A change of one weight moves only the keys that it must (rendezvous hashing), so sessions stick.
#[must_use]
pub fn weighted(key: u64, weights: &[(u64, u32)]) -> Option<usize> {
    let score = |hash: u64, weight: u32| {
        // Uniform in (0, 1]: its logarithm over the weight makes the chance proportional to it.
        let uniform = (unit(mix(key ^ mix(hash)))).max(f64::MIN_POSITIVE);
        -f64::from(weight) / uniform.ln().min(-f64::MIN_POSITIVE)
    };
    let mut best: Option<(usize, f64)> = None;
    for (index, &(hash, weight)) in weights.iter().enumerate().filter(|(_, (_, weight))| *weight > 0) {
        let score = score(hash, weight);
        if best.is_none_or(|(_, least)| score > least) {
            best = Some((index, score));
        }
    }
    best.map(|(index, _)| index)
}

/// Returns whether `key` is among `percent` of all keys. It asks other bits than [`weighted`].
#[must_use]
pub fn among(key: u64, percent: f64) -> bool {
    unit(mix(key ^ CANARY)) * 100.0 < percent
}

/// Returns all indices, the chosen one first and the rest from good to bad. `random` is any number; `prefix` are the
/// hashes of the prompt's beginnings, shortest first.
#[must_use]
pub fn by_metric(metric: Metric, seen: &[Seen], random: u64, prefix: &[u64]) -> Vec<usize> {
    let cost = |index: usize| cost(metric, &seen[index]);
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|&a, &b| cost(a).total_cmp(&cost(b)));
    match metric {
        Metric::Cost | Metric::Errors | Metric::Quota => order,
        Metric::Latency => {
            // Two drawn at random, the better of them taken: nobody is overrun by being the best of all.
            let count = seen.len() as u64;
            if count > 2 {
                let a = random % count;
                let b = (a + 1 + (random >> 32) % (count - 1)) % count;
                let (a, b) = (a as usize, b as usize);
                to_front(&mut order, if cost(a) <= cost(b) { a } else { b });
            }
            order
        }
        Metric::Replicas => {
            // The longest beginning that maps to a replica with room wins; each length has its own favourite, so a
            // long shared system prompt keeps its conversations together.
            let least = seen.iter().map(|one| one.reading.outstanding_tokens).min().unwrap_or(0);
            let free = |index: usize| seen[index].reading.outstanding_tokens <= least * 2 + SLACK;
            let weights: Vec<(u64, u32)> = seen.iter().map(|one| (one.hash, 1)).collect();
            let home = prefix.first().and_then(|hash| weighted(*hash, &weights));
            if let Some(index) = home.filter(|&index| free(index) && !seen[index].reading.exhausted) {
                to_front(&mut order, index);
            }
            order
        }
    }
}

/// How many tokens a replica may be ahead of the idlest and still be given what it knows.
const SLACK: u64 = 8_192;

const CANARY: u64 = 0x63_616e_6172_7921;

fn to_front(order: &mut Vec<usize>, index: usize) {
    if let Some(at) = order.iter().position(|&other| other == index) {
        order.remove(at);
        order.insert(0, index);
    }
}

#[expect(clippy::cast_precision_loss, reason = "costs are compared, not added up")]
fn cost(metric: Metric, seen: &Seen) -> f64 {
    let reading = &seen.reading;
    let away = if reading.exhausted { 1e12 } else { 0.0 };
    away + match metric {
        Metric::Latency => reading.peak_ewma(),
        // A model whose price nobody knows is not called the cheapest.
        Metric::Cost => seen.price.map_or(1e11, |price| price as f64),
        Metric::Errors => reading.errors,
        Metric::Quota => f64::from(reading.outstanding),
        Metric::Replicas => reading.outstanding_tokens as f64,
    }
}

/// Mixes the bits of a number (SplitMix64's end).
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Returns a hash of `bytes` that is the same in every process (FNV-1a, mixed).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fold))
}

#[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
fn unit(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[(u64, u32)]) -> Vec<f64> {
        let mut counts = vec![0_u32; weights.len()];
        for key in 0..20_000 {
            counts[weighted(mix(key), weights).unwrap()] += 1;
        }
        counts.into_iter().map(|count| f64::from(count) / 20_000.0).collect()
    }

    #[test]
    fn a_weighted_split_keeps_its_shares() {
        let shares = shares(&[(hash(b"a"), 70), (hash(b"b"), 25), (hash(b"c"), 5), (hash(b"d"), 0)]);
        for (share, wanted) in shares.iter().zip([0.70, 0.25, 0.05, 0.0]) {
            assert!((share - wanted).abs() < 0.015, "{shares:?}");
        }
    }

    #[test]
    fn a_session_stays_where_it_is_when_another_weight_changes() {
        let (before, after) = ([(1, 50), (2, 50)], [(1, 50), (2, 60)]);
        let moved_to_first = (0..10_000_u64)
            .filter(|&key| weighted(mix(key), &before) == Some(1) && weighted(mix(key), &after) == Some(0))
            .count();
        assert_eq!(moved_to_first, 0, "who was with the heavier one stays");
        let moved = (0..10_000_u64).filter(|&key| weighted(mix(key), &before) != weighted(mix(key), &after)).count();
        assert!((200..700).contains(&moved), "{moved} of 10,000 moved for a tenth more weight");
    }

    #[test]
    fn a_canary_gets_its_per_cent_and_always_the_same_sessions() {
        let chosen: Vec<u64> = (0..20_000).filter(|&key| among(mix(key), 5.0)).collect();
        assert!((850..1_150).contains(&chosen.len()), "{}", chosen.len());
        assert!(chosen.iter().all(|&key| among(mix(key), 10.0)), "raising the per cent keeps those who were in");
        assert!(!(0..1000).any(|key| among(mix(key), 0.0)));
    }

    fn seen(latency: f64, outstanding: u32, tokens: u64) -> Seen {
        let reading = Reading { latency, errors: 0.0, outstanding, outstanding_tokens: tokens, exhausted: false };
        Seen { reading, price: None, hash: mix(outstanding.into()) }
    }

    #[test]
    fn the_slow_one_gets_little_and_the_fast_one_not_everything() {
        let all = [seen(0.1, 0, 0), seen(0.12, 0, 0), seen(5.0, 0, 0)];
        let mut counts = [0; 3];
        for n in 0..3_000_u64 {
            counts[by_metric(Metric::Latency, &all, mix(n), &[])[0]] += 1;
        }
        assert_eq!(counts[2], 0, "two choices never end at the slowest of three");
        assert!(counts[1] > 600, "{counts:?}");
    }

    #[test]
    fn who_has_no_quota_left_goes_last_whatever_its_price() {
        let mut cheap = Seen { price: Some(1), ..seen(0.1, 0, 0) };
        let dear = Seen { price: Some(10), ..seen(0.1, 0, 0) };
        assert_eq!(by_metric(Metric::Cost, &[dear, cheap, Seen::default()], 0, &[]), [1, 0, 2]);
        cheap.reading.exhausted = true;
        assert_eq!(by_metric(Metric::Cost, &[dear, cheap], 0, &[]), [0, 1]);
    }

    #[test]
    fn a_conversation_returns_to_the_replica_that_knows_it_unless_that_is_overrun() {
        let replicas = |busy: u64| {
            let one = |n: u64, tokens| Seen { hash: mix(n), ..seen(0.1, 0, tokens) };
            [one(1, busy), one(2, busy), one(3, 0)]
        };
        let prefixes: Vec<u64> = (0..300).map(mix).collect();
        for &prefix in &prefixes {
            let at_rest = by_metric(Metric::Replicas, &replicas(0), 0, &[prefix]);
            assert_eq!(by_metric(Metric::Replicas, &replicas(5_000), 0, &[prefix])[0], at_rest[0]);
            assert_eq!(by_metric(Metric::Replicas, &replicas(100_000), 0, &[prefix])[0], 2);
        }
    }
}

//! What models cost: a small table, checked in and dated; a project may override it.

use bedplate_core::agent::Price;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Prices by model id.
#[derive(Clone, Debug)]
pub struct PriceTable {
    /// The day on which the table was made, `YYYY-MM-DD`.
    pub as_of: String,
    models: BTreeMap<String, Tariff>,
}

/// How a provider bills the calls of a model of the project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Billing {
    /// On demand.
    #[default]
    Standard,
    /// At the lower price of what may come late: a batch or flex tier.
    Batch,
    /// By the hour for capacity that is reserved; tokens cost what the project says, else nothing.
    Provisioned,
}

/// What a model costs, by how it is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// On demand.
    pub standard: Price,
    /// In a batch or flex tier; none: nobody has said.
    pub batch: Option<Price>,
    /// With provisioned capacity; none: nothing, the hours are paid elsewhere.
    pub provisioned: Option<Price>,
}

impl Tariff {
    /// Returns the tariff of whatever is billed on demand alone.
    #[must_use]
    pub fn standard(price: Price) -> Self {
        Self { standard: price, batch: None, provisioned: None }
    }

    fn price(&self, billing: Billing) -> Option<Price> {
        match billing {
            Billing::Standard => Some(self.standard),
            Billing::Batch => self.batch,
            Billing::Provisioned => Some(self.provisioned.unwrap_or(NOTHING)),
        }
    }
}

const NOTHING: Price = Price { input: 0, output: 0, cache_read: 0, cache_write: 0 };

impl PriceTable {
    /// Returns the table that is checked in.
    #[must_use]
    pub fn built_in() -> Self {
        Self::parse(include_str!("prices.toml")).expect("a test reads the checked-in table")
    }

    /// Reads a table: `as_of`, and for each model id its prices in US dollars for a million tokens.
    ///
    /// # Errors
    /// [`PriceTableError`].
    pub fn parse(text: &str) -> Result<Self, PriceTableError> {
        let file: File = toml::from_str(text).map_err(|error| PriceTableError::Form(error.to_string()))?;
        let mut models = BTreeMap::new();
        for (id, entry) in file.models {
            let tariff = entry.tariff().ok_or_else(|| PriceTableError::Amount(id.clone()))?;
            models.insert(id, tariff);
        }
        Ok(Self { as_of: file.as_of, models })
    }

    /// Returns the table with the prices that a project sets in place of its own.
    #[must_use]
    pub fn with(&self, own: &BTreeMap<String, Tariff>) -> Self {
        let mut table = self.clone();
        table.models.extend(own.iter().map(|(id, tariff)| (id.clone(), *tariff)));
        table
    }

    /// Returns the price of a model that is billed on demand.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Price> {
        self.billed(model, Billing::Standard)
    }

    /// Returns the price of a model that is billed so; none where it is not known: no other price stands for it. A
    /// model with provisioned capacity that the table does not know costs nothing by the token. A dated or versioned id
    /// (`-20250929`, `-2024-08-06`, `-latest`, `-v1:0`) has the price of the model that it is a snapshot of, and
    /// Bedrock's `us.` and `anthropic.` are left out; any other suffix names another model.
    #[must_use]
    pub fn billed(&self, model: &str, billing: Billing) -> Option<Price> {
        let known = |id: &str| {
            (0..=id.len())
                .rev()
                .filter(|&end| id.is_char_boundary(end) && is_snapshot(&id[end..]))
                .find_map(|end| self.models.get(&id[..end]).copied())
        };
        // `us.anthropic.claude-…` and `amazon.nova-…` lose one part after the other; `gpt-4.1` is found at once.
        let mut names = std::iter::successors(Some(model), |id| id.split_once('.').map(|(_, rest)| rest)).take(3);
        match names.find_map(known) {
            Some(tariff) => tariff.price(billing),
            None => (billing == Billing::Provisioned).then_some(NOTHING),
        }
    }
}

/// A price table that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriceTableError {
    /// It has not the form of one.
    #[error("the price table cannot be read: {0}")]
    Form(String),
    /// An amount that is no price.
    #[error("the price of `{0}` is not a number of dollars from 0 to 100,000")]
    Amount(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    as_of: String,
    models: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    input: f64,
    output: f64,
    cache_read: Option<f64>,
    cache_write: Option<f64>,
    /// Which part of all prices is paid in a batch or flex tier.
    batch: Option<f64>,
}

impl Entry {
    // A model without prices for its cache bills cached tokens as input.
    fn tariff(&self) -> Option<Tariff> {
        let price = |part: f64| {
            Some(Price {
                input: micros(self.input * part)?,
                output: micros(self.output * part)?,
                cache_read: micros(self.cache_read.unwrap_or(self.input) * part)?,
                cache_write: micros(self.cache_write.unwrap_or(self.input) * part)?,
            })
        };
        let batch = match self.batch {
            Some(part) if !(0.0..=1.0).contains(&part) => return None,
            Some(part) => Some(price(part)?),
            None => None,
        };
        Some(Tariff { standard: price(1.0)?, batch, provisioned: None })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked first")]
fn micros(dollars: f64) -> Option<u64> {
    (0.0..=100_000.0).contains(&dollars).then(|| (dollars * 1_000_000.0).round() as u64)
}

fn is_snapshot(suffix: &str) -> bool {
    if suffix.is_empty() {
        return true;
    }
    let Some(rest) = suffix.strip_prefix(['-', '@']) else { return false };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let version = rest.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    rest == "latest" || version || (digits >= 4 && is_date_end(&rest[digits..]))
}

/// Returns whether what follows a date's first digits belongs to the date or to a version.
fn is_date_end(rest: &str) -> bool {
    rest.is_empty() || rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'v' | b':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_costs_what_its_model_costs_and_another_model_does_not() {
        let table = PriceTable::built_in();
        let of = |id| table.of(id).map(|price| (price.input, price.output));
        assert_eq!(of("claude-sonnet-4-5-20250929"), of("claude-sonnet-4-5"));
        assert_eq!(of("us.anthropic.claude-3-5-sonnet-20240620-v1:0"), Some((3_000_000, 15_000_000)));
        assert_eq!(of("amazon.nova-micro-v1:0"), Some((35_000, 140_000)));
        assert_eq!(of("gpt-4o-2024-08-06"), of("gpt-4o"));
        assert_eq!(of("gpt-4.1-mini"), Some((400_000, 1_600_000)));
        assert_eq!(of("gpt-4o-audio-preview"), None);
        assert_eq!(of("gpt-4o-mini-realtime-preview-2024-12-17"), None);
        assert_eq!(of("llama3.2:3b"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn every_price_is_sane_and_the_table_is_dated() {
        let table = PriceTable::built_in();
        assert_eq!(table.as_of.len(), 10);
        for (id, tariff) in &table.models {
            let price = tariff.standard;
            assert!(tariff.batch.is_none_or(|batch| batch.input < price.input && batch.output < price.output), "{id}");
            assert!(
                price.input > 0 && price.output >= price.input && price.cache_read <= price.input,
                "{id}: {price:?}"
            );
        }
    }

    #[test]
    fn what_is_billed_otherwise_has_its_own_price_or_none() {
        let table = PriceTable::built_in();
        let half = table.billed("claude-sonnet-4-5-20250929", Billing::Batch).expect("it is in the table");
        assert_eq!(half, Price { input: 1_500_000, output: 7_500_000, cache_read: 150_000, cache_write: 1_875_000 });
        assert_eq!(table.billed("nova-micro", Billing::Provisioned), Some(NOTHING), "the hours are paid elsewhere");
        assert_eq!(table.billed("nobody-knows", Billing::Batch), None, "no other price stands for it");
        let own = Price { input: 3, ..NOTHING };
        let tariff = Tariff { batch: Some(own), provisioned: Some(own), ..Tariff::standard(NOTHING) };
        let table = table.with(&BTreeMap::from([("claude-sonnet-4-5".to_owned(), tariff)]));
        for billing in [Billing::Batch, Billing::Provisioned] {
            assert_eq!(table.billed("claude-sonnet-4-5", billing), Some(own), "the project's own goes before");
        }
    }

    #[test]
    fn pain_22_cached_tokens_cost_their_own_price_and_are_billed_once() {
        let price = PriceTable::built_in().of("claude-sonnet-4-5").expect("it is in the table");
        let usage = bedplate_core::message::Usage { input: 1_000, output: 100, cache_read: 10_000, cache_write: 2_000 };
        assert_eq!(price.cost(&usage), 3_000 + 1_500 + 3_000 + 7_500);
    }

    #[test]
    fn a_table_with_nonsense_is_refused() {
        assert!(matches!(PriceTable::parse("as_of = 3"), Err(PriceTableError::Form(_))));
        let text = "as_of = \"2026-01-01\"\n[models.x]\ninput = -1.0\noutput = 2.0\n";
        assert_eq!(PriceTable::parse(text).err(), Some(PriceTableError::Amount("x".into())));
    }
}

//! What a question about records and costs asks: which calls, from when to when, by what.

use crate::{ApiError, App, access::Identity, wire::rfc3339};
use bedplate_core::{
    port::records::{Dimension, RecordFilter},
    time::Timestamp,
};
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// Which calls.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Asked {
    /// From this time on: RFC 3339, `YYYY-MM-DD`, or a length back from now (`90m`, `24h`, `7d`).
    pub(crate) from: Option<String>,
    /// Before this time, in the same forms.
    pub(crate) to: Option<String>,
    /// Costs only: what the rows are by, up to three of minute, hour, day, month, model, route, provider, target, key,
    /// team, user, agent, session, run, error, cache, tag:NAME; default day.
    pub(crate) by: Option<String>,
    user_id: Option<String>,
    session_id: Option<String>,
    run_id: Option<String>,
    agent: Option<String>,
    model: Option<String>,
    route: Option<String>,
    provider: Option<String>,
    target: Option<String>,
    key: Option<String>,
    team: Option<String>,
    /// `name=value`.
    tag: Option<String>,
    /// A kind of error, or `any`.
    error: Option<String>,
    /// `hit`, `semantic_hit`, `miss` or `bypass`.
    cache: Option<String>,
    /// Records only: how many, 1 to 200; default 50.
    pub(crate) limit: Option<usize>,
    /// Records only: those before this one.
    pub(crate) before: Option<String>,
}

impl Asked {
    /// Returns the filter without times; a key that speaks for a user sees that user's calls alone.
    pub(crate) fn filter(&self, identity: &Identity) -> Result<RecordFilter, ApiError> {
        let mut filter = RecordFilter::default();
        let user = identity.user_filter(self.user_id.as_deref())?;
        let plain = [
            (Dimension::User, user.map(|user| user.to_string())),
            (Dimension::Session, self.session_id.clone()),
            (Dimension::Run, self.run_id.clone()),
            (Dimension::Agent, self.agent.clone()),
            (Dimension::Model, self.model.clone()),
            (Dimension::Route, self.route.clone()),
            (Dimension::Provider, self.provider.clone()),
            (Dimension::Target, self.target.clone()),
            (Dimension::Key, self.key.clone()),
            (Dimension::Team, self.team.clone()),
            (Dimension::Cache, self.cache.clone()),
        ];
        filter.equal.extend(plain.into_iter().filter_map(|(dimension, value)| Some((dimension, value?))));
        if let Some(tag) = &self.tag {
            let (name, value) = tag.split_once('=').ok_or_else(|| invalid("tag", "`name=value`"))?;
            filter.equal.push((Dimension::Tag(name.to_owned()), value.to_owned()));
        }
        match self.error.as_deref() {
            None => {}
            Some("any") => filter.failed = true,
            Some(kind) => filter.equal.push((Dimension::Error, kind.to_owned())),
        }
        Ok(filter)
    }
}

/// Returns from when to when is asked; `default` back from now when nobody says.
pub(crate) fn window(app: &App, asked: &Asked, default: Duration) -> Result<(Timestamp, Timestamp), ApiError> {
    let now = app.now();
    let from = asked.from.as_deref().map(|text| time("from", text, now)).transpose()?;
    let to = asked.to.as_deref().map(|text| time("to", text, now)).transpose()?;
    // What happens in this very millisecond is asked for too.
    let to = to.unwrap_or(Timestamp(now.0.saturating_add(1)));
    let back = i64::try_from(default.as_millis()).unwrap_or(i64::MAX);
    Ok((from.unwrap_or(Timestamp(now.0.saturating_sub(back))), to))
}

/// Reads a time: RFC 3339, a day, or a length back from `now`.
pub(crate) fn time(name: &'static str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    let wrong = || invalid(name, "RFC 3339, YYYY-MM-DD, or a length back from now such as 7d");
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let start = day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?;
        return Ok(Timestamp(start.timestamp().as_millisecond()));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(at.as_millisecond()));
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let factor: i64 = match unit {
        's' => 1_000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return Err(wrong()),
    };
    let count: u32 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    Ok(Timestamp(now.0.saturating_sub(factor.saturating_mul(count.into()))))
}

/// Returns the dimension that a word names.
pub(crate) fn dimension(word: &str) -> Result<Dimension, ApiError> {
    Ok(match word {
        "minute" => Dimension::Minute,
        "hour" => Dimension::Hour,
        "day" => Dimension::Day,
        "month" => Dimension::Month,
        "model" => Dimension::Model,
        "route" => Dimension::Route,
        "provider" => Dimension::Provider,
        "target" => Dimension::Target,
        "key" => Dimension::Key,
        "team" => Dimension::Team,
        "user" => Dimension::User,
        "agent" => Dimension::Agent,
        "session" => Dimension::Session,
        "run" => Dimension::Run,
        "error" => Dimension::Error,
        "cache" => Dimension::Cache,
        word => match word.strip_prefix("tag:").filter(|name| !name.is_empty()) {
            Some(name) => Dimension::Tag(name.to_owned()),
            None => {
                return Err(invalid(
                    "by",
                    "one of minute, hour, day, month, model, route, provider, target, key, team, user, agent, session, run, error, cache, tag:NAME",
                ));
            }
        },
    })
}

/// Returns the word of a dimension.
pub(crate) fn dimension_name(dimension: &Dimension) -> String {
    let word = match dimension {
        Dimension::Minute => "minute",
        Dimension::Hour => "hour",
        Dimension::Day => "day",
        Dimension::Month => "month",
        Dimension::Model => "model",
        Dimension::Route => "route",
        Dimension::Provider => "provider",
        Dimension::Target => "target",
        Dimension::Key => "key",
        Dimension::Team => "team",
        Dimension::User => "user",
        Dimension::Agent => "agent",
        Dimension::Session => "session",
        Dimension::Run => "run",
        Dimension::Error => "error",
        Dimension::Cache => "cache",
        Dimension::Tag(name) => return format!("tag:{name}"),
    };
    word.to_owned()
}

/// Returns a stretch of time as a row says it; none for what is no time.
pub(crate) fn time_text(dimension: &Dimension, millis: &str) -> Option<String> {
    let whole = || Some(rfc3339(Timestamp(millis.parse().ok()?)));
    let cut = |length: usize, end: &str| whole().and_then(|text| Some(format!("{}{end}", text.get(..length)?)));
    match dimension {
        Dimension::Minute => cut(16, "Z"),
        Dimension::Hour => cut(13, "Z"),
        Dimension::Day => cut(10, ""),
        Dimension::Month => cut(7, ""),
        _ => None,
    }
}

fn invalid(name: &'static str, wanted: &str) -> ApiError {
    ApiError::bad_request("invalid_query", format!("`{name}` must be {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_day_an_instant_or_a_length_back() {
        let now = Timestamp(1_795_168_800_000);
        let read = |text: &str| time("from", text, now).map(|at| at.0).map_err(|error| error.code);
        assert_eq!(read("2026-11-20"), Ok(1_795_132_800_000));
        assert_eq!(read("2026-11-20T10:00:00Z"), Ok(now.0));
        assert_eq!(read("7d"), Ok(now.0 - 7 * 86_400_000));
        assert_eq!(read("90m"), Ok(now.0 - 5_400_000));
        for wrong in ["", "d", "yesterday", "-1d", "1w", "é", "99999999999d"] {
            assert_eq!(read(wrong), Err("invalid_query"), "{wrong}");
        }
    }

    #[test]
    fn every_dimension_has_a_word_that_names_it() {
        for word in ["minute", "day", "month", "model", "user", "error", "cache", "tag:project"] {
            assert_eq!(dimension(word).map(|it| dimension_name(&it)).map_err(|error| error.code), Ok(word.to_owned()));
        }
        assert!(dimension("tag:").is_err() && dimension("days").is_err());
        assert_eq!(time_text(&Dimension::Hour, "1795168800000").as_deref(), Some("2026-11-20T10Z"));
    }
}

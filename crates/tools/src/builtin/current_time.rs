//! `current_time`: the time of the call, told for one time zone. The zones are compiled in.

use bedplate_core::{time::Timestamp, tool::ToolOutput};
use jiff::{Zoned, tz::TimeZone, tz::db};
use serde_json::Value;

/// Returns the time `now` as `{timezone?}` asks for it.
pub fn run(input: &Value, now: Timestamp) -> ToolOutput {
    let wanted = input.get("timezone").and_then(Value::as_str).unwrap_or("UTC");
    let Some(zone) = find(wanted) else { return ToolOutput::error(unknown(wanted)) };
    match jiff::Timestamp::from_millisecond(now.0) {
        Ok(time) => ToolOutput::text(tell(&time.to_zoned(zone))),
        Err(_) => ToolOutput::error("the clock stands outside of the calendar"),
    }
}

fn tell(time: &Zoned) -> String {
    let name = time.time_zone().iana_name().unwrap_or("UTC");
    format!(
        "{}, {} (time zone {name}, UTC{})",
        time.strftime("%A, %-d %B %Y"),
        time.strftime("%H:%M:%S"),
        time.strftime("%:z")
    )
}

/// Finds a zone by its name, or by its city alone when only one zone has it; letter case, and spaces for underscores, do
/// not matter.
fn find(name: &str) -> Option<TimeZone> {
    let name = name.trim().replace(' ', "_");
    if ["utc", "gmt", "z"].contains(&name.to_lowercase().as_str()) {
        return Some(TimeZone::UTC);
    }
    // The database also reads `TZ` strings of some platforms; a name from a model is only ever looked up.
    db().get(&name).ok().or_else(|| of_city(&name))
}

/// Returns the zone that is named after `city`, unless several are: people and models say "Tokyo" and mean "Asia/Tokyo".
fn of_city(city: &str) -> Option<TimeZone> {
    let is_of_city = |zone: &str| zone.rsplit_once('/').is_some_and(|(_, last)| last.eq_ignore_ascii_case(city));
    let mut zones = db().available().filter(|zone| is_of_city(zone.as_str()));
    let only = zones.next()?;
    if zones.next().is_some() { None } else { db().get(only.as_str()).ok() }
}

/// Names a few zones with the last word of what was asked for, so that "Berlin" leads to "Europe/Berlin".
fn unknown(name: &str) -> String {
    let city = name.rsplit('/').next().unwrap_or(name).trim().replace(' ', "_").to_lowercase();
    let near: Vec<String> = db()
        .available()
        .map(|zone| zone.as_str().to_owned())
        .filter(|zone| city.len() > 2 && zone.to_lowercase().contains(&city))
        .take(5)
        .collect();
    let hint = if near.is_empty() {
        "use an IANA name such as Europe/Berlin".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    let name: String = name.chars().take(64).collect();
    format!("there is no time zone {name:?}; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(zone: Value) -> (String, bool) {
        let output = run(&json!({ "timezone": zone }), Timestamp(1_774_746_000_000));
        (serde_json::to_string(&output.content).unwrap(), output.is_error)
    }

    #[test]
    fn a_zone_knows_its_offset_and_weekday_across_a_change_of_clocks() {
        // 2026-03-29T01:00:00Z, the instant at which Berlin's clocks go from 02:00 to 03:00.
        assert!(
            at(json!("Europe/Berlin"))
                .0
                .contains("Sunday, 29 March 2026, 03:00:00 (time zone Europe/Berlin, UTC+02:00)")
        );
        assert!(at(json!("America/New_York")).0.contains("Saturday, 28 March 2026, 21:00:00"));
        assert!(at(json!("asia/kolkata")).0.contains("06:30:00"));
        assert!(at(json!(null)).0.contains("01:00:00 (time zone UTC, UTC+00:00)"));
        assert!(at(json!("America/New York")).0.contains("21:00:00"));
        assert!(at(json!("new york")).0.contains("time zone America/New_York"));
        assert!(at(json!("Berlin")).0.contains("time zone Europe/Berlin"));
    }

    #[test]
    fn an_unknown_zone_is_an_error_that_helps() {
        // Two zones bear this name, and part of a name is none.
        for (asked, near) in [("Louisville", "America/Kentucky/Louisville"), ("Berl", "Europe/Berlin")] {
            let (text, is_error) = at(json!(asked));
            assert!(is_error && text.contains(near), "{text}");
        }
        assert!(at(json!("../../etc/passwd")).1);
        assert!(at(json!("")).1);
    }
}

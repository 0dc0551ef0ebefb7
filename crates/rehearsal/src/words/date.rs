//! Dates and times of day, absolute and relative to now.

use super::Token;
use bedplate_core::time::Timestamp;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
}

impl Day {
    /// Returns the UTC day of a point in time.
    #[must_use]
    pub fn of(now: Timestamp) -> Self {
        Self::from_number(now.0.div_euclid(86_400_000))
    }

    /// Returns the day that is `days` later.
    #[must_use]
    pub fn plus(self, days: i64) -> Self {
        Self::from_number(self.number().saturating_add(days))
    }

    /// Returns how many days it is until another day.
    #[must_use]
    pub fn days_until(self, other: Self) -> i64 {
        other.number() - self.number()
    }

    /// Returns the ISO 8601 writing.
    #[must_use]
    pub fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// Returns 0 for Monday to 6 for Sunday.
    #[must_use]
    pub fn weekday(self) -> i64 {
        (self.number() + 3).rem_euclid(7)
    }

    // Days from civil and back, after Howard Hinnant's description of the proleptic Gregorian calendar.
    fn number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    fn from_number(number: i64) -> Self {
        let shifted = number.clamp(-40_000_000, 40_000_000) + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: of_year - (153 * shifted_month + 2) / 5 + 1,
        }
    }
}

/// A date in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateMention {
    /// The day.
    pub day: Day,
    /// First and last token, inclusive.
    pub tokens: (usize, usize),
}

/// A time of day in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeMention {
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// First and last token, inclusive.
    pub tokens: (usize, usize),
}

/// Reads all dates of a text.
#[must_use]
pub fn dates(tokens: &[Token], now: Timestamp) -> Vec<DateMention> {
    let today = Day::of(now);
    let year = implied_year(tokens).unwrap_or(today.year);
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let found = absolute(tokens, at)
            .or_else(|| named(tokens, at, year))
            .or_else(|| relative(tokens, at, today))
            .or_else(|| feast(tokens, at, today).filter(|_| counts_days(tokens)));
        if let Some((day, last)) = found {
            out.push(DateMention { day, tokens: (at, last) });
            at = last + 1;
        } else {
            at += 1;
        }
    }
    out
}

/// Reads all times of day of a text.
#[must_use]
pub fn times(tokens: &[Token]) -> Vec<TimeMention> {
    let mut out = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.lower == "noon" || token.lower == "midnight" {
            out.push(TimeMention { hour: if token.lower == "noon" { 12 } else { 0 }, minute: 0, tokens: (at, at) });
            continue;
        }
        if !token.digit() {
            continue;
        }
        let body = token.lower.trim_end_matches("am").trim_end_matches("pm");
        let mut half = token.lower.strip_prefix(body).unwrap_or("").to_owned();
        let mut last = at;
        if half.is_empty() {
            let next = tokens.get(at + 1).map_or("", |t| t.lower.as_str());
            if matches!(next, "am" | "pm" | "a.m" | "p.m") {
                half = if next.starts_with('a') { "am".into() } else { "pm".into() };
                last = at + 1;
            }
        }
        let (hour, minute) = match body.split_once(':') {
            Some((hour, minute)) => (hour.parse::<i64>().ok(), minute.get(..2).and_then(|m| m.parse::<i64>().ok())),
            None if !half.is_empty() => (body.parse::<i64>().ok(), Some(0)),
            None => (None, None),
        };
        let (Some(mut hour), Some(minute)) = (hour, minute) else { continue };
        if half == "pm" && hour < 12 {
            hour += 12;
        } else if half == "am" && hour == 12 {
            hour = 0;
        }
        if (0..24).contains(&hour) && (0..60).contains(&minute) {
            out.push(TimeMention { hour, minute, tokens: (at, last) });
        }
    }
    out
}

/// Returns the day when the whole text is a date in a usual writing.
#[must_use]
pub fn parse_day(text: &str) -> Option<Day> {
    let tokens = super::tokens(text);
    absolute(&tokens, 0).map(|(day, _)| day)
}

/// Returns the first date that tokens write out in full, with its year.
#[must_use]
pub fn written(tokens: &[Token]) -> Option<Day> {
    (0..tokens.len()).find_map(|at| {
        absolute(tokens, at).or_else(|| named(tokens, at, 0).filter(|(day, _)| day.year > 0)).map(|(day, _)| day)
    })
}

/// Returns whether a text counts days; elsewhere a feast is a subject and no date.
fn counts_days(tokens: &[Token]) -> bool {
    tokens.iter().any(|token| matches!(token.lower.as_str(), "until" | "till" | "days" | "weeks" | "when" | "before"))
}

/// Returns the next day of a feast that is on the same day each year.
fn feast(tokens: &[Token], at: usize, today: Day) -> Option<(Day, usize)> {
    let word = |at: usize| tokens.get(at).map_or("", |t| t.lower.trim_end_matches("'s").trim_end_matches("’s"));
    let (month, day, last) = match (word(at), word(at + 1)) {
        ("christmas" | "xmas", "eve") => (12, 24, at + 1),
        ("christmas" | "xmas", "day") => (12, 25, at + 1),
        ("christmas" | "xmas", _) => (12, 25, at),
        ("new", "year" | "years") if word(at + 2) == "eve" => (12, 31, at + 2),
        ("new", "year" | "years") => (1, 1, at + 1 + usize::from(word(at + 2) == "day")),
        ("halloween", _) => (10, 31, at),
        ("valentine" | "valentines", "day") => (2, 14, at + 1),
        _ => return None,
    };
    let this = Day { year: today.year, month, day };
    let next = Day { year: today.year + i64::from(today.days_until(this) < 0), ..this };
    Some((next, last))
}

/// Returns the month's number of a lower-case name.
#[must_use]
pub fn month(word: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let word = word.trim_end_matches('.');
    NAMES
        .iter()
        .position(|name| {
            *name == word
                || (word.len() >= 3 && word.len() <= 4 && name.starts_with(word) && name.len() > 3 && *name != "may")
        })
        .and_then(|index| i64::try_from(index + 1).ok())
}

fn weekday(word: &str) -> Option<i64> {
    const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    NAMES.iter().position(|name| *name == word).and_then(|index| i64::try_from(index).ok())
}

fn valid(year: i64, month: i64, day: i64) -> Option<Day> {
    ((1..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day)).then_some(Day {
        year,
        month,
        day,
    })
}

fn absolute(tokens: &[Token], at: usize) -> Option<(Day, usize)> {
    let token = tokens.get(at)?;
    let parts: Vec<&str> = token.text.split('-').collect();
    if parts.len() == 3 {
        return order(&parts).map(|day| (day, at));
    }
    // 01/02/2024 comes as five tokens.
    let window: Vec<&str> = tokens[at..].iter().take(5).map(|t| t.text.as_str()).collect();
    if window.len() == 5 && window[1] == window[3] && matches!(window[1], "/" | ".") {
        return order(&[window[0], window[2], window[4]]).map(|day| (day, at + 4));
    }
    None
}

fn order(parts: &[&str]) -> Option<Day> {
    let numbers: Vec<i64> = parts.iter().map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match (parts[0].len(), parts[2].len()) {
        (4, _) => valid(numbers[0], numbers[1], numbers[2]),
        (_, 4) if numbers[0] > 12 => valid(numbers[2], numbers[1], numbers[0]),
        (_, 4) => valid(numbers[2], numbers[0], numbers[1]),
        _ => None,
    }
}

fn ordinal(token: &Token) -> Option<i64> {
    token.lower.trim_end_matches(|c: char| c.is_alphabetic()).parse().ok().filter(|day| (1..=31).contains(day))
}

fn named(tokens: &[Token], at: usize, year: i64) -> Option<(Day, usize)> {
    let year_at = |index: usize| -> Option<(i64, usize)> {
        let skip = usize::from(tokens.get(index).is_some_and(|t| matches!(t.lower.as_str(), "," | "of")));
        let value: i64 = tokens.get(index + skip)?.text.parse().ok()?;
        (1000..=2999).contains(&value).then_some((value, index + skip))
    };
    // "March 5th, 2024"
    if let Some(month) = month(&tokens[at].lower) {
        let mut next = at + 1;
        if tokens.get(next).is_some_and(|t| matches!(t.lower.as_str(), "the" | ".")) {
            next += 1;
        }
        let day = tokens.get(next).filter(|t| t.digit()).and_then(ordinal)?;
        let (year, last) = year_at(next + 1).unwrap_or((year, next));
        return valid(year, month, day).map(|day| (day, last));
    }
    // "5th of March 2024", "5 March"
    if tokens[at].digit() {
        let day = ordinal(&tokens[at])?;
        let next = at + 1 + usize::from(tokens.get(at + 1).is_some_and(|t| t.lower == "of"));
        let month = tokens.get(next).and_then(|t| month(&t.lower))?;
        let (year, last) = year_at(next + 1).unwrap_or((year, next));
        return valid(year, month, day).map(|day| (day, last));
    }
    None
}

fn relative(tokens: &[Token], at: usize, today: Day) -> Option<(Day, usize)> {
    let lower = tokens[at].lower.as_str();
    let next = tokens.get(at + 1).map_or("", |t| t.lower.as_str());
    match lower {
        "today" | "tonight" => Some((today, at)),
        "tomorrow" => Some((today.plus(1), at)),
        "yesterday" => Some((today.plus(-1), at)),
        "day" if next == "after" && tokens.get(at + 2).is_some_and(|t| t.lower == "tomorrow") => {
            Some((today.plus(2), at + 2))
        }
        "next" | "this" | "coming" => match weekday(next) {
            Some(target) => {
                let ahead = (target - today.weekday()).rem_euclid(7);
                Some((today.plus(if ahead == 0 { 7 } else { ahead }), at + 1))
            }
            None => None,
        },
        "last" => weekday(next).map(|target| {
            let back = (today.weekday() - target).rem_euclid(7);
            (today.plus(-(if back == 0 { 7 } else { back })), at + 1)
        }),
        "in" => {
            let count: i64 = tokens.get(at + 1)?.text.parse().ok()?;
            let days = match tokens.get(at + 2)?.lower.as_str() {
                "day" | "days" => count,
                "week" | "weeks" => count.checked_mul(7)?,
                _ => return None,
            };
            let ahead = tokens.get(at + 3).is_none_or(|t| !t.word || t.lower == "from");
            ahead.then(|| (today.plus(days.clamp(0, 36_500)), at + 2))
        }
        _ => weekday(lower).map(|target| {
            let ahead = (target - today.weekday()).rem_euclid(7);
            (today.plus(if ahead == 0 { 7 } else { ahead }), at)
        }),
    }
}

fn implied_year(tokens: &[Token]) -> Option<i64> {
    let mut years = tokens
        .iter()
        .filter(|t| t.text.len() == 4)
        .filter_map(|t| t.text.parse::<i64>().ok())
        .filter(|year| (1900..=2100).contains(year));
    let year = years.next()?;
    years.next().is_none().then_some(year)
}

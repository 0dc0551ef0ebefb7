//! Units of measure.

/// Returns whether a lower-case word is a unit when it stands after a number or asks for a unit.
#[must_use]
pub fn is_unit(word: &str) -> bool {
    LONG.contains(&word) || word.strip_suffix('s').is_some_and(|one| LONG.contains(&one)) || is_short(word)
}

/// Returns whether a lower-case word is a unit's abbreviation.
#[must_use]
pub fn is_short(word: &str) -> bool {
    SHORT.contains(&word)
}

/// Returns what a unit measures, as words that names of parameters use.
#[must_use]
pub fn measures(unit: &str) -> &'static [&'static str] {
    match unit.strip_suffix('s').filter(|one| one.len() > 2).unwrap_or(unit) {
        "m" | "cm" | "km" | "mm" | "ft" | "in" | "mi" | "inch" | "inche" | "meter" | "metre" | "centimeter"
        | "kilometer" | "feet" | "foot" | "mile" | "yard" | "yd" => &[
            "length",
            "height",
            "distance",
            "width",
            "radius",
            "base",
            "side",
            "depth",
            "altitude",
            "diameter",
            "size",
            "displacement",
        ],
        "kg" | "g" | "lb" | "mg" | "gram" | "kilogram" | "pound" | "ounce" | "oz" | "ton" => {
            &["mass", "weight", "quantity", "amount"]
        }
        "s" | "sec" | "second" | "min" | "minute" | "h" | "hr" | "hour" | "ms" | "day" | "week" | "month" | "year" => {
            &["time", "duration", "seconds", "minutes", "hours", "days", "months", "years", "period", "term"]
        }
        "k" | "c" | "f" | "celsiu" | "fahrenheit" | "kelvin" | "degree" | "celsius" => {
            &["temperature", "temp", "angle"]
        }
        "m/s" | "km/h" | "mph" | "kmh" => &["speed", "velocity"],
        "hz" | "khz" => &["frequency"],
        "v" | "volt" => &["voltage"],
        "j" | "joule" => &["energy"],
        "n" | "newton" => &["force"],
        "coulomb" => &["charge"],
        "ampere" | "amp" => &["current"],
        _ => &[],
    }
}

const SHORT: &[&str] = &[
    "m", "cm", "km", "mm", "ft", "mi", "kg", "g", "lb", "lbs", "mg", "oz", "s", "sec", "min", "hr", "hrs", "ms", "mph",
    "kmh", "hz", "khz", "kpa", "psi", "mpg", "sq", "ml", "nm", "kw", "kwh", "mw", "cc", "yd", "l", "k", "c", "v", "j",
    "n", "atm", "pa", "ev", "gb", "mb", "tb",
];

const LONG: &[&str] = &[
    "meter",
    "metre",
    "centimeter",
    "centimetre",
    "kilometer",
    "kilometre",
    "millimeter",
    "inch",
    "inches",
    "foot",
    "feet",
    "mile",
    "yard",
    "gram",
    "kilogram",
    "pound",
    "ounce",
    "ton",
    "tonne",
    "liter",
    "litre",
    "gallon",
    "cup",
    "teaspoon",
    "tablespoon",
    "pint",
    "quart",
    "milliliter",
    "second",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "degree",
    "celsius",
    "fahrenheit",
    "kelvin",
    "ampere",
    "amp",
    "volt",
    "watt",
    "ohm",
    "joule",
    "newton",
    "coulomb",
    "pascal",
    "hertz",
    "dollar",
    "buck",
    "euro",
    "percent",
    "acre",
    "hectare",
    "radian",
];

/// Returns what a unit of time, length or mass is in the smallest of its kind, and a number for the kind.
#[must_use]
pub fn scale(unit: &str) -> Option<(u8, f64)> {
    let one = unit.strip_suffix('s').filter(|one| one.len() > 2).unwrap_or(unit);
    Some(match one {
        "second" | "sec" => (0, 1.0),
        "minute" | "min" => (0, 60.0),
        "hour" | "hr" => (0, 3_600.0),
        "day" => (0, 86_400.0),
        "week" => (0, 604_800.0),
        "millimeter" | "millimetre" | "mm" => (1, 1.0),
        "centimeter" | "centimetre" | "cm" => (1, 10.0),
        "meter" | "metre" | "m" => (1, 1_000.0),
        "kilometer" | "kilometre" | "km" => (1, 1_000_000.0),
        "milligram" | "mg" => (2, 1.0),
        "gram" | "g" => (2, 1_000.0),
        "kilogram" | "kg" | "kilo" => (2, 1_000_000.0),
        _ => return None,
    })
}

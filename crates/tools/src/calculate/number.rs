//! Numbers: an exact fraction as long as that is possible, floating point after that.

use super::CalculateError;
use num_bigint::{BigInt, Sign};
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero, pow};
use std::fmt;

/// The most bits that a numerator or denominator may have: about 2,400 decimal digits.
const MAX_BITS: u64 = 8_192;
/// The most digits that are written out; beyond that 15 significant ones are.
const MAX_DIGITS: usize = 60;
/// How many significant digits a rounded number shows.
const SIGNIFICANT: usize = 15;

/// A value of the calculator.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// A fraction with every digit.
    Exact(BigRational),
    /// Floating point; always finite.
    Rounded(f64),
}

type Result<T = Number> = std::result::Result<T, CalculateError>;

impl Number {
    /// Returns the fraction `value` if it is small enough.
    pub(super) fn exact(value: BigRational) -> Result {
        if value.numer().bits() > MAX_BITS || value.denom().bits() > MAX_BITS {
            return Err(CalculateError::TooLarge);
        }
        Ok(Self::Exact(value))
    }

    fn rounded(value: f64) -> Result {
        if value.is_finite() { Ok(Self::Rounded(value)) } else { Err(CalculateError::TooLarge) }
    }

    fn float(&self) -> Result<f64> {
        match self {
            Self::Exact(value) => value.to_f64().filter(|value| value.is_finite()).ok_or(CalculateError::TooLarge),
            Self::Rounded(value) => Ok(*value),
        }
    }

    fn is_zero(&self) -> bool {
        match self {
            Self::Exact(value) => value.is_zero(),
            Self::Rounded(value) => *value == 0.0,
        }
    }

    fn is_negative(&self) -> bool {
        match self {
            Self::Exact(value) => value.is_negative(),
            Self::Rounded(value) => *value < 0.0,
        }
    }

    fn both(
        self,
        other: Self,
        exact: impl FnOnce(BigRational, BigRational) -> BigRational,
        float: impl FnOnce(f64, f64) -> f64,
    ) -> Result {
        match (self, other) {
            (Self::Exact(left), Self::Exact(right)) => Self::exact(exact(left, right)),
            (left, right) => Self::rounded(float(left.float()?, right.float()?)),
        }
    }

    pub(super) fn add(self, other: Self) -> Result {
        self.both(other, |a, b| whole(&a, &b, |a, b| a + b).unwrap_or_else(|| a + b), |a, b| a + b)
    }

    pub(super) fn subtract(self, other: Self) -> Result {
        self.both(other, |a, b| whole(&a, &b, |a, b| a - b).unwrap_or_else(|| a - b), |a, b| a - b)
    }

    pub(super) fn multiply(self, other: Self) -> Result {
        self.both(other, |a, b| whole(&a, &b, |a, b| a * b).unwrap_or_else(|| a * b), |a, b| a * b)
    }

    pub(super) fn divide(self, other: Self) -> Result {
        if other.is_zero() {
            return Err(CalculateError::DivisionByZero);
        }
        self.both(other, |a, b| a / b, |a, b| a / b)
    }

    /// The remainder with the sign of the divisor.
    pub(super) fn remainder(self, other: Self) -> Result {
        if other.is_zero() {
            return Err(CalculateError::DivisionByZero);
        }
        self.both(other, |a, b| &a - &b * (&a / &b).floor(), |a, b| a - b * (a / b).floor())
    }

    pub(super) fn negate(self) -> Result {
        Ok(match self {
            Self::Exact(value) => Self::Exact(-value),
            Self::Rounded(value) => Self::Rounded(-value),
        })
    }

    pub(super) fn percent(self) -> Result {
        self.divide(Self::Exact(BigRational::from_integer(100.into())))
    }

    pub(super) fn power(self, exponent: Self) -> Result {
        if self.is_zero() && exponent.is_negative() {
            return Err(CalculateError::DivisionByZero);
        }
        if let (Self::Exact(base), Self::Exact(exponent)) = (&self, &exponent) {
            if exponent.is_integer() {
                return integer_power(base, exponent.numer());
            }
            if *exponent == BigRational::new(1.into(), 2.into()) {
                return self.square_root();
            }
        }
        if self.is_negative() && !matches!(&exponent, Self::Exact(exponent) if exponent.is_integer()) {
            return Err(CalculateError::Undefined("a negative number has no real power of a fraction".to_owned()));
        }
        Self::rounded(self.float()?.powf(exponent.float()?))
    }

    pub(super) fn factorial(self) -> Result {
        let undefined = || CalculateError::Undefined("a factorial needs a whole number from 0".to_owned());
        let Self::Exact(value) = self else { return Err(undefined()) };
        if !value.is_integer() || value.is_negative() {
            return Err(undefined());
        }
        let count = value.to_u64().ok_or(CalculateError::TooLarge)?;
        let mut product = BigInt::one();
        for factor in 2..=count {
            product *= factor;
            if product.bits() > MAX_BITS {
                return Err(CalculateError::TooLarge);
            }
        }
        Self::exact(BigRational::from_integer(product))
    }

    fn square_root(&self) -> Result {
        if self.is_negative() {
            return Err(CalculateError::Undefined("the square root of a negative number is not real".to_owned()));
        }
        if let Self::Exact(value) = self {
            let root = BigRational::new(value.numer().sqrt(), value.denom().sqrt());
            if &root * &root == *value {
                return Self::exact(root);
            }
        }
        Self::rounded(self.float()?.sqrt())
    }

    fn map(&self, exact: impl FnOnce(&BigRational) -> BigRational, float: impl FnOnce(f64) -> f64) -> Result {
        match self {
            Self::Exact(value) => Self::exact(exact(value)),
            Self::Rounded(value) => Self::rounded(float(*value)),
        }
    }

    /// Rounds to `decimals` places, halves away from zero. Floating point is taken at its exact binary value.
    fn round_to(&self, decimals: &Self) -> Result {
        let undefined = || CalculateError::Undefined("round takes -30 to 30 decimals".to_owned());
        let Self::Exact(places) = decimals else { return Err(undefined()) };
        let places = places.is_integer().then(|| places.to_i32()).flatten().filter(|n| n.abs() <= 30);
        let places = places.ok_or_else(undefined)?;
        let value = match self {
            Self::Exact(value) => value.clone(),
            Self::Rounded(value) => BigRational::from_float(*value).ok_or(CalculateError::TooLarge)?,
        };
        let scale = BigRational::from_integer(pow(BigInt::from(10), places.unsigned_abs() as usize));
        Self::exact(if places >= 0 { (value * &scale).round() / scale } else { (value / &scale).round() * scale })
    }

    fn less(&self, other: &Self) -> Result<bool> {
        Ok(match (self, other) {
            (Self::Exact(left), Self::Exact(right)) => left < right,
            (left, right) => left.float()? < right.float()?,
        })
    }
}

/// Returns the constant called `name`.
pub(super) fn constant(name: &str) -> Option<Number> {
    match name {
        "pi" => Some(Number::Rounded(std::f64::consts::PI)),
        "e" => Some(Number::Rounded(std::f64::consts::E)),
        _ => None,
    }
}

/// Returns what the function called `name` makes of `arguments`; none when there is no such function.
pub(super) fn call(name: &str, arguments: &[Number]) -> Option<Result> {
    let one: fn(&Number) -> Result = match name {
        "sqrt" => Number::square_root,
        "abs" => |x| x.map(Signed::abs, f64::abs),
        "floor" => |x| x.map(BigRational::floor, f64::floor),
        "ceil" => |x| x.map(BigRational::ceil, f64::ceil),
        "ln" => |x| logarithm(x, f64::ln),
        "log10" => |x| logarithm(x, f64::log10),
        "exp" => |x| Number::rounded(x.float()?.exp()),
        "sin" => |x| Number::rounded(x.float()?.sin()),
        "cos" => |x| Number::rounded(x.float()?.cos()),
        "tan" => |x| Number::rounded(x.float()?.tan()),
        "round" => {
            return Some(match arguments {
                [value] => value.map(BigRational::round, f64::round),
                [value, decimals] => value.round_to(decimals),
                _ => Err(count(name, "one or two", arguments.len())),
            });
        }
        "min" => return Some(extreme(name, arguments, |a, b| a.less(b))),
        "max" => return Some(extreme(name, arguments, |a, b| b.less(a))),
        _ => return None,
    };
    Some(match arguments {
        [value] => one(value),
        _ => Err(count(name, "one", arguments.len())),
    })
}

fn count(name: &str, wanted: &str, given: usize) -> CalculateError {
    CalculateError::Undefined(format!("{name} takes {wanted} argument(s), {given} given"))
}

fn extreme(name: &str, arguments: &[Number], better: impl Fn(&Number, &Number) -> Result<bool>) -> Result {
    let Some((first, rest)) = arguments.split_first() else { return Err(count(name, "at least one", 0)) };
    let mut best = first;
    for next in rest {
        if better(next, best)? {
            best = next;
        }
    }
    Ok(best.clone())
}

fn logarithm(value: &Number, function: fn(f64) -> f64) -> Result {
    if value.is_zero() || value.is_negative() {
        return Err(CalculateError::Undefined("a logarithm needs a number above zero".to_owned()));
    }
    Number::rounded(function(value.float()?))
}

fn integer_power(base: &BigRational, exponent: &BigInt) -> Result {
    if exponent.is_zero() || base.is_one() {
        return Ok(Number::Exact(BigRational::one()));
    }
    if base.is_zero() {
        return Ok(Number::Exact(BigRational::zero()));
    }
    if base.abs().is_one() {
        return Ok(Number::Exact(if exponent.bit(0) { base.clone() } else { BigRational::one() }));
    }
    let size = exponent.magnitude().to_u64().ok_or(CalculateError::TooLarge)?;
    // A lower bound of the power's size, so that a hopeless power is refused before it is computed.
    let bits = base.numer().bits().max(base.denom().bits()).saturating_sub(1);
    if bits.saturating_mul(size) > MAX_BITS || size > MAX_BITS {
        return Err(CalculateError::TooLarge);
    }
    let size = usize::try_from(size).map_err(|_| CalculateError::TooLarge)?;
    let power = pow(base.clone(), size);
    Number::exact(if exponent.sign() == Sign::Minus { power.recip() } else { power })
}

/// Writes the number: exactly where that takes at most 60 digits, else 15 significant digits and `(rounded)`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => match exact_text(value) {
                Some(text) => f.write_str(&text),
                None => write!(f, "{} (rounded)", rounded_text(value)),
            },
            Self::Rounded(value) => match BigRational::from_float(*value) {
                Some(value) if value.is_zero() => f.write_str("0"),
                Some(value) => write!(f, "{} (rounded)", rounded_text(&value)),
                None => f.write_str("not a number"),
            },
        }
    }
}

/// Returns the decimal text of `value` if it ends within the digits that are written out.
fn exact_text(value: &BigRational) -> Option<String> {
    let mut rest = value.denom().clone();
    let mut places = [0_usize; 2];
    for (places, factor) in places.iter_mut().zip([2, 5]) {
        let factor = BigInt::from(factor);
        while (&rest % &factor).is_zero() {
            rest /= &factor;
            *places += 1;
            if *places > MAX_DIGITS {
                return None;
            }
        }
    }
    let places = places[0].max(places[1]);
    let scaled = value * BigRational::from_integer(pow(BigInt::from(10), places));
    let digits = scaled.numer().magnitude().to_string();
    (rest.is_one() && digits.len() <= MAX_DIGITS).then(|| place(value.is_negative(), &digits, places))
}

/// Returns what `of` makes of two whole numbers, for which nothing has to be reduced; none when one is a fraction.
fn whole(a: &BigRational, b: &BigRational, of: impl FnOnce(&BigInt, &BigInt) -> BigInt) -> Option<BigRational> {
    (a.is_integer() && b.is_integer()).then(|| BigRational::from_integer(of(a.numer(), b.numer())))
}

/// Returns `digits` with the decimal point `places` from the right.
fn place(negative: bool, digits: &str, places: usize) -> String {
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let sign = if negative { "-" } else { "" };
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// Returns the text of a `value` other than zero with 15 significant digits.
fn rounded_text(value: &BigRational) -> String {
    let size = value.abs();
    let ten = BigInt::from(10);
    // The position of the first digit, from the lengths of the two integers, corrected by at most one.
    let length = |integer: &BigInt| integer.to_string().len() as i64;
    let mut exponent = length(size.numer()) - length(size.denom());
    let scale = |exponent: i64| BigRational::from_integer(pow(ten.clone(), exponent.unsigned_abs() as usize));
    let shifted = |exponent: i64| if exponent >= 0 { &size / scale(exponent) } else { &size * scale(exponent) };
    if shifted(exponent) < BigRational::one() {
        exponent -= 1;
    }
    let digits_after = SIGNIFICANT as i64 - 1;
    let mut mantissa = (shifted(exponent) * scale(digits_after)).round().to_integer().to_string();
    if mantissa.len() > SIGNIFICANT {
        mantissa.pop();
        exponent += 1;
    }
    let places = digits_after - exponent;
    if (-5..=20).contains(&exponent) {
        if places >= 0 {
            return place(value.is_negative(), &mantissa, places as usize);
        }
        return place(value.is_negative(), &format!("{mantissa}{}", "0".repeat(places.unsigned_abs() as usize)), 0);
    }
    format!("{}e{exponent}", place(value.is_negative(), &mantissa, SIGNIFICANT - 1))
}

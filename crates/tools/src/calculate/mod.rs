//! The calculator: text in, an exact number out where there is one. It parses arithmetic and nothing else.
//!
//! Numbers are exact fractions of big integers, so `0.1 + 0.2` is `0.3` and `2^200` has all its digits. Roots that do
//! not come out even, logarithms, exponentials and angles (radians) are 64-bit floating point and are marked as rounded.

mod lexer;
mod number;
mod parser;
#[cfg(test)]
mod tests;

pub use number::Number;

/// The longest expression, in bytes.
pub const MAX_LENGTH: usize = 1_000;
/// How deep parentheses, signs and powers may nest.
pub const MAX_DEPTH: usize = 64;

/// An expression without a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalculateError {
    /// It is longer than [`MAX_LENGTH`].
    #[error("the expression has {0} bytes; {MAX_LENGTH} are allowed")]
    TooLong(usize),
    /// It nests deeper than [`MAX_DEPTH`].
    #[error("the expression nests deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// It is not arithmetic.
    #[error("at character {at}: {message}")]
    Syntax {
        /// Which character, counted from 1.
        at: usize,
        /// What is wrong there.
        message: String,
    },
    /// A division or remainder by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// A number that has no place in memory or in floating point.
    #[error("the result is too large")]
    TooLarge,
    /// A function outside of where it is defined.
    #[error("{0}")]
    Undefined(String),
}

/// Returns the value of `expression`.
///
/// `+ - * / % ^` with `-2^2 = -4` and `^` from the right, `× · ÷ −` and `**`, parentheses, `!`, percent (`15% of 80`; a
/// `%` before an operand is the remainder, with the divisor's sign), thousands (`1,234.5`, not among the arguments of a
/// function), `1e6`, the constants `pi` and `e`, and the functions `sqrt abs round floor ceil min max ln log10 exp sin
/// cos tan`; `round` takes a number of decimals as its second argument and rounds halves away from zero.
///
/// # Errors
/// [`CalculateError`].
pub fn calculate(expression: &str) -> Result<Number, CalculateError> {
    if expression.len() > MAX_LENGTH {
        return Err(CalculateError::TooLong(expression.len()));
    }
    parser::evaluate(lexer::tokens(expression)?)
}

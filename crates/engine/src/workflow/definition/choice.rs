//! The rules of a Choice state.

use crate::workflow::query::{Path, Template};
use serde_json::Value;
use std::sync::Arc;

/// A rule: a condition and where it leads.
#[derive(Debug)]
pub struct Rule {
    /// When it holds.
    pub test: Test,
    /// The next state.
    pub next: Arc<str>,
    /// The variables that it assigns.
    pub assign: Option<Vec<(Arc<str>, Template)>>,
    /// The output (JSONata).
    pub output: Option<Template>,
}

/// A condition.
#[derive(Debug)]
pub enum Test {
    /// All hold.
    And(Vec<Test>),
    /// One holds.
    Or(Vec<Test>),
    /// It does not hold.
    Not(Box<Test>),
    /// A value compares.
    Compare(Box<Comparison>),
    /// A JSONata condition.
    Condition(Template),
}

/// A comparison of a value.
#[derive(Debug)]
pub struct Comparison {
    /// The value.
    pub variable: Path,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub operand: Operand,
}

/// What a value is compared with.
#[derive(Debug)]
pub enum Operand {
    /// It is written there.
    Value(Value),
    /// A path leads to it.
    Path(Path),
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `StringEquals` and the like: both of one type, in an order.
    Ordered(Type, Relation),
    /// `BooleanEquals`.
    BooleanEquals,
    /// `StringMatches`.
    StringMatches,
    /// `IsNull`.
    IsNull,
    /// `IsPresent`.
    IsPresent,
    /// `IsString`.
    IsString,
    /// `IsNumeric`.
    IsNumeric,
    /// `IsBoolean`.
    IsBoolean,
    /// `IsTimestamp`.
    IsTimestamp,
}

/// What type the values of a comparison have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// Texts.
    String,
    /// Numbers.
    Numeric,
    /// Points in time.
    Timestamp,
}

/// How two values stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Equals,
    /// Less.
    LessThan,
    /// Greater.
    GreaterThan,
    /// Less or the same.
    LessThanEquals,
    /// Greater or the same.
    GreaterThanEquals,
}

impl Operator {
    /// Returns the operator called `name`, and whether its operand is a path.
    #[must_use]
    pub fn parse(name: &str) -> Option<(Self, bool)> {
        let plain = match name {
            "BooleanEquals" => Self::BooleanEquals,
            "BooleanEqualsPath" => return Some((Self::BooleanEquals, true)),
            "StringMatches" => Self::StringMatches,
            "IsNull" => Self::IsNull,
            "IsPresent" => Self::IsPresent,
            "IsString" => Self::IsString,
            "IsNumeric" => Self::IsNumeric,
            "IsBoolean" => Self::IsBoolean,
            "IsTimestamp" => Self::IsTimestamp,
            _ => {
                let (of, relation) =
                    [("String", Type::String), ("Numeric", Type::Numeric), ("Timestamp", Type::Timestamp)]
                        .into_iter()
                        .find_map(|(word, of)| Some((of, name.strip_prefix(word)?)))?;
                let (relation, path) = relation.strip_suffix("Path").map_or((relation, false), |word| (word, true));
                let relation = match relation {
                    "Equals" => Relation::Equals,
                    "LessThan" => Relation::LessThan,
                    "GreaterThan" => Relation::GreaterThan,
                    "LessThanEquals" => Relation::LessThanEquals,
                    "GreaterThanEquals" => Relation::GreaterThanEquals,
                    _ => return None,
                };
                return Some((Self::Ordered(of, relation), path));
            }
        };
        Some((plain, false))
    }

    /// Returns whether the operator asks about the value itself, so that the operand says yes or no.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(
            self,
            Self::IsNull | Self::IsPresent | Self::IsString | Self::IsNumeric | Self::IsBoolean | Self::IsTimestamp
        )
    }
}

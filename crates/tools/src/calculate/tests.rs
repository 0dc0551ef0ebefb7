//! The calculator against known values, and against a reference evaluation of random trees.

use super::{CalculateError, Number, calculate};
use num_rational::BigRational;
use num_traits::{Signed, Zero};
use proptest::prelude::*;

fn text(expression: &str) -> String {
    match calculate(expression) {
        Ok(value) => value.to_string(),
        Err(error) => format!("! {error}"),
    }
}

#[test]
fn known_values_come_out_exactly() {
    for (expression, value) in [
        ("25 * 47", "1175"),
        ("0.1 + 0.2", "0.3"),
        ("-2^2", "-4"),
        ("(-2)^2", "4"),
        ("2^3^2", "512"),
        ("2^-1", "0.5"),
        ("15% of 80", "12"),
        ("80 * 15%", "12"),
        ("10 % 4", "2"),
        ("-7 mod 3", "2"),
        ("50%-20", "-19.5"),
        ("1,234.5 + 1", "1235.5"),
        ("max(1,234)", "234"),
        ("12 × 3 ÷ 4 − 1", "8"),
        ("5!", "120"),
        ("-3!", "-6"),
        ("sqrt(2.25)", "1.5"),
        ("sqrt(2)", "1.4142135623731 (rounded)"),
        ("1/3", "0.333333333333333 (rounded)"),
        ("2/3", "0.666666666666667 (rounded)"),
        ("round(2.345, 2)", "2.35"),
        ("round(-2.5)", "-3"),
        ("round(1234, -2)", "1200"),
        ("floor(-1.5) + ceil(-1.5)", "-3"),
        ("2^100", "1267650600228229401496703205376"),
        ("1e3 + 1E-2", "1000.01"),
        ("2 ** 10", "1024"),
        ("9^0.5", "3"),
        ("min(3, 1, 2)", "1"),
        ("cos(0) + ln(1)", "1 (rounded)"),
        ("log10(1000)", "3 (rounded)"),
        ("0^0", "1"),
        ("(-1)^1000000000000000000000001", "-1"),
        ("1e-30 / 3", "3.33333333333333e-31 (rounded)"),
        ("1/3 - 1/3", "0"),
        ("0.1^3", "0.001"),
        ("2^300", "2.03703597633449e90 (rounded)"),
        ("pi", "3.14159265358979 (rounded)"),
    ] {
        assert_eq!(text(expression), value, "{expression}");
    }
}

#[test]
fn what_has_no_value_says_why() {
    assert_eq!(calculate("1/0"), Err(CalculateError::DivisionByZero));
    assert_eq!(calculate("5 % 0"), Err(CalculateError::DivisionByZero));
    assert_eq!(calculate("0^-1"), Err(CalculateError::DivisionByZero));
    assert_eq!(calculate("9^9^9^9"), Err(CalculateError::TooLarge));
    assert_eq!(calculate("100000!"), Err(CalculateError::TooLarge));
    assert_eq!(calculate("exp(1000)"), Err(CalculateError::TooLarge));
    assert_eq!(calculate(&"(".repeat(900)), Err(CalculateError::TooDeep));
    assert_eq!(calculate(&"-".repeat(900)), Err(CalculateError::TooDeep));
    assert_eq!(calculate(&"1".repeat(1001)), Err(CalculateError::TooLong(1001)));
    for hostile in [
        "",
        "__import__('os')",
        "1;2",
        "x = 1",
        "2 3",
        "1 +",
        ")",
        "sqrt(-1)",
        "ln(0)",
        "sqrt()",
        "max()",
        "sqrt",
        "1e999",
        "(-8)^(1/3)",
        "1..2",
        "\u{0}",
        "🦀",
        "1,23",
        "system(1)",
        "2.5!",
        "(1",
        "5 % of",
        "round(1, 99)",
    ] {
        assert!(calculate(hostile).is_err(), "{hostile:?} has a value");
    }
}

/// A random tree; its text has only the parentheses that precedence asks for.
#[derive(Clone, Debug)]
enum Tree {
    Number(i64, u8),
    Negate(Box<Tree>),
    Binary(char, Box<Tree>, Box<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = (0_i64..2_000, 0_u8..4).prop_map(|(digits, places)| Tree::Number(digits, places));
    leaf.prop_recursive(5, 24, 2, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|tree| Tree::Negate(Box::new(tree))),
            5 => (prop::sample::select(vec!['+', '-', '*', '/', '^']), inner.clone(), inner)
                .prop_map(|(operator, left, right)| Tree::Binary(operator, Box::new(left), Box::new(right))),
        ]
    })
}

fn binding(tree: &Tree) -> u8 {
    match tree {
        Tree::Number(..) => 9,
        Tree::Binary('^', ..) => 7,
        Tree::Negate(_) => 5,
        Tree::Binary('*' | '/', ..) => 3,
        Tree::Binary(..) => 1,
    }
}

fn write(tree: &Tree) -> String {
    let within = |tree: &Tree, least: u8| {
        if binding(tree) >= least { write(tree) } else { format!("({})", write(tree)) }
    };
    match tree {
        Tree::Number(digits, places) => {
            let text = format!("{digits:0>width$}", width = usize::from(*places) + 1);
            let (whole, fraction) = text.split_at(text.len() - usize::from(*places));
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        Tree::Negate(inner) => format!("-{}", within(inner, 5)),
        Tree::Binary('^', left, right) => format!("{}^{}", within(left, 8), within(right, 5)),
        Tree::Binary(operator @ ('*' | '/'), left, right) => {
            format!("{} {operator} {}", within(left, 3), within(right, 4))
        }
        Tree::Binary(operator, left, right) => format!("{} {operator} {}", within(left, 1), within(right, 2)),
    }
}

/// Evaluates the tree without the parser; none where it has no exact value of a reasonable size.
fn reference(tree: &Tree) -> Option<BigRational> {
    let value = match tree {
        Tree::Number(digits, places) => BigRational::new((*digits).into(), 10_i64.pow(u32::from(*places)).into()),
        Tree::Negate(inner) => -reference(inner)?,
        Tree::Binary(operator, left, right) => {
            let (left, right) = (reference(left)?, reference(right)?);
            match operator {
                '+' => left + right,
                '-' => left - right,
                '*' => left * right,
                '/' if right.is_zero() => return None,
                '/' => left / right,
                _ => {
                    let small = right.is_integer() && right.abs() <= BigRational::from_integer(8.into());
                    if !small || (left.is_zero() && right.is_negative()) {
                        return None;
                    }
                    let mut product = BigRational::from_integer(1.into());
                    let mut count = BigRational::zero();
                    while count < right.abs() {
                        product *= &left;
                        count += BigRational::from_integer(1.into());
                    }
                    if right.is_negative() { product.recip() } else { product }
                }
            }
        }
    };
    (value.numer().bits() < 2_000 && value.denom().bits() < 2_000).then_some(value)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_tree_has_the_value_of_the_reference(tree in tree()) {
        let expression = write(&tree);
        prop_assume!(expression.len() <= super::MAX_LENGTH);
        if let Some(expected) = reference(&tree) {
            prop_assert_eq!(calculate(&expression), Ok(Number::Exact(expected)), "{}", expression);
        }
    }

    #[test]
    fn no_text_panics_or_runs_away(text in "[-0-9a-z+*/^%!().,e× ]{0,60}") {
        if let Ok(value) = calculate(&text) {
            prop_assert!(value.to_string().len() < 100);
        }
    }
}

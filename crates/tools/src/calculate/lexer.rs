//! Words of an expression.

use super::CalculateError;
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::pow;

/// The largest exponent of ten in a number's text.
const MAX_EXPONENT: usize = 400;

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Number(BigRational),
    Name(String),
    Plus,
    Minus,
    Times,
    Divide,
    Power,
    Percent,
    Factorial,
    Of,
    Mod,
    Open,
    Close,
    Comma,
    End,
}

/// A token and the character at which it stands, counted from 1.
pub type Placed = (usize, Token);

/// Returns the tokens of `text`; the last is `End`.
pub fn tokens(text: &str) -> Result<Vec<Placed>, CalculateError> {
    let chars: Vec<char> = text.chars().collect();
    let mut lexer = Lexer { chars: &chars, at: 0, tokens: Vec::new(), calls: Vec::new() };
    lexer.run()?;
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    chars: &'a [char],
    at: usize,
    tokens: Vec<Placed>,
    /// For each open parenthesis, whether it holds the arguments of a function: there a comma separates.
    calls: Vec<bool>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Result<(), CalculateError> {
        while let Some(&c) = self.chars.get(self.at) {
            let start = self.at + 1;
            let token = match c {
                c if c.is_whitespace() => {
                    self.at += 1;
                    continue;
                }
                '0'..='9' | '.' => self.number()?,
                c if c.is_alphabetic() || c == '_' => self.name(),
                _ => self.symbol(c)?,
            };
            match token {
                Token::Open => self.calls.push(matches!(self.tokens.last(), Some((_, Token::Name(_))))),
                Token::Close => drop(self.calls.pop()),
                _ => {}
            }
            self.tokens.push((start, token));
        }
        self.tokens.push((self.at + 1, Token::End));
        Ok(())
    }

    fn symbol(&mut self, c: char) -> Result<Token, CalculateError> {
        self.at += 1;
        Ok(match c {
            '+' => Token::Plus,
            '-' | '−' | '–' => Token::Minus,
            '*' if self.chars.get(self.at) == Some(&'*') => {
                self.at += 1;
                Token::Power
            }
            '*' | '×' | '·' | '⋅' => Token::Times,
            '/' | '÷' | '∕' => Token::Divide,
            '^' => Token::Power,
            '%' => Token::Percent,
            '!' => Token::Factorial,
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            'π' => Token::Name("pi".to_owned()),
            _ => return Err(error(self.at, format!("{c:?} has no meaning in arithmetic"))),
        })
    }

    fn name(&mut self) -> Token {
        let start = self.at;
        while self.chars.get(self.at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
            self.at += 1;
        }
        let name: String = self.chars[start..self.at].iter().collect::<String>().to_lowercase();
        match name.as_str() {
            "of" => Token::Of,
            "mod" => Token::Mod,
            "π" => Token::Name("pi".to_owned()),
            _ => Token::Name(name),
        }
    }

    fn digits(&mut self, into: &mut String) {
        while let Some(c @ '0'..='9') = self.chars.get(self.at) {
            into.push(*c);
            self.at += 1;
        }
    }

    fn number(&mut self) -> Result<Token, CalculateError> {
        let start = self.at + 1;
        let mut digits = String::new();
        self.digits(&mut digits);
        if !self.calls.contains(&true) && (1..=3).contains(&digits.len()) {
            while self.is_group() {
                self.at += 1;
                self.digits(&mut digits);
            }
        }
        let mut scale = 0;
        if self.chars.get(self.at) == Some(&'.') {
            self.at += 1;
            let whole = digits.len();
            self.digits(&mut digits);
            scale = digits.len() - whole;
        }
        if digits.is_empty() {
            return Err(error(start, "a number needs a digit".to_owned()));
        }
        let (up, down) = self.exponent(start)?;
        let integer: BigInt = digits.parse().map_err(|_| error(start, "not a number".to_owned()))?;
        let ten = BigInt::from(10);
        // A whole number needs no fraction reduced.
        Ok(Token::Number(match down + scale {
            0 => BigRational::from_integer(integer * pow(ten, up)),
            places => BigRational::new(integer * pow(ten.clone(), up), pow(ten, places)),
        }))
    }

    /// Whether a comma and exactly three digits come next: a group of thousands.
    fn is_group(&self) -> bool {
        let digit = |offset: usize| self.chars.get(self.at + offset).is_some_and(char::is_ascii_digit);
        self.chars.get(self.at) == Some(&',') && digit(1) && digit(2) && digit(3) && !digit(4)
    }

    /// Reads `e6`, `E-3`, …; a lone `e` stays for the constant. Returns the powers of ten above and below the line.
    fn exponent(&mut self, start: usize) -> Result<(usize, usize), CalculateError> {
        let Some('e' | 'E') = self.chars.get(self.at) else { return Ok((0, 0)) };
        let sign = self.chars.get(self.at + 1).copied();
        let signed = usize::from(matches!(sign, Some('+' | '-')));
        if !self.chars.get(self.at + 1 + signed).is_some_and(char::is_ascii_digit) {
            return Ok((0, 0));
        }
        self.at += 1 + signed;
        let mut digits = String::new();
        self.digits(&mut digits);
        let exponent = digits.parse::<usize>().ok().filter(|exponent| *exponent <= MAX_EXPONENT);
        let exponent = exponent.ok_or_else(|| error(start, "the exponent is too large".to_owned()))?;
        Ok(if sign == Some('-') { (0, exponent) } else { (exponent, 0) })
    }
}

pub fn error(at: usize, message: String) -> CalculateError {
    CalculateError::Syntax { at, message }
}

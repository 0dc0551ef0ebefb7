//! A Pratt parser that evaluates as it goes.

use super::{
    CalculateError, MAX_DEPTH,
    lexer::{Placed, Token, error},
    number::{Number, call, constant},
};

/// How tightly operators bind; a sign binds looser than a power, so that `-2^2` is `-4`.
const SUM: u8 = 1;
const PRODUCT: u8 = 3;
const SIGN: u8 = 5;
const POWER: u8 = 7;
const POSTFIX: u8 = 9;

/// Returns the value of `tokens`, of which the last is `End`.
pub fn evaluate(tokens: Vec<Placed>) -> Result<Number, CalculateError> {
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let value = parser.expression(0)?;
    match parser.next() {
        (_, Token::End) => Ok(value),
        (at, token) => Err(error(at, format!("expected an operator or the end, found {}", describe(&token)))),
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    /// Returns the next token; the end is never passed.
    fn next(&mut self) -> Placed {
        let token = self.tokens[self.at].clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn expression(&mut self, least: u8) -> Result<Number, CalculateError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CalculateError::TooDeep);
        }
        let mut left = self.operand()?;
        while let Some((power, token)) = self.operator(least) {
            self.next();
            left = match token {
                Token::Factorial => left.factorial()?,
                Token::Percent if power == POSTFIX => left.percent()?,
                // A power takes everything to its right: 2^3^2 = 2^9.
                Token::Power => left.power(self.expression(POWER)?)?,
                Token::Plus => left.add(self.expression(SUM + 1)?)?,
                Token::Minus => left.subtract(self.expression(SUM + 1)?)?,
                Token::Divide => left.divide(self.expression(PRODUCT + 1)?)?,
                Token::Percent | Token::Mod => left.remainder(self.expression(PRODUCT + 1)?)?,
                _ => left.multiply(self.expression(PRODUCT + 1)?)?,
            };
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Returns the operator that comes next, if it binds at least as tightly as `least`.
    fn operator(&self, least: u8) -> Option<(u8, Token)> {
        let token = self.peek().clone();
        let power = match token {
            Token::Plus | Token::Minus => SUM,
            Token::Times | Token::Divide | Token::Of | Token::Mod => PRODUCT,
            Token::Percent if self.operand_follows() => PRODUCT,
            Token::Power => POWER,
            Token::Percent | Token::Factorial => POSTFIX,
            _ => return None,
        };
        (power >= least).then_some((power, token))
    }

    fn operand_follows(&self) -> bool {
        matches!(self.tokens.get(self.at + 1), Some((_, Token::Number(_) | Token::Name(_) | Token::Open)))
    }

    fn operand(&mut self) -> Result<Number, CalculateError> {
        let (at, token) = self.next();
        match token {
            Token::Number(value) => Number::exact(value),
            Token::Minus => self.expression(SIGN)?.negate(),
            Token::Plus => self.expression(SIGN),
            Token::Open => {
                let value = self.expression(0)?;
                self.close()?;
                Ok(value)
            }
            Token::Name(name) if *self.peek() == Token::Open => {
                self.next();
                let arguments = self.arguments()?;
                call(&name, &arguments).unwrap_or_else(|| Err(error(at, format!("there is no function {name:?}"))))
            }
            Token::Name(name) => constant(&name).ok_or_else(|| error(at, format!("{name:?} is no number or constant"))),
            token => Err(error(at, format!("expected a number, found {}", describe(&token)))),
        }
    }

    fn arguments(&mut self) -> Result<Vec<Number>, CalculateError> {
        let mut arguments = Vec::new();
        if *self.peek() == Token::Close {
            self.next();
            return Ok(arguments);
        }
        loop {
            arguments.push(self.expression(0)?);
            if *self.peek() != Token::Comma {
                self.close()?;
                return Ok(arguments);
            }
            self.next();
        }
    }

    fn close(&mut self) -> Result<(), CalculateError> {
        match self.next() {
            (_, Token::Close) => Ok(()),
            (at, token) => Err(error(at, format!("expected \")\", found {}", describe(&token)))),
        }
    }
}

fn describe(token: &Token) -> String {
    match token {
        Token::Number(_) => "a number".to_owned(),
        Token::Name(name) => format!("{name:?}"),
        Token::End => "the end".to_owned(),
        Token::Plus => "\"+\"".to_owned(),
        Token::Minus => "\"-\"".to_owned(),
        Token::Times => "\"*\"".to_owned(),
        Token::Divide => "\"/\"".to_owned(),
        Token::Power => "\"^\"".to_owned(),
        Token::Percent => "\"%\"".to_owned(),
        Token::Factorial => "\"!\"".to_owned(),
        Token::Of => "\"of\"".to_owned(),
        Token::Mod => "\"mod\"".to_owned(),
        Token::Open => "\"(\"".to_owned(),
        Token::Close => "\")\"".to_owned(),
        Token::Comma => "\",\"".to_owned(),
    }
}

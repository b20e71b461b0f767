//! The types of columns as CREATE TABLE and ALTER TABLE declare them. Unlike those of casts they need no
//! values here, so a source may have what the engine reads as text.

use meesh_base::{Error, Result, SqlType};

use super::Parser;
use crate::lexer::Token;

/// Types without parameters.
const PLAIN: &[(&[&str], SqlType)] = &[
    (&["boolean", "bool"], SqlType::Boolean),
    (&["tinyint"], SqlType::TinyInt),
    (&["smallint", "int2"], SqlType::SmallInt),
    (&["integer", "int", "int4"], SqlType::Integer),
    (&["bigint", "int8"], SqlType::BigInt),
    (&["real", "float4"], SqlType::Real),
    (&["double", "float8"], SqlType::Double),
    (&["varbinary", "bytea"], SqlType::Varbinary),
    (&["date"], SqlType::Date),
    (&["uuid"], SqlType::Uuid),
    (&["json", "jsonb"], SqlType::Json),
    (&["text", "string"], SqlType::Varchar(None)),
];

/// PostgreSQL's own limit for the length of a text.
const LENGTH_MAX: u64 = 10_485_760;
/// Digits of a second that a statement may declare.
const DIGITS_MAX: u64 = 12;

impl Parser<'_> {
    /// A column's type.
    pub(super) fn declared_type(&mut self) -> Result<SqlType> {
        self.nested(|p| {
            if !p.is_name_at(0) {
                return Err(p.unexpected("<type>"));
            }
            let token = p.advance();
            let name = p.text_of(&token).trim_matches('"').to_lowercase();
            let mut sql_type = p.one_type(&token, &name)?;
            // `integer[]` is PostgreSQL's, `integer array` the standard's.
            while (p.is_symbol("[") && p.is_symbol_at(1, "]")) || p.is_word("ARRAY") {
                p.at += if p.is_word("ARRAY") { 1 } else { 2 };
                sql_type = SqlType::Array(Box::new(sql_type));
                p.node(p.height)?;
            }
            Ok(sql_type)
        })
    }

    fn one_type(&mut self, token: &Token, name: &str) -> Result<SqlType> {
        let is_char = matches!(name, "char" | "character");
        match name {
            "varchar" => self.characters(token),
            _ if is_char && self.eat_word("VARYING") => self.characters(token),
            _ if is_char => match self.characters(token)? {
                SqlType::Varchar(length) => Ok(SqlType::Char(length.unwrap_or(1))),
                other => Ok(other),
            },
            "decimal" | "numeric" | "dec" => self.declared_decimal(token),
            "time" | "timestamp" => self.declared_time(token, name),
            "timestamptz" => Ok(SqlType::Timestamp { digits: 3, zoned: true }),
            "array" => {
                let (open, close) = if self.is_symbol("<") { ("<", ">") } else { ("(", ")") };
                self.expect_symbol(open)?;
                let element = self.declared_type()?;
                self.expect_symbol(close)?;
                Ok(SqlType::Array(Box::new(element)))
            }
            _ => {
                if name == "double" {
                    self.eat_word("PRECISION");
                }
                let found = PLAIN.iter().find(|(names, _)| names.contains(&name));
                found.map(|(_, sql_type)| sql_type.clone()).ok_or_else(|| {
                    let error = Error::invalid_query(format!("unknown type: {name}")).with_code("TYPE_NOT_FOUND");
                    let known = PLAIN.iter().flat_map(|(names, _)| names.iter().copied());
                    match meesh_base::nearest(name, known).first() {
                        Some(near) => error.with_hint(format!("did you mean {near}?")),
                        None => error.with_hint(
                            "CALL catalog.system.execute(query => 'CREATE TABLE …') knows the source's own types",
                        ),
                    }
                    .with_position(token.position())
                })
            }
        }
    }

    fn characters(&mut self, token: &Token) -> Result<SqlType> {
        match self.type_parameters()?.as_slice() {
            [] => Ok(SqlType::Varchar(None)),
            [length @ 1..=LENGTH_MAX] => Ok(SqlType::Varchar(u32::try_from(*length).ok())),
            _ => Err(self.syntax_error(token, &format!("length of a text must be from 1 to {LENGTH_MAX}"))),
        }
    }

    fn declared_decimal(&mut self, token: &Token) -> Result<SqlType> {
        let parameters = self.type_parameters()?;
        let (precision, scale) = match parameters.as_slice() {
            [] => (38, 0),
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err(self.syntax_error(token, "a decimal has a precision and a scale")),
        };
        match (u8::try_from(precision), u8::try_from(scale)) {
            (Ok(precision @ 1..=38), Ok(scale)) if scale <= precision => Ok(SqlType::Decimal { precision, scale }),
            _ => {
                let message = "DECIMAL precision must be from 1 to 38, and its scale from 0 to the precision";
                Err(self.syntax_error(token, message).with_code("INVALID_FUNCTION_ARGUMENT"))
            }
        }
    }

    fn declared_time(&mut self, token: &Token, name: &str) -> Result<SqlType> {
        let digits = match self.type_parameters()?.as_slice() {
            [] => 3,
            [digits @ 0..=DIGITS_MAX] => u8::try_from(*digits).unwrap_or(6),
            _ => return Err(self.syntax_error(token, &format!("{name} has a precision from 0 to {DIGITS_MAX}"))),
        };
        let zoned = self.eat_words(&["WITH", "TIME", "ZONE"]);
        if !zoned {
            self.eat_words(&["WITHOUT", "TIME", "ZONE"]);
        }
        match name {
            "timestamp" => Ok(SqlType::Timestamp { digits, zoned }),
            _ if zoned => Err(self.unsupported(token, "time with time zone")),
            _ => Ok(SqlType::Time(digits)),
        }
    }
}

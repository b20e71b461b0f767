//! Types as casts write them. A type that cannot be honoured exactly is refused by name.

use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, BinaryOperator, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, TimezoneInfo, Value,
};
use meesh_base::{Error, Result};

use super::Parser;
use super::query::number;
use crate::lexer::{Kind, Token};
use crate::operators::own;

/// Types without parameters: what they are called -> what the planner calls them.
const PLAIN: &[(&[&str], DataType)] = &[
    (&["boolean", "bool"], DataType::Boolean),
    (&["tinyint"], DataType::TinyInt(None)),
    (&["smallint", "int2"], DataType::SmallInt(None)),
    (&["integer", "int", "int4"], DataType::Integer(None)),
    (&["bigint", "int8"], DataType::BigInt(None)),
    (&["real", "float4"], DataType::Real),
    (&["double", "float8"], DataType::Double(ExactNumberInfo::None)),
    (&["date"], DataType::Date),
    (&["varbinary", "bytea"], DataType::Bytea),
    (&["text", "string"], DataType::Varchar(None)),
];

/// Known to Trino, not to meesh.
const REFUSED: &[&str] = &[
    "row",
    "map",
    "json",
    "uuid",
    "ipaddress",
    "hyperloglog",
    "p4hyperloglog",
    "qdigest",
    "tdigest",
    "setdigest",
    "color",
];

/// Digits of a second that a value is kept with: Arrow has units of 0, 3, 6 and 9. Whole seconds are
/// kept as milliseconds, else adding an interval of half a second would add nothing.
pub(super) fn stored_digits(digits: u64) -> u64 {
    digits.div_ceil(3).max(1) * 3
}

impl Parser<'_> {
    /// A type.
    pub(super) fn data_type(&mut self) -> Result<DataType> {
        self.nested(|p| {
            let token = p.peek();
            let mut data_type = p.base_type()?;
            loop {
                // `integer[]` is PostgreSQL's, `integer array` the standard's.
                let is_array = if p.is_symbol("[") && p.is_symbol_at(1, "]") {
                    p.at += 2;
                    true
                } else {
                    p.is_word("ARRAY") && p.eat_word("ARRAY")
                };
                if !is_array {
                    return Ok(data_type);
                }
                p.nesting_of_types(&token)?;
                data_type = array_of(data_type);
            }
        })
    }

    /// Counts `[]` behind a type like the parentheses of `array(…)`.
    fn nesting_of_types(&mut self, token: &Token) -> Result<()> {
        self.height += 1;
        if self.height > self.limits.operators {
            return Err(
                crate::limits::too_complex("nested types", self.limits.operators).with_position(token.position())
            );
        }
        Ok(())
    }

    fn base_type(&mut self) -> Result<DataType> {
        if !self.is_name_at(0) {
            return Err(self.unexpected("<type>"));
        }
        let token = self.advance();
        let name = self.text_of(&token).trim_matches('"').to_lowercase();
        match name.as_str() {
            "varchar" => Ok(DataType::Varchar(self.length(&token)?)),
            "character" | "char" if self.eat_word("VARYING") => Ok(DataType::Varchar(self.length(&token)?)),
            // Its comparisons do not see blanks at the end.
            "char" | "character" => Err(self.unsupported(&token, "a cast to char").with_hint("cast to varchar")),
            // In PostgreSQL any number, in Trino decimal(38, 0).
            "numeric" if !self.is_symbol("(") => {
                Err(self.unsupported(&token, "numeric without a precision").with_hint("write decimal(p, s)"))
            }
            "decimal" | "numeric" | "dec" => self.decimal_type(&token),
            "timestamp" | "time" => self.time_type(&token, &name),
            "timestamptz" => Ok(DataType::Timestamp(Some(3), TimezoneInfo::WithTimeZone)),
            "array" => {
                let (open, close) = if self.is_symbol("<") { ("<", ">") } else { ("(", ")") };
                self.expect_symbol(open)?;
                let element = self.data_type()?;
                self.expect_symbol(close)?;
                Ok(array_of(element))
            }
            "interval" => {
                let _ = self.eat_words(&["DAY", "TO", "SECOND"]) || self.eat_words(&["YEAR", "TO", "MONTH"]);
                Ok(DataType::Interval { fields: None, precision: None })
            }
            _ => self.plain_type(&token, &name),
        }
    }

    fn plain_type(&mut self, token: &Token, name: &str) -> Result<DataType> {
        if name == "double" {
            self.eat_word("PRECISION");
        }
        if let Some((_, data_type)) = PLAIN.iter().find(|(names, _)| names.contains(&name)) {
            if self.is_symbol("(") {
                return Err(self.unexpected("<EOF>"));
            }
            return Ok(data_type.clone());
        }
        if REFUSED.contains(&name) {
            return Err(self.unsupported(token, &format!("a cast to {name}")));
        }
        let known = PLAIN.iter().flat_map(|(names, _)| names.iter().copied());
        let known = known.chain(["varchar", "char", "decimal", "timestamp", "time", "array"]);
        let error = Error::invalid_query(format!("unknown type: {name}")).with_code("TYPE_NOT_FOUND");
        let error = error.with_position(token.position());
        Err(match meesh_base::nearest(name, known).first() {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error,
        })
    }

    /// `(n, …)`, if it is there.
    pub(super) fn type_parameters(&mut self) -> Result<Vec<u64>> {
        if !self.eat_symbol("(") {
            return Ok(Vec::new());
        }
        let values = self.list(|p| {
            let token = p.peek();
            if token.kind != Kind::Integer {
                return Err(p.unexpected("<integer>"));
            }
            p.advance();
            p.text_of(&token).parse::<u64>().map_err(|_| p.syntax_error(&token, "type parameter is too large"))
        })?;
        self.expect_symbol(")")?;
        Ok(values)
    }

    fn length(&mut self, token: &Token) -> Result<Option<CharacterLength>> {
        match self.type_parameters()?.as_slice() {
            [] => Ok(None),
            [length @ 1..=2_147_483_646] => Ok(Some(CharacterLength::IntegerLength { length: *length, unit: None })),
            _ => Err(self.syntax_error(token, "length of a varchar must be from 1 to 2147483646")),
        }
    }

    fn decimal_type(&mut self, token: &Token) -> Result<DataType> {
        let parameters = self.type_parameters()?;
        let (precision, scale) = match parameters.as_slice() {
            [] => (38, 0),
            [precision] => (*precision, 0),
            [precision, scale] => (*precision, *scale),
            _ => return Err(self.syntax_error(token, "a decimal has a precision and a scale")),
        };
        if !(1..=38).contains(&precision) || scale > precision {
            let message = "DECIMAL precision must be from 1 to 38, and its scale from 0 to the precision";
            return Err(self.syntax_error(token, message).with_code("INVALID_FUNCTION_ARGUMENT"));
        }
        Ok(DataType::Decimal(ExactNumberInfo::PrecisionAndScale(precision, scale as i64)))
    }

    /// `timestamp[(p)] [WITH|WITHOUT TIME ZONE]`; p is 3 unless it is said.
    fn time_type(&mut self, token: &Token, name: &str) -> Result<DataType> {
        let digits = match self.type_parameters()?.as_slice() {
            [] => 3,
            [digits @ (0 | 3 | 6 | 9)] => *digits,
            [digits @ 1..=12] => return Err(self.unsupported(token, &format!("{name}({digits})"))),
            _ => return Err(self.syntax_error(token, &format!("{name} has a precision from 0 to 12"))),
        };
        let with_zone = self.eat_words(&["WITH", "TIME", "ZONE"]);
        if !with_zone {
            self.eat_words(&["WITHOUT", "TIME", "ZONE"]);
        }
        let zone = if with_zone { TimezoneInfo::WithTimeZone } else { TimezoneInfo::None };
        match name {
            "timestamp" => Ok(DataType::Timestamp(Some(digits), zone)),
            _ if with_zone => Err(self.unsupported(token, "time with time zone")),
            _ => Ok(DataType::Time(Some(digits), zone)),
        }
    }

    /// The cast itself, which [`crate::TrinoOperators`] plans.
    pub(super) fn cast(&mut self, lenient: bool, expr: Expr, data_type: DataType) -> Expr {
        match data_type {
            DataType::Varchar(Some(CharacterLength::IntegerLength { length, .. })) => {
                own_operator(own::VARCHAR, expr, number(&length.to_string()))
            }
            // Whole seconds are kept as milliseconds.
            DataType::Timestamp(Some(0), zone) => {
                let seconds = own_cast(lenient, expr, DataType::Timestamp(Some(0), zone));
                own_cast(lenient, seconds, DataType::Timestamp(Some(stored_digits(0)), zone))
            }
            data_type => own_cast(lenient, expr, data_type),
        }
    }
}

/// `expr` cast to a type, as Trino casts.
pub(crate) fn own_cast(lenient: bool, expr: Expr, data_type: DataType) -> Expr {
    own_operator(if lenient { own::TRY_CAST } else { own::CAST }, expr, null_of(data_type))
}

/// A parameter that a column of a type is given.
pub(crate) fn own_stored(parameter: Expr, data_type: DataType) -> Expr {
    own_operator(own::STORED, parameter, null_of(data_type))
}

fn null_of(data_type: DataType) -> Expr {
    let null = Expr::Value(Value::Null.with_empty_span());
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(null), data_type, array: false, format: None }
}

/// An operator of [`own`] between two operands.
pub(super) fn own_operator(name: &str, left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::Custom(name.to_owned()), right: Box::new(right) }
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(element)))
}

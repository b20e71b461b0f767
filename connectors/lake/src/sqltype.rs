//! Type names as SQL writes them, for declared columns and for messages: `bigint`, `decimal(12,2)`,
//! `array(varchar)`, `row(city varchar, zip varchar)`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use meesh_base::{Error, Result, nearest};

/// The time zone of every instant that meesh reads.
pub(crate) const UTC: &str = "UTC";

/// How deep types may nest.
const DEPTH_MAX: usize = 32;

/// Types that take no arguments.
const SIMPLE: &[(&str, DataType)] = &[
    ("boolean", DataType::Boolean),
    ("tinyint", DataType::Int8),
    ("smallint", DataType::Int16),
    ("integer", DataType::Int32),
    ("int", DataType::Int32),
    ("bigint", DataType::Int64),
    ("real", DataType::Float32),
    ("double", DataType::Float64),
    ("date", DataType::Date32),
    ("timestamp", DataType::Timestamp(TimeUnit::Microsecond, None)),
    ("varchar", DataType::Utf8View),
    ("string", DataType::Utf8View),
];

/// The columns of `id bigint, name varchar`.
///
/// # Errors
/// `InvalidQuery` with the part that cannot be read and, for a type, the nearest known one.
pub(crate) fn parse_columns(text: &str) -> Result<Fields> {
    let mut parser = Parser { rest: text };
    let fields = parser.columns(0)?;
    match parser.rest.trim() {
        "" => Ok(fields),
        rest => Err(Error::invalid_query(format!("unexpected {rest:?} in columns {text:?}"))),
    }
}

/// `data_type` as SQL names it.
pub(crate) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "unknown".to_owned(),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        DataType::Timestamp(unit, zone) => {
            let digits = digits_of(*unit);
            let zone = if zone.is_some() { " with time zone" } else { "" };
            format!("timestamp({digits}){zone}")
        }
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time({})", digits_of(*unit)),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "varbinary".to_owned()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("array({})", sql_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let columns: Vec<String> =
                fields.iter().map(|f| format!("{} {}", quote(f.name()), sql_name(f.data_type()))).collect();
            format!("row({})", columns.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let parts: Vec<String> = pair.iter().map(|f| sql_name(f.data_type())).collect();
                format!("map({})", parts.join(", "))
            }
            _ => "map".to_owned(),
        },
        DataType::Dictionary(_, value) => sql_name(value),
        other => SIMPLE
            .iter()
            .find(|(_, data_type)| data_type == other)
            .map_or_else(|| other.to_string().to_lowercase(), |(name, _)| (*name).to_owned()),
    }
}

fn digits_of(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// A name as a list of columns needs it: bare where that can be read back.
fn quote(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
    if plain { name.to_owned() } else { meesh_base::quote_identifier(name) }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn columns(&mut self, depth: usize) -> Result<Fields> {
        let mut fields: Vec<FieldRef> = Vec::new();
        loop {
            let name = self.name()?;
            if fields.iter().any(|field| field.name().eq_ignore_ascii_case(&name)) {
                return Err(Error::invalid_query(format!("column {name:?} is declared twice")));
            }
            let data_type = self.data_type(depth)?;
            fields.push(Arc::new(Field::new(name, data_type, true)));
            if !self.take(',') {
                return Ok(fields.into());
            }
        }
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType> {
        if depth > DEPTH_MAX {
            return Err(Error::invalid_query(format!("types nest deeper than {DEPTH_MAX}")));
        }
        let word = self.word().to_ascii_lowercase();
        match word.as_str() {
            "decimal" | "numeric" => self.decimal(),
            "timestamp" => self.timestamp(),
            "varchar" | "char" => {
                self.arguments()?;
                Ok(DataType::Utf8View)
            }
            "array" => {
                self.expect('(')?;
                let item = self.data_type(depth + 1)?;
                self.expect(')')?;
                Ok(DataType::List(Arc::new(Field::new("item", item, true))))
            }
            "row" => {
                self.expect('(')?;
                let fields = self.columns(depth + 1)?;
                self.expect(')')?;
                Ok(DataType::Struct(fields))
            }
            _ => SIMPLE.iter().find(|(name, _)| *name == word).map(|(_, t)| t.clone()).ok_or_else(|| unknown(&word)),
        }
    }

    fn decimal(&mut self) -> Result<DataType> {
        let arguments = self.arguments()?;
        let precision = arguments.first().copied().unwrap_or(38);
        let scale = arguments.get(1).copied().unwrap_or(0);
        match (u8::try_from(precision), i8::try_from(scale)) {
            (Ok(p @ 1..=38), Ok(s)) if u32::from(p) >= scale => Ok(DataType::Decimal128(p, s)),
            _ => Err(Error::invalid_query(format!(
                "decimal({precision},{scale}) is not between decimal(1,0) and decimal(38,38)"
            ))),
        }
    }

    fn timestamp(&mut self) -> Result<DataType> {
        let unit = match self.arguments()?.first() {
            Some(0) => TimeUnit::Second,
            Some(1..=3) => TimeUnit::Millisecond,
            None | Some(4..=6) => TimeUnit::Microsecond,
            Some(_) => TimeUnit::Nanosecond,
        };
        let zone = ["with", "time", "zone"];
        if !self.rest.trim_start().to_ascii_lowercase().starts_with("with") {
            return Ok(DataType::Timestamp(unit, None));
        }
        for expected in zone {
            if !self.word().eq_ignore_ascii_case(expected) {
                return Err(Error::invalid_query("expected timestamp with time zone"));
            }
        }
        Ok(DataType::Timestamp(unit, Some(UTC.into())))
    }

    /// `(12, 2)`, if there is one.
    fn arguments(&mut self) -> Result<Vec<u32>> {
        let mut numbers = Vec::new();
        if !self.take('(') {
            return Ok(numbers);
        }
        loop {
            let word = self.word();
            numbers.push(word.parse().map_err(|_| Error::invalid_query(format!("{word:?} is not a whole number")))?);
            if !self.take(',') {
                self.expect(')')?;
                return Ok(numbers);
            }
        }
    }

    fn name(&mut self) -> Result<String> {
        self.rest = self.rest.trim_start();
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let word = self.word();
            return if word.is_empty() {
                Err(Error::invalid_query(format!("expected a column's name at {:?}", self.rest)))
            } else {
                Ok(word.to_owned())
            };
        };
        let mut name = String::new();
        let mut from = quoted;
        while let Some(end) = from.find('"') {
            name.push_str(&from[..end]);
            from = &from[end + 1..];
            match from.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    from = after;
                }
                None => {
                    self.rest = from;
                    return Ok(name);
                }
            }
        }
        Err(Error::invalid_query(format!("the quote of {:?} is not closed", self.rest)))
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, sign: char) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, sign: char) -> Result<()> {
        if self.take(sign) {
            Ok(())
        } else {
            Err(Error::invalid_query(format!("expected {sign:?} at {:?}", self.rest)))
        }
    }
}

fn unknown(word: &str) -> Error {
    let error = Error::invalid_query(format!("unknown type {word:?}"));
    match nearest(word, SIMPLE.iter().map(|(name, _)| *name)).first() {
        Some(near) => error.with_hint(format!("did you mean {near:?}?")),
        None => error.with_hint(
            "the types are boolean, integer, bigint, double, decimal(p,s), date, timestamp, varchar, array(…), row(…)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_read_back_as_written() {
        let text = "id bigint, \"Unit price\" decimal(12,2), at timestamp(3) with time zone, tags array(varchar), \
                    home row(city varchar, zip integer), d date";
        let fields = parse_columns(text).unwrap();
        assert_eq!(sql_name(&DataType::Struct(fields)), format!("row({text})"));
    }

    #[test]
    fn a_misspelt_type_names_the_nearest() {
        let error = parse_columns("id bigin").unwrap_err().to_string();
        assert!(error.contains("did you mean \"bigint\"?"), "{error}");
        for wrong in ["", "id", "id bigint,", "id bigint name varchar", "a decimal(39,1)", "a int, A int", "\"a int"] {
            assert!(parse_columns(wrong).is_err(), "{wrong}");
        }
    }
}

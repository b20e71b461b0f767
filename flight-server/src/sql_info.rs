//! GetSqlInfo: what the server is and can, by the codes of `FlightSql.proto`, every one of them.
//!
//! The ADBC driver asks while it connects and fails on any schema but the standard's dense union; ODBC
//! reads the union member that the standard gives a code without looking at its type.

use std::sync::{Arc, LazyLock};

use arrow::ARROW_VERSION;
use arrow::array::{
    ArrayRef, BooleanArray, Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder, MapFieldNames, RecordBatch,
    StringArray, StringBuilder, UInt32Array, UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, UnionFields, UnionMode};
use arrow::error::ArrowError;
use meesh_engine::{Engine, Error, RESERVED_WORDS};

use crate::sql_words::{CONVERSIONS, DATETIME_FUNCTIONS, NUMERIC_FUNCTIONS, STRING_FUNCTIONS, SYSTEM_FUNCTIONS};

/// One value; the variants are the union's members, in order.
#[derive(Debug, Clone, Copy)]
enum Value {
    Text(&'static str),
    /// The engine's version, known at run time only.
    Version,
    Bool(bool),
    BigInt(i64),
    /// A bit mask, or one number of an enumeration.
    Int(i32),
    List(&'static [&'static str]),
    Map(&'static [(i32, &'static [i32])]),
}

use Value::{BigInt, Bool, Int, List, Map, Text, Version};

/// No limit, or none that is known.
const UNLIMITED: Value = BigInt(0);

/// One row a code. Bit masks are written as such; the bit's number is the enumeration's value.
const INFOS: &[(u32, Value)] = &[
    (0, Text("meesh")),
    (1, Version),
    (2, Text(ARROW_VERSION)),
    (3, Bool(true)),  // read only
    (4, Bool(true)),  // SQL
    (5, Bool(false)), // Substrait, and its versions
    (6, Text("")),
    (7, Text("")),
    (8, Int(0)),       // transactions: none
    (9, Bool(true)),   // cancel
    (10, Bool(false)), // bulk ingestion, and in transactions
    (11, Bool(false)),
    (100, Int(0)), // time outs of handles: statements live as long as their session
    (101, Int(0)),
    (500, Bool(false)), // DDL of catalogs, schemas, tables
    (501, Bool(false)),
    (502, Bool(false)),
    (503, Int(1)), // identifiers: case-insensitive
    (504, Text("\"")),
    (505, Int(1)), // quoted identifiers: likewise
    (506, Bool(true)),
    (507, Int(3)), // NULLs at the end
    (508, List(RESERVED_WORDS)),
    (509, List(NUMERIC_FUNCTIONS)),
    (510, List(STRING_FUNCTIONS)),
    (511, List(SYSTEM_FUNCTIONS)),
    (512, List(DATETIME_FUNCTIONS)),
    (513, Text("\\")),
    (514, Text("")),
    (515, Bool(true)), // column aliases
    (516, Bool(true)), // NULL || NULL is NULL
    (517, Map(CONVERSIONS)),
    (518, Bool(true)),  // table aliases
    (519, Bool(false)), // … need not differ from table names
    (520, Bool(true)),  // expressions in ORDER BY
    (521, Bool(true)),  // ORDER BY of columns not selected
    (522, Int(0b11)),   // GROUP BY: unrelated, beyond select
    (523, Bool(true)),  // LIKE … ESCAPE
    (524, Bool(true)),  // NOT NULL columns
    (525, Int(0b111)),  // grammar: minimum, core, extended
    (526, Int(0b1)),    // ANSI 92: entry
    (527, Bool(false)),
    (528, Int(2)), // full outer joins
    (529, Text("schema")),
    (530, Text("procedure")),
    (531, Text("catalog")),
    (532, Bool(true)), // catalog at start
    (533, Int(0)),
    (534, Int(0)),
    (535, Int(0)),
    (536, Bool(false)), // SELECT FOR UPDATE
    (537, Bool(false)),
    (538, Int(0b1111)), // subqueries: comparisons, EXISTS, IN, quantified
    (539, Bool(true)),  // correlated subqueries
    (540, Int(0b11)),   // UNION, UNION ALL
    (541, UNLIMITED),
    (542, UNLIMITED),
    (543, UNLIMITED),
    (544, UNLIMITED),
    (545, UNLIMITED),
    (546, UNLIMITED),
    (547, UNLIMITED),
    (548, UNLIMITED),
    (549, UNLIMITED),
    (550, UNLIMITED),
    (551, UNLIMITED),
    (552, UNLIMITED),
    (553, UNLIMITED),
    (554, UNLIMITED),
    (555, UNLIMITED),
    (556, Bool(true)),
    (557, UNLIMITED),
    (558, UNLIMITED),
    (559, UNLIMITED),
    (560, UNLIMITED),
    (561, UNLIMITED),
    (562, Int(0)),      // isolation: none
    (563, Bool(false)), // transactions
    (564, Int(0b1)),    // … none
    (565, Bool(false)),
    (566, Bool(false)),
    (567, Int(0b10)), // result sets: forward only
    (568, Int(0)),
    (569, Int(0b10)), // … read only
    (570, Int(0)),
    (571, Int(0)),
    (572, Bool(true)), // batch updates
    (573, Bool(false)),
    (574, Bool(false)),
    (575, Bool(false)),
    (576, Bool(false)),
];

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let value = DataType::Union(union_fields(), UnionMode::Dense);
    Arc::new(Schema::new(vec![Field::new("info_name", DataType::UInt32, false), Field::new("value", value, false)]))
});

/// The members as arrow-go and the C++ library have them, nullability and inner names included.
fn union_fields() -> UnionFields {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    let entries =
        Fields::from(vec![Field::new("key", DataType::Int32, false), Field::new("value", list(DataType::Int32), true)]);
    let map = DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false);
    UnionFields::from_fields(vec![
        Field::new("string_value", DataType::Utf8, false),
        Field::new("bool_value", DataType::Boolean, false),
        Field::new("bigint_value", DataType::Int64, false),
        Field::new("int32_bitmask", DataType::Int32, false),
        Field::new("string_list", list(DataType::Utf8), false),
        Field::new("int32_to_int32_list_map", map, false),
    ])
}

pub(crate) fn schema() -> &'static SchemaRef {
    &SCHEMA
}

/// The values of the codes asked for, or of all if none is. An unknown code has no row.
pub(crate) fn batch(codes: &[u32]) -> Result<RecordBatch, Error> {
    let infos: Vec<_> = INFOS.iter().filter(|(code, _)| codes.is_empty() || codes.contains(code)).collect();
    build(&infos).map_err(|error| Error::internal(format!("server information cannot be encoded: {error}")))
}

#[derive(Default)]
struct Members {
    texts: Vec<&'static str>,
    bools: Vec<bool>,
    bigints: Vec<i64>,
    ints: Vec<i32>,
    lists: Vec<&'static [&'static str]>,
    maps: Vec<&'static [(i32, &'static [i32])]>,
}

fn build(infos: &[&(u32, Value)]) -> Result<RecordBatch, ArrowError> {
    let mut members = Members::default();
    let mut types = Vec::with_capacity(infos.len());
    let mut offsets = Vec::with_capacity(infos.len());
    for (_, value) in infos {
        let (member, length) = members.push(*value);
        types.push(member);
        offsets.push(i32::try_from(length - 1).unwrap_or(0));
    }
    let (types, offsets) = (ScalarBuffer::from(types), ScalarBuffer::from(offsets));
    let union = UnionArray::try_new(union_fields(), types, Some(offsets), members.finish()?)?;
    let names = UInt32Array::from_iter_values(infos.iter().map(|(code, _)| *code));
    RecordBatch::try_new(Arc::clone(&SCHEMA), vec![Arc::new(names), Arc::new(union)])
}

impl Members {
    /// The member that the value went to, and how many values that has now.
    fn push(&mut self, value: Value) -> (i8, usize) {
        fn add<T>(member: i8, values: &mut Vec<T>, value: T) -> (i8, usize) {
            values.push(value);
            (member, values.len())
        }
        match value {
            Text(text) => add(0, &mut self.texts, text),
            Version => add(0, &mut self.texts, Engine::version()),
            Bool(value) => add(1, &mut self.bools, value),
            BigInt(value) => add(2, &mut self.bigints, value),
            Int(value) => add(3, &mut self.ints, value),
            List(values) => add(4, &mut self.lists, values),
            Map(entries) => add(5, &mut self.maps, entries),
        }
    }

    fn finish(self) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for list in self.lists {
            lists.append_value(list.iter().map(Some));
        }
        let names = MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() };
        let mut maps = MapBuilder::new(Some(names), Int32Builder::new(), ListBuilder::new(Int32Builder::new()));
        for map in self.maps {
            for (key, values) in map {
                maps.keys().append_value(*key);
                maps.values().append_value(values.iter().copied().map(Some));
            }
            maps.append(true)?;
        }
        Ok(vec![
            Arc::new(StringArray::from(self.texts)),
            Arc::new(BooleanArray::from(self.bools)),
            Arc::new(Int64Array::from(self.bigints)),
            Arc::new(Int32Array::from(self.ints)),
            Arc::new(lists.finish()),
            Arc::new(maps.finish()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::AsArray;
    use arrow_flight::sql::SqlInfo;

    #[test]
    fn every_code_of_the_protocol_is_served_once_and_in_order() {
        let codes: Vec<u32> = INFOS.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b));
        let known = (0..1000).filter(|code| SqlInfo::try_from(*code).is_ok()).map(|code| code as u32);
        assert_eq!(codes, known.collect::<Vec<_>>());
        assert_eq!(batch(&[]).unwrap().num_rows(), INFOS.len());
    }

    #[test]
    fn each_code_has_the_union_member_of_the_protocol() {
        // FlightSql.proto says of each code whether it is a string, bool, int64, int32, list or map.
        let wanted = |code: u32| match code {
            0..=2 | 6 | 7 | 504 | 513 | 514 | 529..=531 => 0,
            3..=5 | 9..=11 | 500..=502 | 506 | 515 | 516 | 518..=521 | 523 | 524 | 527 | 532 | 536 | 537 | 539 => 1,
            556 | 563 | 565 | 566 | 572..=576 => 1,
            541..=555 | 557..=561 => 2,
            508..=512 => 4,
            517 => 5,
            _ => 3,
        };
        let batch = batch(&[]).unwrap();
        let names = batch.column(0).as_primitive::<arrow::datatypes::UInt32Type>();
        let union = batch.column(1).as_union();
        for row in 0..batch.num_rows() {
            assert_eq!(union.type_id(row), wanted(names.value(row)), "code {}", names.value(row));
        }
    }

    #[test]
    fn asked_for_codes_come_alone_and_unknown_ones_not_at_all() {
        let batch = batch(&[8, 504, 4711]).unwrap();
        assert_eq!(batch.num_rows(), 2);
        let union = batch.column(1).as_union();
        assert_eq!(union.value(0).as_primitive::<arrow::datatypes::Int32Type>().value(0), 0);
        assert_eq!(union.value(1).as_string::<i32>().value(0), "\"");
    }
}

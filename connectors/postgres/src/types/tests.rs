use super::*;

const MAPPING: NumericMapping = NumericMapping { scale: 10, rounding: Rounding::Unnecessary };

fn typmod(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7ff)) + 4
}

fn row(name: &str, kind: &str) -> TypeRow {
    TypeRow { name: name.into(), kind: kind.into(), base_typmod: -1, ..TypeRow::default() }
}

fn catalog() -> HashMap<u32, TypeRow> {
    let domain = |name: &str, base, base_typmod| TypeRow { base, base_typmod, ..row(name, "d") };
    let array = |name: &str, element| TypeRow { element, ..row(name, "b") };
    let composite = |name: &str, oids: &[u32]| {
        let attribute = |oid: &u32| Attribute { name: format!("a{oid}"), oid: *oid, typmod: -1, dimensions: 0 };
        TypeRow { attributes: oids.iter().map(attribute).collect(), ..row(name, "c") }
    };
    HashMap::from([
        (869, row("inet", "b")),
        (1231, array("_numeric", 1700)),
        (1041, array("_inet", 869)),
        (1007, array("_int4", 23)),
        (22, row("int2vector", "b")),
        (5000, row("mood", "e")),
        (5001, domain("price", 1700, typmod(12, 2))),
        (5002, domain("net_price", 5001, -1)),
        (5003, array("_net_price", 5002)),
        (5004, row("vector", "b")),
        (5006, composite("pair", &[23, 1007])),
        (5007, composite("pair_of_pairs", &[5006])),
        (5008, composite("host", &[23, 869])),
        (5009, array("_pair", 5006)),
        (5005, TypeRow { base_dimensions: 2, ..domain("grid", 1007, -1) }),
    ])
}

fn resolve(oid: u32, typmod: i32, dimensions: usize) -> (String, Option<String>) {
    let types = catalog();
    let resolver = TypeResolver { types: &types, numeric: MAPPING, as_text: &["mood".to_owned()] };
    let column = resolver.column(oid, typmod, dimensions);
    (column.arrow.to_string(), column.wire.cast.map(Cow::into_owned))
}

#[test]
fn types_become_arrow_types() {
    for (oid, modifier, dimensions, arrow, cast) in [
        (23, -1, 0, "Int32", None),
        (1184, -1, 0, "Timestamp(µs, \"UTC\")", None),
        (1700, typmod(15, 2), 0, "Decimal128(15, 2)", None),
        (1700, -1, 0, "Decimal128(38, 10)", None),
        (1700, typmod(40, 5), 0, "Decimal256(40, 5)", None),
        (1700, typmod(100, 5), 0, "Decimal128(38, 10)", None),
        (1700, typmod(5, -2), 0, "Decimal128(7, 0)", None),
        (1700, typmod(3, 5), 0, "Decimal128(5, 5)", None),
        (790, -1, 0, "Decimal128(19, 2)", Some("numeric")),
        (869, -1, 0, "Utf8View", Some("text")),
        (22, -1, 0, "Utf8View", Some("text")),
        (4711, -1, 0, "Utf8View", Some("text")),
        (5000, -1, 0, "Utf8View", Some("text")),
        (5002, -1, 0, "Decimal128(12, 2)", None),
        (1007, -1, 1, "List(Int32)", None),
        (1007, -1, 0, "List(Int32)", None),
        (1007, -1, 2, "List(List(Int32))", None),
        (5005, -1, 0, "List(List(Int32))", None),
        (1041, -1, 1, "List(Utf8View)", Some("text[]")),
        (5003, -1, 1, "List(Decimal128(12, 2))", None),
        (5004, 3, 0, "FixedSizeList(3 x Float32)", Some("real[]")),
        (5004, -1, 0, "Utf8View", Some("text")),
        (5006, -1, 0, "Struct(\"a23\": Int32, \"a1007\": List(Int32))", None),
        (5007, -1, 0, "Struct(\"a5006\": Struct(\"a23\": Int32, \"a1007\": List(Int32)))", None),
        (5008, -1, 0, "Utf8View", Some("text")),
        (5009, -1, 1, "List(Struct(\"a23\": Int32, \"a1007\": List(Int32)))", None),
    ] {
        assert_eq!(resolve(oid, modifier, dimensions), (arrow.to_owned(), cast.map(str::to_owned)), "oid {oid}");
    }
}

#[test]
fn a_rounded_column_is_not_compared_remotely() {
    let types = HashMap::new();
    let numeric = NumericMapping { scale: 2, rounding: Rounding::HalfUp };
    let resolver = TypeResolver { types: &types, numeric, as_text: &[] };
    assert_eq!(resolver.column(1700, -1, 0).form, Form::Opaque);
    assert_eq!(resolver.column(1700, typmod(10, 2), 0).form, Form::Plain);
}

use super::*;
use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int32Type, Int64Type, Schema};
use meesh_base::ErrorKind;

use crate::types::{ListDecoder, TextForm};

fn tuple(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = (fields.len() as u16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            None => out.extend((-1i32).to_be_bytes()),
            Some(value) => {
                out.extend((value.len() as i32).to_be_bytes());
                out.extend(*value);
            }
        }
    }
    out
}

impl BatchDecoder {
    /// A decoder of rows that are binary throughout, as those of COPY are.
    pub(crate) fn of_binary(schema: SchemaRef, decoders: &[Decoder]) -> Self {
        Self::built("catalog \"sales\"".into(), schema, decoders, 10, Builder::new).unwrap()
    }

    /// Takes one tuple, with nothing behind it.
    pub(crate) fn tuple(&mut self, tuple: &[u8]) -> Result<RowOutcome> {
        self.row(Tuple::first(tuple, tuple.len()).unwrap())
    }
}

fn decoder(columns: &[(&str, DataType, Decoder)], batch_rows: usize) -> BatchDecoder {
    let fields: Vec<Field> = columns.iter().map(|(name, kind, _)| Field::new(*name, kind.clone(), true)).collect();
    let decoders: Vec<Decoder> = columns.iter().map(|(.., decoder)| decoder.clone()).collect();
    BatchDecoder::new("catalog \"sales\"".into(), Arc::new(Schema::new(fields)), &decoders, batch_rows).unwrap()
}

fn text(form: TextForm) -> Decoder {
    Decoder::Text(form)
}

fn array(dimensions: &[u32], element_oid: u32, elements: &[Option<&[u8]>]) -> Vec<u8> {
    let mut out = [(dimensions.len() as u32).to_be_bytes(), [0; 4], element_oid.to_be_bytes()].concat();
    dimensions.iter().for_each(|length| out.extend([length.to_be_bytes(), 1u32.to_be_bytes()].concat()));
    out.extend(&tuple(elements)[2..]);
    out
}

#[test]
fn rows_become_a_batch() {
    let mut decoder = decoder(
        &[
            ("id", DataType::Int64, Decoder::Int64),
            ("name", DataType::Utf8View, text(TextForm::Plain)),
            ("code", DataType::Utf8View, text(TextForm::Padded)),
            ("u", DataType::Utf8, text(TextForm::Uuid)),
        ],
        2,
    );
    let uuid: Vec<u8> = (0..16).collect();
    let long = "a text that is too long for a view";
    let row = tuple(&[Some(b"7"), Some(long.as_bytes()), Some(b"ab  "), Some(&uuid)]);
    assert_eq!(decoder.tuple(&row).unwrap(), RowOutcome::Continue);
    assert_eq!(decoder.tuple(&tuple(&[None, None, None, None])).unwrap(), RowOutcome::Full);
    let batch = decoder.finish().unwrap();
    assert_eq!(batch.num_rows(), 2);
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 7);
    assert!((0..4).all(|column| batch.column(column).is_null(1) && batch.column(column).is_valid(0)));
    assert_eq!(batch.column(1).as_string_view().value(0), long);
    assert_eq!(batch.column(2).as_string_view().value(0), "ab");
    assert!(batch.column(2).as_string_view().data_buffers().is_empty(), "short texts drag no buffer along");
    assert_eq!(batch.column(3).as_string::<i32>().value(0), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    assert!(decoder.is_empty());
}

#[test]
fn a_text_is_as_long_as_it_is_whatever_follows_it() {
    let texts: Vec<String> = (0..70).map(|length| "x".repeat(length)).collect();
    let tuples: Vec<Vec<u8>> = texts.iter().map(|text| tuple(&[Some(text.as_bytes()), Some(b"ab   ")])).collect();
    let columns = ["plain", "padded"].into_iter().zip([TextForm::Plain, TextForm::Padded]);
    let columns: Vec<_> = columns.map(|(name, form)| (name, DataType::Utf8, text(form))).collect();
    let mut decoder = decoder(&columns, 100);
    let received = [tuples.concat(), vec![b'!'; 20]].concat();
    let mut rest = &received[..];
    for tuple in &tuples {
        decoder.row(Tuple::first(rest, tuple.len()).unwrap()).unwrap();
        rest = &rest[tuple.len()..];
    }
    let batch = decoder.finish().unwrap();
    assert!(batch.column(0).as_string::<i32>().iter().flatten().eq(&texts));
    assert!(batch.column(1).as_string::<i32>().iter().flatten().all(|text| text == "ab"));
}

#[test]
fn numbers_come_as_text_where_that_is_cheaper() {
    let numeric = Decoder::Numeric(crate::config::Rounding::Unnecessary);
    let mut decoder = decoder(
        &[
            ("i", DataType::Int32, Decoder::Int32),
            ("d", DataType::Decimal128(15, 2), numeric.clone()),
            ("w", DataType::Decimal128(38, 2), numeric),
            ("f", DataType::Float64, Decoder::Float64),
        ],
        8,
    );
    use ValueFormat::{Binary, Text};
    assert_eq!(decoder.formats(), [Text, Text, Binary, Binary]);
    let wide = [0, 1, 0, 0, 0, 0, 0, 0, 0, 7];
    decoder.tuple(&tuple(&[Some(b"-12"), Some(b"-1.05"), Some(&wide), Some(&1.5f64.to_be_bytes())])).unwrap();
    decoder.tuple(&tuple(&[None, None, None, None])).unwrap();
    let error = decoder.tuple(&tuple(&[Some(b"1"), Some(b"1.005"), None, None])).unwrap_err().to_string();
    assert!(error.contains("\"d\": value 1.005 has more decimals") && error.contains("row 3"), "{error}");
    let mut decoder = self::decoder(&[("i", DataType::Int16, Decoder::Int16)], 8);
    for text in ["40000", "x", ""] {
        let error = decoder.tuple(&tuple(&[Some(text.as_bytes())])).unwrap_err().to_string();
        assert!(error.contains("cannot be decoded"), "{error}");
    }
}

#[test]
fn rows_without_fields_are_counted() {
    let mut decoder = decoder(&[], 10);
    for _ in 0..3 {
        assert_eq!(decoder.tuple(&[0, 0]).unwrap(), RowOutcome::Continue);
    }
    assert_eq!(decoder.finish().unwrap().num_rows(), 3);
}

#[test]
fn a_batch_ends_at_its_bytes() {
    let mut decoder = decoder(&[("t", DataType::Utf8View, text(TextForm::Plain))], 1 << 20);
    let row = tuple(&[Some(&vec![b'x'; 1 << 20])]);
    let outcomes: Vec<RowOutcome> = (0..4).map(|_| decoder.tuple(&row).unwrap()).collect();
    assert_eq!(outcomes[2..], [RowOutcome::Continue, RowOutcome::Full]);
}

#[test]
fn broken_rows_are_errors() {
    let good = tuple(&[Some(&1i32.to_be_bytes())]);
    let lying = [&[0u8, 1][..], &[0x7f, 0xff, 0xff, 0xff], b"abc"].concat();
    let negative = [&[0u8, 1][..], &(-2i32).to_be_bytes()].concat();
    for (row, words) in [
        (&[][..], "row ends"),
        (&[0], "row ends"),
        (&[0, 2], "number of fields"),
        (&[0, 1], "row ends"),
        (&[0, 1, 0, 0], "row ends"),
        (&lying, "row ends"),
        (&negative, "row ends"),
        (&tuple(&[Some(b"12345")]), "length of its type"),
        (&[&good[..], &[0]].concat(), "number of fields"),
    ] {
        let error = decoder(&[("n", DataType::Date32, Decoder::Date)], 8).tuple(row).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceData);
        assert!(error.to_string().contains(words) && error.to_string().contains("\"n\""), "{row:?}: {error}");
    }
}

#[test]
fn text_that_is_no_utf8_is_found() {
    let mut decoder = decoder(&[("t", DataType::Utf8View, text(TextForm::Plain))], 8);
    for value in [&b"fine"[..], b"fine too", b"\xff\xfe"] {
        decoder.tuple(&tuple(&[Some(value)])).unwrap();
    }
    let error = decoder.finish().unwrap_err().to_string();
    assert!(error.contains("not valid UTF-8") && error.contains("row 3"), "{error}");
}

#[test]
fn a_character_cut_between_two_values_is_found() {
    let mut decoder = decoder(&[("t", DataType::Utf8View, text(TextForm::Plain))], 8);
    // Together they are an "é".
    decoder.tuple(&tuple(&[Some(b"\xc3")])).unwrap();
    decoder.tuple(&tuple(&[Some(b"\xa9")])).unwrap();
    let error = decoder.finish().unwrap_err().to_string();
    assert!(error.contains("row 1"), "{error}");
}

#[test]
fn a_null_where_none_may_be_is_found() {
    let schema = Schema::new(vec![Field::new("n", DataType::Int32, false)]);
    let mut decoder = BatchDecoder::new("c".into(), Arc::new(schema), &[Decoder::Int32], 8).unwrap();
    decoder.tuple(&tuple(&[Some(b"0")])).unwrap();
    decoder.tuple(&tuple(&[None])).unwrap();
    let error = decoder.finish().unwrap_err().to_string();
    assert!(error.contains("is NULL") && error.contains("row 2"), "{error}");
}

#[test]
fn arrays_become_lists() {
    let list = |dimensions| {
        let inner = ListDecoder { element_oid: 23, dimensions, element: Decoder::Int32 };
        let kind = (0..dimensions).fold(DataType::Int32, |item, _| DataType::new_list(item, true));
        decoder(&[("a", kind, Decoder::List(Box::new(inner)))], 8)
    };
    let int = |value: i32| value.to_be_bytes();
    let mut flat = list(1);
    for value in [array(&[2], 23, &[Some(&int(5)), None]), array(&[], 23, &[])] {
        flat.tuple(&tuple(&[Some(&value)])).unwrap();
    }
    flat.tuple(&tuple(&[None])).unwrap();
    let batch = flat.finish().unwrap();
    let lists = batch.column(0).as_list::<i32>();
    assert_eq!(lists.value(0).as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(5), None]);
    assert!(lists.value(1).is_empty() && lists.is_valid(1) && lists.is_null(2));

    let mut nested = list(2);
    let square = array(&[2, 2], 23, &[Some(&int(1)), Some(&int(2)), Some(&int(3)), Some(&int(4))]);
    nested.tuple(&tuple(&[Some(&square)])).unwrap();
    let batch = nested.finish().unwrap();
    let rows = batch.column(0).as_list::<i32>().value(0);
    assert_eq!(rows.as_list::<i32>().value(1).as_primitive::<Int32Type>().values(), &[3, 4]);

    let huge = [&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23][..], &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1]].concat();
    for (value, words) in [
        (square.clone(), "number of dimensions"),
        (array(&[1], 20, &[Some(&int(1))]), "element type"),
        (huge, "cannot be decoded"),
        (array(&[2], 23, &[Some(&int(1))]), "row ends"),
        (vec![1, 2], "length"),
    ] {
        let error = list(1).tuple(&tuple(&[Some(&value)])).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn vectors_have_their_length() {
    let kind = DataType::new_fixed_size_list(DataType::Float32, 2, true);
    let one = || decoder(&[("v", kind.clone(), Decoder::Vector(2))], 8);
    let value = |numbers: &[f32]| {
        let bytes: Vec<[u8; 4]> = numbers.iter().map(|number| number.to_be_bytes()).collect();
        array(&[numbers.len() as u32], 700, &bytes.iter().map(|b| Some(&b[..])).collect::<Vec<_>>())
    };
    let mut decoder = one();
    decoder.tuple(&tuple(&[None])).unwrap();
    decoder.tuple(&tuple(&[Some(&value(&[1.5, -2.0]))])).unwrap();
    let batch = decoder.finish().unwrap();
    assert!(batch.column(0).is_null(0) && batch.column(0).is_valid(1));
    assert!(one().tuple(&tuple(&[Some(&value(&[1.0]))])).unwrap_err().to_string().contains("dimensions"));
}

#[test]
fn garbage_never_panics() {
    // A fixed linear congruential sequence: the same bytes in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let list = ListDecoder { element_oid: 0, dimensions: 1, element: text(TextForm::Plain) };
    let columns = [
        ("a", DataType::new_list(DataType::Utf8View, true), Decoder::List(Box::new(list))),
        ("b", DataType::Decimal128(38, 10), Decoder::Numeric(crate::config::Rounding::HalfEven)),
        ("c", DataType::BinaryView, Decoder::Bytes),
        ("d", DataType::Int64, Decoder::Int64),
        ("e", DataType::Decimal128(15, 2), Decoder::Numeric(crate::config::Rounding::HalfEven)),
    ];
    for _ in 0..20_000 {
        let mut decoder = decoder(&columns, 4);
        let lengths: Vec<u8> = columns.iter().map(|_| byte() % 40).collect();
        let mut values: Vec<Vec<u8>> = lengths.iter().map(|n| (0..*n).map(|_| byte()).collect()).collect();
        if byte() % 2 == 0 {
            values[0].splice(0..0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte() % 4, 0, 0, 0, 1]);
        }
        let mut row = tuple(&values.iter().map(|value| Some(&value[..])).collect::<Vec<_>>());
        row.truncate(row.len() - usize::from(byte() % 3));
        if decoder.tuple(&row).is_ok() {
            drop(decoder.finish());
        }
    }
}

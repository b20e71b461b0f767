//! Keys of joins against a real server: the rows that come are those that can meet one, and never fewer.

use std::collections::{BTreeSet, HashSet};

use arrow::array::{Array, ArrayRef};
use arrow::compute::concat;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{InListExpr, binary, col, is_null, lit};
use datafusion::scalar::ScalarValue;
use meesh_connector_spi::{RowFilters, ScanReport};

use super::*;

/// A column a type, each with awkward values; `id` tells the rows apart.
const COLUMNS: &[(&str, &str, &[&str])] = &[
    ("s", "smallint", &["-32768", "0", "7"]),
    ("i", "integer", &["-1", "0", "2147483647"]),
    ("b", "bigint", &["-9223372036854775808", "0", "7"]),
    ("d", "numeric(12,2)", &["-0.01", "0", "99.99"]),
    ("t", "text COLLATE \"en-US-x-icu\"", &["", "a", "A", "ä", "a ", "it's", "\\", "\"{,}\"", "NULL", "日本"]),
    ("c", "text COLLATE \"C\"", &["", "a", "Z", "ä"]),
    ("v", "varchar(10)", &["", "b", " b"]),
    ("p", "char(4)", &["a", "b", "äb"]),
    ("dt", "date", &["0001-01-01", "1969-12-31", "9999-12-31"]),
    ("ts", "timestamp", &["0001-01-01 00:00:00", "1969-12-31 23:59:59.999999", "9999-12-31 00:00:00"]),
    ("tz", "timestamptz", &["1969-12-31 23:59:59.999999+00", "2024-03-10 02:30:00+05:30"]),
    ("tm", "time", &["00:00:00", "23:59:59.999999"]),
    ("u", "uuid", &["00000000-0000-0000-0000-000000000000", "12151fd2-7586-11e9-8f9e-2a86e4085a59"]),
    ("by", "bytea", &["\\x", "\\x00ff"]),
    ("ok", "boolean", &["true", "false"]),
    ("e", "keys_mood", &["sad", "ok"]),
];

fn setup() {
    static DONE: std::sync::Once = std::sync::Once::new();
    DONE.call_once(|| {
        let declared: Vec<String> =
            COLUMNS.iter().map(|(name, declaration, _)| format!("{name} {declaration}")).collect();
        let row = |number: usize| {
            let cells = COLUMNS.iter().map(|(_, _, values)| match values.get(number % (values.len() + 1)) {
                Some(value) => format!("'{}'", value.replace('\'', "''")),
                None => "NULL".to_owned(),
            });
            format!("({number}, {})", cells.collect::<Vec<_>>().join(", "))
        };
        let rows: Vec<String> = (0..30).map(row).collect();
        shared_server().psql("CREATE TYPE public.keys_mood AS ENUM ('sad', 'ok')");
        // Not analyzed: of few values, most would not be sent.
        shared_server().psql(&format!(
            "CREATE TABLE public.keyed (id int, {}); INSERT INTO public.keyed VALUES {}; GRANT SELECT ON public.keyed TO PUBLIC",
            declared.join(", "),
            rows.join(", ")
        ));
    });
}

/// The ids of the rows that pass, the values of `column` beside them, and what was reported.
async fn passing(filters: Vec<Arc<dyn PhysicalExpr>>, column: &str) -> (Vec<i32>, ArrayRef, Vec<String>) {
    passing_in(&connector(&[]), "keyed", filters, column).await
}

async fn passing_in(
    connector: &PostgresConnector,
    table: &str,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    column: &str,
) -> (Vec<i32>, ArrayRef, Vec<String>) {
    let plan = whole_table(connector, table).await;
    let scope = scope();
    let scan = connector.plan(&plan, &scope, 1).await.unwrap().scan;
    read(&scan, scope, filters, column).await
}

async fn read(
    scan: &Arc<dyn SourceScan>,
    scope: Arc<QueryScope>,
    filters: Vec<Arc<dyn PhysicalExpr>>,
    column: &str,
) -> (Vec<i32>, ArrayRef, Vec<String>) {
    let report = Arc::new(ScanReport::default());
    let request = ScanRequest {
        scope,
        filters: RowFilters::new(scan.schema(), filters, Arc::new(HashSet::new())),
        batch_rows: 8192,
        report: Arc::clone(&report),
    };
    let batches: Vec<RecordBatch> = stream::select_all(scan.open(request)).map(Result::unwrap).collect().await;
    let schema = scan.schema();
    let batch = concat_batches(&schema, &batches).unwrap();
    let ids = batch.column(0).as_any().downcast_ref::<arrow::array::Int32Array>().unwrap().values().to_vec();
    (ids, Arc::clone(batch.column(schema.index_of(column).unwrap())), report.filters())
}

async fn schema() -> SchemaRef {
    whole_table(&connector(&[]), "keyed").await.schema().inner().clone()
}

#[tokio::test]
async fn every_type_is_looked_up_by_its_values() {
    setup();
    let schema = schema().await;
    for (column, declaration, _) in COLUMNS {
        let (all, values, _) = passing(vec![], column).await;
        // Every second value that there is, twice, and NULL.
        let distinct: BTreeSet<String> =
            (0..values.len()).filter(|row| values.is_valid(*row)).map(|row| shown(&values, row)).collect();
        let wanted: HashSet<String> = distinct.iter().step_by(2).cloned().collect();
        let picked: Vec<usize> =
            (0..values.len()).filter(|row| values.is_null(*row) || wanted.contains(&shown(&values, *row))).collect();
        let picked: Vec<ArrayRef> = picked.iter().map(|row| values.slice(*row, 1)).collect();
        let list = concat(&picked.iter().map(AsRef::as_ref).collect::<Vec<_>>()).unwrap();
        let filter = InListExpr::try_new_from_array(col(column, &schema).unwrap(), list, false, &schema).unwrap();
        let (ids, got, report) = passing(vec![Arc::new(filter)], column).await;
        let expected: Vec<i32> = all
            .iter()
            .enumerate()
            .filter(|(row, _)| values.is_valid(*row) && wanted.contains(&shown(&values, *row)))
            .map(|(_, id)| *id)
            .collect();
        assert_eq!(sorted(ids), expected, "{column} {declaration}: {report:?}");
        assert_eq!(got.null_count(), 0);
        assert!(report[0].ends_with(", sent"), "{report:?}");
    }
}

#[tokio::test]
async fn ranges_are_those_of_the_engines_order() {
    setup();
    let schema = schema().await;
    // In the database's collation a, A and ä are neighbours; by code points Z is before a.
    for (column, least, greatest) in [("t", "A", "a "), ("c", "Z", "a"), ("v", " b", "b")] {
        let bound = |op, value: &str| {
            binary(col(column, &schema).unwrap(), op, lit(ScalarValue::Utf8View(Some(value.into()))), &schema).unwrap()
        };
        let filters = vec![bound(Operator::GtEq, least), bound(Operator::LtEq, greatest)];
        let (all, values, _) = passing(vec![], column).await;
        let expected: Vec<i32> = (0..values.len())
            .filter(|row| values.is_valid(*row))
            .filter(|row| (least..=greatest).contains(&shown(&values, *row).as_str()))
            .map(|row| all[row])
            .collect();
        let (ids, _, report) = passing(filters, column).await;
        assert_eq!(sorted(ids), expected, "{column}: {report:?}");
    }
}

#[tokio::test]
async fn rows_with_null_come_where_the_join_needs_them() {
    setup();
    let schema = schema().await;
    let one = binary(col("i", &schema).unwrap(), Operator::Eq, lit(0i32), &schema).unwrap();
    let filter = binary(is_null(col("i", &schema).unwrap()).unwrap(), Operator::Or, one, &schema).unwrap();
    let (ids, values, _) = passing(vec![filter], "i").await;
    let expected: Vec<i32> = (0..30).filter(|id| matches!(id % 4, 1 | 3)).collect();
    assert_eq!(sorted(ids), expected);
    assert!(values.null_count() > 0);
}

#[tokio::test]
async fn without_a_key_nothing_is_asked_for() {
    setup();
    let (ids, _, report) = passing(vec![lit(false)], "i").await;
    assert!(ids.is_empty());
    assert_eq!(report, ["no key: nothing is read"]);
}

/// PostgreSQL would refuse the statement for a character that the database's encoding has not.
#[tokio::test]
async fn a_key_that_another_encoding_may_not_have_is_not_sent() {
    let server = shared_server();
    server.psql("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    server.psql_in(
        "latin",
        "CREATE TABLE public.names (id int, n text); GRANT SELECT ON public.names TO PUBLIC; \
         INSERT INTO public.names VALUES (1, 'a'), (2, chr(233)), (3, 'b')",
    );
    let url = server.url("trusted").replace("/postgres", "/latin");
    let values = PostgresConfig::values_of_url("latin", &url).unwrap().unwrap();
    let connector = PostgresConnector::new("latin", PostgresConfig::parse("latin", &values).unwrap());
    let schema: SchemaRef = whole_table(&connector, "names").await.schema().inner().clone();
    for (keys, ids, said) in [
        (["a", "x"], &[1][..], "n: 2 values, sent"),
        (["é", "日"], &[1, 2, 3], "n: 2 values, not sent: the database is not in UTF-8"),
    ] {
        let list: ArrayRef = Arc::new(arrow::array::StringViewArray::from(keys.to_vec()));
        let filter = InListExpr::try_new_from_array(col("n", &schema).unwrap(), list, false, &schema).unwrap();
        let (got, _, report) = passing_in(&connector, "names", vec![Arc::new(filter)], "n").await;
        assert_eq!((sorted(got).as_slice(), report.as_slice()), (ids, &[said.to_owned()][..]));
    }
}

#[tokio::test]
async fn nothing_is_compiled_for_a_lookup() {
    let server = shared_server();
    server.psql("CREATE TABLE public.not_compiled (id int PRIMARY KEY)");
    server.psql("INSERT INTO public.not_compiled SELECT generate_series(1, 9)");
    server.psql(
        "GRANT SELECT ON public.not_compiled TO PUBLIC; ALTER TABLE public.not_compiled ENABLE ROW LEVEL SECURITY",
    );
    server.psql("CREATE POLICY p ON public.not_compiled USING (current_setting('jit') = 'off')");
    let connector = connector(&[("connections-max", "1")]);
    let plan = whole_table(&connector, "not_compiled").await;
    let schema: SchemaRef = plan.schema().inner().clone();
    let list: ArrayRef = Arc::new(arrow::array::Int32Array::from(vec![2, 7]));
    let filter: Arc<dyn PhysicalExpr> =
        Arc::new(InListExpr::try_new_from_array(col("id", &schema).unwrap(), list, false, &schema).unwrap());
    // What reads a whole table is the server's to compile. The scans of one query share a session.
    for lookup_comes_first in [true, false] {
        let scope = scope();
        let first = connector.plan(&plan, &scope, 1).await.unwrap().scan;
        let second = connector.plan(&plan, &scope, 1).await.unwrap().scan;
        let (lookup, whole) = if lookup_comes_first { (first, second) } else { (second, first) };
        let look_up = || read(&lookup, Arc::clone(&scope), vec![Arc::clone(&filter)], "id");
        let read_whole = || read(&whole, Arc::clone(&scope), vec![], "id");
        let ((found, ..), (all, ..)) = if lookup_comes_first {
            let found = look_up().await;
            (found, read_whole().await)
        } else {
            let all = read_whole().await;
            (look_up().await, all)
        };
        assert_eq!((sorted(found), all), (vec![2, 7], vec![]), "{lookup_comes_first}");
    }
}

fn shown(values: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(values.as_ref(), &options).unwrap().value(row).to_string()
}

fn sorted(mut ids: Vec<i32>) -> Vec<i32> {
    ids.sort_unstable();
    ids
}

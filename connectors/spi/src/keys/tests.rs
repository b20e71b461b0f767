//! Expressions as DataFusion's joins make them, and what is read from them.

use arrow::array::{Int32Array, Int64Array, StringArray, StructArray};
use arrow::datatypes::Field;
use datafusion::common::config::ConfigOptions;
use datafusion::functions::core::expr_fn;
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::{binary, case, col, in_list, is_null, lit};

use super::*;

type Physical = Arc<dyn PhysicalExpr>;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("k", DataType::Int64, true),
        Field::new("n", DataType::Int32, true),
        Field::new("t", DataType::Utf8, true),
    ]))
}

fn column(name: &str) -> Physical {
    col(name, &schema()).unwrap()
}

fn between(name: &str, least: i64, greatest: i64) -> Physical {
    let bound = |op, value: i64| binary(column(name), op, lit(value), &schema()).unwrap();
    and(bound(Operator::GtEq, least), bound(Operator::LtEq, greatest))
}

fn and(a: Physical, b: Physical) -> Physical {
    binary(a, Operator::And, b, &schema()).unwrap()
}

fn or(a: Physical, b: Physical) -> Physical {
    binary(a, Operator::Or, b, &schema()).unwrap()
}

fn any_of(name: &str, values: &[i64]) -> Physical {
    in_list(column(name), values.iter().map(|value| lit(*value)).collect(), &false, &schema()).unwrap()
}

fn known(filter: Physical) -> NeededRows {
    RowFilters::new(schema(), vec![filter], Arc::default()).known()
}

fn with(column: usize, keys: Keys, or_null: bool) -> NeededRows {
    NeededRows::With(vec![ColumnKeys { column, keys, or_null }])
}

fn list(values: &[i64]) -> Keys {
    Keys::List(Arc::new(Int64Array::from(values.to_vec())))
}

#[test]
fn a_list_within_bounds_is_the_list_ordered_and_each_value_once() {
    assert_eq!(known(and(between("k", 3, 9), any_of("k", &[9, 3, 5, 3]))), with(0, list(&[3, 5, 9]), false));
}

#[test]
fn bounds_alone_are_a_range() {
    let range = Keys::Range { least: Some(3i64.into()), greatest: Some(9i64.into()) };
    assert_eq!(known(between("k", 3, 9)), with(0, range, false));
}

#[test]
fn branches_by_partition_are_united() {
    let routed = |otherwise: Physical| {
        let branches = vec![
            (lit(0i64), and(between("k", 1, 2), any_of("k", &[1, 2]))),
            (lit(1i64), and(between("k", 2, 7), any_of("k", &[7, 2]))),
        ];
        case(Some(column("k")), branches, Some(otherwise)).unwrap()
    };
    assert_eq!(known(routed(lit(false))), with(0, list(&[1, 2, 7]), false));
    // One partition that is not known lets everything through.
    assert_eq!(known(routed(lit(true))), NeededRows::With(vec![]));
}

#[test]
fn nulls_that_must_reach_the_join_are_kept() {
    let filter = or(is_null(column("k")).unwrap(), and(between("k", 1, 2), any_of("k", &[1, 2])));
    assert_eq!(known(filter), with(0, list(&[1, 2]), true));
}

#[test]
fn nothing_is_needed_where_no_key_is() {
    assert_eq!(known(lit(false)), NeededRows::None);
    assert_eq!(known(and(lit(false), between("k", 1, 2))), NeededRows::None);
}

#[test]
fn what_is_not_understood_lets_every_row_through() {
    let strange = binary(column("k"), Operator::NotEq, lit(1i64), &schema()).unwrap();
    assert_eq!(known(Arc::clone(&strange)), NeededRows::With(vec![]));
    assert_eq!(known(or(strange.clone(), between("k", 1, 2))), NeededRows::With(vec![]));
    assert_eq!(known(and(strange, any_of("k", &[1]))), with(0, list(&[1]), false));
    assert_eq!(
        known(or(any_of("k", &[1]), binary(column("n"), Operator::Eq, lit(1i32), &schema()).unwrap())),
        NeededRows::With(vec![])
    );
}

#[test]
fn keys_made_wider_for_the_join_are_made_narrow_again() {
    let wide: Physical = Arc::new(CastExpr::new(column("n"), DataType::Int64, None));
    let values = vec![lit(7i64), lit(i64::MAX), lit(-1i64)];
    let filter = in_list(Arc::clone(&wide), values, &false, &schema()).unwrap();
    assert_eq!(known(filter), with(1, Keys::List(Arc::new(Int32Array::from(vec![-1, 7]))), false));
    let bound = binary(wide, Operator::LtEq, lit(i64::MAX), &schema()).unwrap();
    assert_eq!(known(bound), NeededRows::With(vec![]));
}

#[test]
fn several_keys_are_a_list_each() {
    let fields = vec![Field::new("c0", DataType::Int64, true), Field::new("c1", DataType::Utf8, true)];
    let values: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![2, 1, 2])), Arc::new(StringArray::from(vec![Some("b"), Some("a"), None]))];
    let values: ArrayRef = Arc::new(StructArray::try_new(fields.into(), values, None).unwrap());
    let Expr::ScalarFunction(call) = expr_fn::r#struct(vec![]) else { panic!("struct is a function") };
    let field = Arc::new(Field::new("struct", values.data_type().clone(), true));
    let keys = vec![column("k"), column("t")];
    let pair = ScalarFunctionExpr::new("struct", call.func, keys, field, Arc::new(ConfigOptions::default()));
    let filter = InListExpr::try_new_from_array(Arc::new(pair), values, false, &schema()).unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let expected = NeededRows::With(vec![
        ColumnKeys { column: 0, keys: list(&[1, 2]), or_null: false },
        ColumnKeys { column: 2, keys: Keys::List(texts), or_null: false },
    ]);
    assert_eq!(known(Arc::new(filter)), expected);
}

#[tokio::test]
async fn only_joins_are_waited_for() {
    let filter = || Arc::new(DynamicFilterPhysicalExpr::new(vec![column("k")], lit(true)));
    let (join, top) = (filter(), filter());
    let id = join.expression_id().unwrap();
    let filters: Vec<Physical> = vec![Arc::clone(&join) as _, top as _];
    let filters = RowFilters::new(schema(), filters, Arc::new(HashSet::from([id])));
    let waiting = tokio::spawn(async move { filters.needed(Duration::from_secs(60)).await });
    tokio::task::yield_now().await;
    join.update(any_of("k", &[4])).unwrap();
    join.mark_complete();
    assert_eq!(waiting.await.unwrap(), with(0, list(&[4]), false));
}

#[tokio::test]
async fn patience_ends() {
    let join = Arc::new(DynamicFilterPhysicalExpr::new(vec![column("k")], lit(true)));
    let awaited = Arc::new(HashSet::from([join.expression_id().unwrap()]));
    let filters = RowFilters::new(schema(), vec![join as _], awaited);
    assert_eq!(filters.needed(Duration::from_millis(5)).await, NeededRows::With(vec![]));
}

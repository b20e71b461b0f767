//! A source with a little of everything that metadata can show.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{MemTable, TableProvider};
use meesh_engine::{CheckStep, ColumnInfo, Connector, Health, Result, TableDescription, TableInfo, TableKind};

/// Schema `public` with the table `orders` (primary key `region, id`), the view `recent` and the table `a_b`.
#[derive(Debug)]
pub(super) struct Shop;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("region", DataType::Utf8View, false),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn table(name: &str, kind: TableKind) -> TableInfo {
    TableInfo { name: name.to_owned(), kind, comment: None }
}

fn column(name: &str, native_type: &str) -> ColumnInfo {
    ColumnInfo { name: name.to_owned(), native_type: native_type.to_owned(), nullable: false, comment: None }
}

#[async_trait]
impl Connector for Shop {
    fn kind(&self) -> &'static str {
        "shop"
    }

    fn source_key(&self) -> String {
        "shop".to_owned()
    }

    async fn schemas(&self) -> Result<Vec<String>> {
        Ok(vec!["public".to_owned()])
    }

    async fn tables(&self, schema: &str) -> Result<Vec<TableInfo>> {
        Ok(match schema {
            "public" => vec![
                table("a_b", TableKind::Table),
                table("orders", TableKind::Table),
                table("recent", TableKind::View),
            ],
            _ => Vec::new(),
        })
    }

    async fn describe(&self, schema_name: &str, name: &str) -> Result<Option<TableDescription>> {
        let info = self.tables(schema_name).await?.into_iter().find(|info| info.name == name);
        Ok(info.map(|info| TableDescription {
            primary_key: if name == "orders" { vec!["region".into(), "id".into()] } else { Vec::new() },
            info,
            schema: schema(),
            columns: vec![column("region", "text"), column("id", "bigint")],
            row_estimate: None,
            properties: Vec::new(),
        }))
    }

    async fn table(&self, schema_name: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if self.describe(schema_name, name).await?.is_none() {
            return Ok(None);
        }
        let regions = StringViewArray::from(vec!["north", "a region with a long name"]);
        let columns: Vec<Arc<dyn arrow::array::Array>> =
            vec![Arc::new(regions), Arc::new(Int64Array::from(vec![1, 2]))];
        let batch = RecordBatch::try_new(schema(), columns).unwrap();
        Ok(Some(Arc::new(MemTable::try_new(schema(), vec![vec![batch]]).unwrap())))
    }

    async fn refresh(&self, _schema: Option<&str>, _table: Option<&str>) -> Result<()> {
        Ok(())
    }

    async fn probe(&self) -> Result<Health> {
        Ok(Health { version: "1".to_owned(), latency: Duration::ZERO })
    }

    async fn check(&self) -> Vec<CheckStep> {
        Vec::new()
    }
}

//! Metadata commands as a client sees them.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Schema};
use arrow_flight::sql::{
    CommandGetCatalogs, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandStatementQuery,
};
use arrow_flight::{Criteria, Empty, IpcMessage};

use super::client::descriptor;
use super::with_server;

fn tables(schema: &str, table: &str, types: &[&str]) -> CommandGetTables {
    CommandGetTables {
        catalog: None,
        db_schema_filter_pattern: Some(schema.to_owned()),
        table_name_filter_pattern: Some(table.to_owned()),
        table_types: types.iter().map(|name| (*name).to_owned()).collect(),
        include_schema: false,
    }
}

#[test]
fn catalogs_schemas_and_tables_are_listed_without_a_catalog_filter() {
    with_server(|server| async move {
        let mut client = server.client().await;
        assert_eq!(client.ask(CommandGetCatalogs {}).await.unwrap(), ["shop", "system"]);
        let all = client.ask(CommandGetDbSchemas::default()).await.unwrap();
        assert!(all.contains(&"shop,public".to_owned()) && all.contains(&"system,runtime".to_owned()), "{all:?}");
        assert!(all.is_sorted());
        let none = CommandGetDbSchemas { catalog: Some(String::new()), ..Default::default() };
        assert!(client.ask(none).await.unwrap().is_empty());
        let some = CommandGetDbSchemas { catalog: Some("shop".into()), db_schema_filter_pattern: Some("pub%".into()) };
        assert_eq!(client.ask(some).await.unwrap(), ["shop,public"]);
        for (schema, table, types, wanted) in [
            ("public", "%", &[][..], &["a_b,BASE TABLE", "orders,BASE TABLE", "recent,VIEW"][..]),
            ("public", "%", &["VIEW"], &["recent,VIEW"]),
            ("public", "%", &["TABLE"], &["a_b,BASE TABLE", "orders,BASE TABLE"]),
            ("public", "a\\_b", &[], &["a_b,BASE TABLE"]),
            ("public", "_____s", &[], &["orders,BASE TABLE"]),
            ("private", "%", &[], &[]),
        ] {
            let found = client.ask(tables(schema, table, types)).await.unwrap();
            let wanted: Vec<_> = wanted.iter().map(|line| format!("shop,public,{line}")).collect();
            assert_eq!(found, wanted, "{schema} {table} {types:?}");
        }
        assert_eq!(client.ask(CommandGetTableTypes {}).await.unwrap(), ["BASE TABLE", "SYSTEM TABLE", "VIEW"]);
    });
}

#[test]
fn grafana_sees_views_as_base_tables() {
    with_server(|server| async move {
        let mut client = server.client().await.with("x-meesh-profile", "grafana");
        let found = client.ask(tables("public", "rec%", &["BASE TABLE", "table"])).await.unwrap();
        assert_eq!(found, ["shop,public,recent,BASE TABLE"]);
    });
}

#[test]
fn a_tables_schema_is_what_a_query_returns() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let command = CommandGetTables { include_schema: true, ..tables("public", "orders", &[]) };
        let info = client.info(command).await.unwrap().into_inner();
        let batches = client.fetch(&info).await.unwrap();
        let message = batches[0].column(4).as_binary::<i32>().value(0).to_vec();
        let schema = Schema::try_from(IpcMessage(message.into())).unwrap();
        assert_eq!(*schema.field(0).data_type(), DataType::Utf8);
        assert_eq!(schema.field(1).metadata().get("ARROW:FLIGHT:SQL:TYPE_NAME").unwrap(), "bigint");
        let query = client.plan("select * from shop.public.orders").await.unwrap().try_decode_schema().unwrap();
        let types = |schema: &Schema| {
            schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect::<Vec<_>>()
        };
        assert_eq!(types(&schema), types(&query));
    });
}

#[test]
fn keys_are_listed_and_foreign_keys_are_empty() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let key =
            |table: &str| CommandGetPrimaryKeys { catalog: Some("shop".into()), db_schema: None, table: table.into() };
        let found = client.ask(key("orders")).await.unwrap();
        assert_eq!(found, ["shop,public,orders,region,1,NULL", "shop,public,orders,id,2,NULL"]);
        assert!(client.ask(key("a_b")).await.unwrap().is_empty());
        assert!(client.ask(key("order_")).await.unwrap().is_empty());
        let table = || "orders".to_owned();
        assert!(client.ask(CommandGetImportedKeys { table: table(), ..Default::default() }).await.unwrap().is_empty());
        assert!(client.ask(CommandGetExportedKeys { table: table(), ..Default::default() }).await.unwrap().is_empty());
        let cross = CommandGetCrossReference { pk_table: table(), fk_table: table(), ..Default::default() };
        assert!(client.ask(cross).await.unwrap().is_empty());
    });
}

#[test]
fn server_information_and_types_are_served() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let info = client.info(CommandGetSqlInfo { info: vec![0, 8] }).await.unwrap().into_inner();
        assert_eq!(client.fetch(&info).await.unwrap()[0].num_rows(), 2);
        let types = client.ask(CommandGetXdbcTypeInfo { data_type: Some(4) }).await.unwrap();
        assert!(types[0].starts_with("integer,4,10,"), "{types:?}");
    });
}

#[test]
fn schemas_are_told_without_running_and_actions_are_listed() {
    with_server(|server| async move {
        let mut client = server.client().await;
        let command =
            CommandStatementQuery { query: "select region from shop.public.orders".into(), transaction_id: None };
        let request = client.request(descriptor(&command));
        let result = client.flight.get_schema(request).await.unwrap().into_inner();
        assert_eq!(*Schema::try_from(&result).unwrap().field(0).data_type(), DataType::Utf8);
        let mut actions = client.flight.list_actions(Empty {}).await.unwrap().into_inner();
        let mut names = Vec::new();
        while let Some(action) = actions.message().await.unwrap() {
            names.push(action.r#type);
        }
        assert!(names.contains(&"CancelFlightInfo".to_owned()), "{names:?}");
        let mut flights = client.flight.list_flights(Criteria::default()).await.unwrap().into_inner();
        assert!(flights.message().await.unwrap().is_none());
    });
}

#[test]
fn health_is_served() {
    with_server(|server| async move {
        let channel = tonic::transport::Channel::from_shared(format!("http://{}", server.address)).unwrap();
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel.connect().await.unwrap());
        for service in ["", "arrow.flight.protocol.FlightService"] {
            let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
            assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "{service:?}");
        }
    });
}

//! Catalogs, schemas, tables, table types, keys and server information: commands whose answer is one batch.
//!
//! Schemas are those of arrow-go's `flightsql/schema_ref`, nullability included: the ADBC driver refuses
//! any other. The ticket of such a command is the command itself.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, BinaryArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::sql::{Command, CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use meesh_engine::{Error, MetadataFilter, TableEntry};
use tonic::Status;

use crate::call::Call;
use crate::encode::{WireStream, schema_message, wire_stream};
use crate::error::status;
use crate::service::{Door, unsupported_command};
use crate::table_schema::table_schema;
use crate::wire_types::WireOptions;
use crate::{sql_info, xdbc_types};

/// Every `table_type` there is; [`meesh_engine::TableKind::table_type`] gives one of them.
const TABLE_TYPES: &[&str] = &["BASE TABLE", "SYSTEM TABLE", "VIEW"];

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn shared(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

static CATALOGS: LazyLock<SchemaRef> = LazyLock::new(|| shared(vec![text("catalog_name", false)]));

static DB_SCHEMAS: LazyLock<SchemaRef> =
    LazyLock::new(|| shared(vec![text("catalog_name", true), text("db_schema_name", false)]));

static TABLES: LazyLock<SchemaRef> = LazyLock::new(|| shared(table_fields()));

static TABLES_WITH_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = table_fields();
    fields.push(Field::new("table_schema", DataType::Binary, false));
    shared(fields)
});

fn table_fields() -> Vec<Field> {
    vec![text("catalog_name", true), text("db_schema_name", true), text("table_name", false), text("table_type", false)]
}

static TABLE_TYPE: LazyLock<SchemaRef> = LazyLock::new(|| shared(vec![text("table_type", false)]));

static PRIMARY_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    shared(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("key_name", true),
    ])
});

/// Imported keys, exported keys and cross references share a schema.
static FOREIGN_KEYS: LazyLock<SchemaRef> = LazyLock::new(|| {
    shared(vec![
        text("pk_catalog_name", true),
        text("pk_db_schema_name", true),
        text("pk_table_name", false),
        text("pk_column_name", false),
        text("fk_catalog_name", true),
        text("fk_db_schema_name", true),
        text("fk_table_name", false),
        text("fk_column_name", false),
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ])
});

/// The schema of a metadata command's answer.
///
/// # Errors
/// UNIMPLEMENTED for any other command.
pub(crate) fn schema(command: &Command) -> Result<SchemaRef, Status> {
    let schema = match command {
        Command::CommandGetCatalogs(_) => &*CATALOGS,
        Command::CommandGetDbSchemas(_) => &*DB_SCHEMAS,
        Command::CommandGetTables(command) if command.include_schema => &*TABLES_WITH_SCHEMA,
        Command::CommandGetTables(_) => &*TABLES,
        Command::CommandGetTableTypes(_) => &*TABLE_TYPE,
        Command::CommandGetPrimaryKeys(_) => &*PRIMARY_KEYS,
        Command::CommandGetImportedKeys(_)
        | Command::CommandGetExportedKeys(_)
        | Command::CommandGetCrossReference(_) => &*FOREIGN_KEYS,
        Command::CommandGetSqlInfo(_) => sql_info::schema(),
        Command::CommandGetXdbcTypeInfo(_) => return Ok(xdbc_types::schema()),
        command => return Err(unsupported_command(command)),
    };
    Ok(Arc::clone(schema))
}

/// GetFlightInfo of a metadata command: nothing is looked up yet.
pub(crate) fn info(command: &Command, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    let ticket = Ticket::new(descriptor.cmd.clone());
    let mut info =
        FlightInfo::new().with_endpoint(FlightEndpoint::new().with_ticket(ticket)).with_descriptor(descriptor);
    info.schema = schema_message(schema(command)?.as_ref())?;
    Ok(info)
}

/// DoGet of a metadata command. A source that does not answer is left out, never an error.
pub(crate) async fn stream(door: &Door, call: &Call, command: Command) -> Result<WireStream, Status> {
    let schema = schema(&command)?;
    let batch = match command {
        Command::CommandGetCatalogs(_) => catalogs(door),
        Command::CommandGetDbSchemas(command) => db_schemas(door, command).await,
        Command::CommandGetTables(command) => tables(door, call, command).await,
        Command::CommandGetTableTypes(_) => batch(&TABLE_TYPE, vec![texts(TABLE_TYPES)]),
        Command::CommandGetPrimaryKeys(command) => primary_keys(door, command).await,
        Command::CommandGetSqlInfo(command) => sql_info::batch(&command.info),
        Command::CommandGetXdbcTypeInfo(command) => xdbc_types::batch(command),
        _ => Ok(RecordBatch::new_empty(Arc::clone(&schema))),
    };
    let batch = batch.map_err(|error| status(&error, None))?;
    Ok(wire_stream(&schema, WireOptions::default(), futures::stream::iter([Ok(batch)]), None))
}

fn texts<T: AsRef<str>>(values: &[T]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(Arc::clone(schema), columns)
        .map_err(|error| Error::internal(format!("metadata cannot be encoded: {error}")))
}

fn catalogs(door: &Door) -> Result<RecordBatch, Error> {
    batch(&CATALOGS, vec![texts(&door.engine.catalogs().names())])
}

/// `""` asks for what is in no catalog, and everything here is in one.
fn asks_for_no_catalog(catalog: Option<&String>) -> bool {
    catalog.is_some_and(String::is_empty)
}

async fn db_schemas(door: &Door, command: CommandGetDbSchemas) -> Result<RecordBatch, Error> {
    let mut entries = if asks_for_no_catalog(command.catalog.as_ref()) {
        Vec::new()
    } else {
        let filter = MetadataFilter {
            catalog: command.catalog,
            schema: command.db_schema_filter_pattern,
            ..MetadataFilter::default()
        };
        door.engine.list_schemas(&filter).await
    };
    entries.sort_by(|a, b| (&a.catalog, &a.schema).cmp(&(&b.catalog, &b.schema)));
    let catalogs: Vec<&str> = entries.iter().map(|entry| entry.catalog.as_str()).collect();
    let schemas: Vec<&str> = entries.iter().map(|entry| entry.schema.as_str()).collect();
    batch(&DB_SCHEMAS, vec![texts(&catalogs), texts(&schemas)])
}

async fn tables(door: &Door, call: &Call, command: CommandGetTables) -> Result<RecordBatch, Error> {
    let entries = if asks_for_no_catalog(command.catalog.as_ref()) {
        Vec::new()
    } else {
        let filter = MetadataFilter {
            catalog: command.catalog,
            schema: command.db_schema_filter_pattern,
            table: command.table_name_filter_pattern,
            kinds: Vec::new(),
        };
        door.engine.list_tables(&filter, command.include_schema).await
    };
    let mut rows: Vec<(&TableEntry, &str)> = entries
        .iter()
        .map(|entry| (entry, shown_type(entry.info.kind.table_type(), call)))
        .filter(|(_, table_type)| wants_type(&command.table_types, table_type))
        // A table whose columns are unknown (its source does not answer) has no schema to show.
        .filter(|(entry, _)| !command.include_schema || entry.description.is_some())
        .collect();
    rows.sort_by_key(|(entry, table_type)| (&entry.catalog, &entry.schema, &entry.info.name, *table_type));
    let column = |value: fn(&(&TableEntry, &str)) -> String| texts(&rows.iter().map(value).collect::<Vec<_>>());
    let mut columns = vec![
        column(|(entry, _)| entry.catalog.clone()),
        column(|(entry, _)| entry.schema.clone()),
        column(|(entry, _)| entry.info.name.clone()),
        column(|(_, table_type)| (*table_type).to_owned()),
    ];
    if !command.include_schema {
        return batch(&TABLES, columns);
    }
    let wire = call.wire();
    let schemas = rows
        .iter()
        .filter_map(|(entry, _)| entry.description.as_ref().map(|description| (entry, description)))
        .map(|(entry, description)| {
            schema_message(&table_schema(&entry.catalog, &entry.schema, description, wire))
                .map_err(|status| Error::internal(status.message()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    columns.push(Arc::new(BinaryArray::from_iter_values(&schemas)));
    batch(&TABLES_WITH_SCHEMA, columns)
}

/// Grafana's table list asks for base tables only; views shall be in it all the same.
fn shown_type(table_type: &'static str, call: &Call) -> &'static str {
    if table_type == "VIEW" && call.is_grafana() { "BASE TABLE" } else { table_type }
}

/// Many programs call a base table TABLE.
fn wants_type(wanted: &[String], table_type: &str) -> bool {
    let matches = |wanted: &String| {
        wanted.eq_ignore_ascii_case(table_type) || (wanted.eq_ignore_ascii_case("TABLE") && table_type == "BASE TABLE")
    };
    wanted.is_empty() || wanted.iter().any(matches)
}

async fn primary_keys(door: &Door, command: CommandGetPrimaryKeys) -> Result<RecordBatch, Error> {
    let entries = if asks_for_no_catalog(command.catalog.as_ref()) {
        Vec::new()
    } else {
        let filter = MetadataFilter {
            catalog: command.catalog,
            schema: command.db_schema.as_deref().map(exactly),
            table: Some(exactly(&command.table)),
            kinds: Vec::new(),
        };
        door.engine.list_tables(&filter, true).await
    };
    let mut rows = Vec::new();
    for entry in &entries {
        let key = entry.description.iter().flat_map(|description| &description.primary_key);
        rows.extend(key.zip(1..).map(|(column, sequence)| (entry, column.as_str(), sequence)));
    }
    let column = |value: for<'a> fn(&(&'a TableEntry, &'a str, i32)) -> &'a str| {
        texts(&rows.iter().map(value).collect::<Vec<_>>())
    };
    let sequences = Int32Array::from_iter_values(rows.iter().map(|(_, _, sequence)| *sequence));
    let columns = vec![
        column(|(entry, ..)| &entry.catalog),
        column(|(entry, ..)| &entry.schema),
        column(|(entry, ..)| &entry.info.name),
        column(|(_, name, _)| name),
        Arc::new(sequences) as ArrayRef,
        Arc::new(StringArray::new_null(rows.len())),
    ];
    batch(&PRIMARY_KEYS, columns)
}

/// A LIKE pattern that only `name` matches.
fn exactly(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_patterns_for_themselves() {
        assert_eq!(exactly(r"a_b%c\d"), r"a\_b\%c\\d");
    }

    #[test]
    fn base_tables_answer_to_table_too() {
        let wanted = |types: &[&str]| types.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert!(wants_type(&[], "VIEW"));
        assert!(wants_type(&wanted(&["table"]), "BASE TABLE"));
        assert!(wants_type(&wanted(&["VIEW", "BASE TABLE"]), "VIEW"));
        assert!(!wants_type(&wanted(&["TABLE"]), "VIEW"));
    }

    #[test]
    fn schemas_equal_those_of_arrow_flight() {
        use arrow_flight::sql::{CommandGetCatalogs, CommandGetTableTypes};
        let tables = |include_schema| CommandGetTables { include_schema, ..Default::default() };
        assert_eq!(*CATALOGS, CommandGetCatalogs {}.into_builder().schema());
        assert_eq!(*DB_SCHEMAS, CommandGetDbSchemas::default().into_builder().schema());
        assert_eq!(*TABLES, tables(false).into_builder().schema());
        assert_eq!(*TABLES_WITH_SCHEMA, tables(true).into_builder().schema());
        assert_eq!(*TABLE_TYPE, CommandGetTableTypes {}.into_builder().schema());
    }
}

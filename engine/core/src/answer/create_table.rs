//! The text of SHOW CREATE TABLE.

use meesh_base::quote_identifier;
use meesh_connector_spi::TableDescription;
use meesh_sql::type_name;

use crate::catalog::FullName;

/// `CREATE TABLE …` as Trino prints it: one column a line, comments, properties.
pub(super) fn text(name: &FullName, description: &TableDescription) -> String {
    let columns = description.schema.fields().iter().zip(&description.columns).map(|(field, column)| {
        let mut line = format!("   {} {}", identifier(&field.name().to_lowercase()), type_name(field.data_type()));
        if !column.nullable {
            line.push_str(" NOT NULL");
        }
        if let Some(comment) = &column.comment {
            line.push_str(&format!(" COMMENT {}", literal(comment)));
        }
        line
    });
    let columns: Vec<String> = columns.collect();
    let full = [&name.catalog, &name.schema, &name.table].map(|part| identifier(part)).join(".");
    let mut text = format!("CREATE TABLE {full} (\n{}\n)", columns.join(",\n"));
    if let Some(comment) = &description.info.comment {
        text.push_str(&format!("\nCOMMENT {}", literal(comment)));
    }
    if !description.properties.is_empty() {
        let properties = description.properties.iter().map(|(name, value)| format!("   {name} = {value}"));
        text.push_str(&format!("\nWITH (\n{}\n)", properties.collect::<Vec<_>>().join(",\n")));
    }
    text
}

/// Quoted only where a bare name would not do.
fn identifier(name: &str) -> String {
    let mut letters = name.chars();
    let starts_well = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == '_');
    if starts_well && letters.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        name.to_owned()
    } else {
        quote_identifier(name)
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

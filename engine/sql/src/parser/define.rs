//! CREATE, DROP, ALTER and COMMENT.

use meesh_base::{Definition, Error, NewColumn, Result};

use super::Parser;
use crate::lexer::Kind;
use crate::write::{ColumnName, Write};

impl Parser<'_> {
    /// The definition that begins here, if it is one that is known.
    pub(super) fn define(&mut self) -> Result<Option<Write>> {
        if self.eat_words(&["CREATE", "SCHEMA"]) {
            return self.create_schema().map(Some);
        }
        if self.eat_words(&["DROP", "SCHEMA"]) {
            return self.drop_schema().map(Some);
        }
        if self.eat_words(&["CREATE", "TABLE"]) {
            return self.create_table().map(Some);
        }
        if self.eat_words(&["DROP", "TABLE"]) {
            let if_exists = self.eat_words(&["IF", "EXISTS"]);
            let definition = Definition::DropTable { if_exists };
            return Ok(Some(Write::Define { table: self.table_name()?, definition }));
        }
        if self.eat_words(&["CREATE", "OR", "REPLACE", "VIEW"]) {
            return self.create_view(true).map(Some);
        }
        if self.eat_words(&["CREATE", "VIEW"]) {
            return self.create_view(false).map(Some);
        }
        if self.eat_words(&["DROP", "VIEW"]) {
            let if_exists = self.eat_words(&["IF", "EXISTS"]);
            let definition = Definition::DropView { if_exists };
            return Ok(Some(Write::Define { table: self.table_name()?, definition }));
        }
        if self.eat_words(&["ALTER", "TABLE"]) {
            return self.alter_table().map(Some);
        }
        if self.eat_words(&["COMMENT", "ON"]) {
            return self.comment_on().map(Some);
        }
        Ok(None)
    }

    fn create_schema(&mut self) -> Result<Write> {
        let if_not_exists = self.eat_words(&["IF", "NOT", "EXISTS"]);
        let schema = self.schema_to_define()?;
        if self.is_word("AUTHORIZATION") {
            return Err(self.unsupported(&self.peek(), "CREATE SCHEMA … AUTHORIZATION"));
        }
        self.refuse_properties("schema")?;
        Ok(Write::DefineSchema { schema, definition: Definition::CreateSchema { if_not_exists } })
    }

    fn drop_schema(&mut self) -> Result<Write> {
        let if_exists = self.eat_words(&["IF", "EXISTS"]);
        let schema = self.schema_to_define()?;
        let cascade = self.eat_word("CASCADE");
        if !cascade {
            self.eat_word("RESTRICT");
        }
        Ok(Write::DefineSchema { schema, definition: Definition::DropSchema { if_exists, cascade } })
    }

    fn create_table(&mut self) -> Result<Write> {
        let if_not_exists = self.eat_words(&["IF", "NOT", "EXISTS"]);
        let table = self.table_name()?;
        // Names alone are those of a query's columns.
        let names_only =
            self.is_symbol("(") && self.is_name_at(1) && (self.is_symbol_at(2, ",") || self.is_symbol_at(2, ")"));
        if self.is_symbol("(") && !names_only {
            let columns = self.new_columns()?;
            let comment = self.optional_comment()?;
            self.refuse_properties("table")?;
            return Ok(Write::Define {
                table,
                definition: Definition::CreateTable { columns, comment, if_not_exists },
            });
        }
        let columns = if names_only { Some(self.column_names()?) } else { None };
        let comment = self.optional_comment()?;
        self.refuse_properties("table")?;
        self.expect_word("AS")?;
        let query = self.whole_query()?;
        let mut with_data = true;
        if self.eat_word("WITH") {
            with_data = !self.eat_word("NO");
            self.expect_word("DATA")?;
        }
        Ok(Write::CreateTableAs { table, if_not_exists, columns, comment, query, with_data })
    }

    fn new_columns(&mut self) -> Result<Vec<NewColumn>> {
        self.expect_symbol("(")?;
        let columns = self.list(|p| {
            for (word, what) in [("LIKE", "LIKE in CREATE TABLE"), ("CONSTRAINT", "a constraint in CREATE TABLE")] {
                if p.is_word(word) {
                    return Err(p.unsupported(&p.peek(), what));
                }
            }
            p.new_column()
        })?;
        self.expect_symbol(")")?;
        let mut seen = std::collections::HashSet::new();
        match columns.iter().find(|(name, _)| !seen.insert(name.name.clone())) {
            None => Ok(columns.into_iter().map(|(_, column)| column).collect()),
            Some((twice, _)) => Err(duplicate(twice)),
        }
    }

    /// `name type [NOT NULL] [COMMENT 'text']`.
    fn new_column(&mut self) -> Result<(ColumnName, NewColumn)> {
        let name = self.column_name()?;
        let sql_type = self.declared_type()?;
        let mut column = NewColumn { name: name.name.clone(), sql_type, nullable: true, comment: None };
        loop {
            let token = self.peek();
            if self.eat_words(&["NOT", "NULL"]) {
                column.nullable = false;
            } else if self.is_word("COMMENT") {
                column.comment = self.optional_comment()?;
            } else if self.is_word("DEFAULT") {
                return Err(self.unsupported(&token, "DEFAULT of a column"));
            } else if self.is_word("PRIMARY") || self.is_word("UNIQUE") || self.is_word("REFERENCES") {
                return Err(self
                    .unsupported(&token, "a constraint of a column")
                    .with_hint("CALL catalog.system.execute(query => 'ALTER TABLE …') adds one"));
            } else {
                self.refuse_properties("column")?;
                return Ok((name, column));
            }
        }
    }

    fn create_view(&mut self, replace: bool) -> Result<Write> {
        let view = self.table_name()?;
        let comment = self.optional_comment()?;
        if self.is_word("SECURITY") {
            return Err(self.unsupported(&self.peek(), "CREATE VIEW … SECURITY"));
        }
        self.expect_word("AS")?;
        let query = self.whole_query()?;
        Ok(Write::CreateView { view, replace, comment, query })
    }

    fn alter_table(&mut self) -> Result<Write> {
        let if_exists = self.eat_words(&["IF", "EXISTS"]);
        let table = self.table_name()?;
        let token = self.peek();
        let definition = if self.eat_words(&["RENAME", "TO"]) {
            let to = self.table_name()?;
            let same = |part: &Option<String>, own: &Option<String>| part.is_none() || part == own;
            if !same(&to.catalog, &table.catalog) {
                return Err(self.unsupported(&token, "renaming a table into another catalog"));
            }
            let schema = to.schema.filter(|schema| Some(schema) != table.schema.as_ref());
            Definition::RenameTable { schema, table: to.table, if_exists }
        } else if self.eat_words(&["RENAME", "COLUMN"]) {
            let if_column_exists = self.eat_words(&["IF", "EXISTS"]);
            let column = self.column_name()?.name;
            self.expect_word("TO")?;
            Definition::RenameColumn { column, to: self.column_name()?.name, if_column_exists, if_exists }
        } else if self.eat_words(&["ADD", "COLUMN"]) {
            let if_not_exists = self.eat_words(&["IF", "NOT", "EXISTS"]);
            let (_, column) = self.new_column()?;
            if self.is_word("FIRST") || self.is_word("LAST") || self.is_word("AFTER") {
                return Err(self.unsupported(&self.peek(), "the place of a new column"));
            }
            Definition::AddColumn { column, if_not_exists, if_exists }
        } else if self.eat_words(&["DROP", "COLUMN"]) {
            let if_column_exists = self.eat_words(&["IF", "EXISTS"]);
            Definition::DropColumn { column: self.column_name()?.name, if_column_exists, if_exists }
        } else {
            for (word, what) in [
                ("ALTER", "ALTER TABLE … ALTER COLUMN"),
                ("SET", "ALTER TABLE … SET"),
                ("EXECUTE", "ALTER TABLE … EXECUTE"),
            ] {
                if self.is_word(word) {
                    return Err(self.unsupported(&token, what));
                }
            }
            return Err(self.unexpected("'ADD COLUMN', 'DROP COLUMN', 'RENAME'"));
        };
        Ok(Write::Define { table, definition })
    }

    fn comment_on(&mut self) -> Result<Write> {
        if self.eat_word("COLUMN") {
            let token = self.peek();
            let mut parts: Vec<String> = self.qualified_name()?.into_iter().map(|(_, name)| name.value).collect();
            let (Some(column), Some(table)) = (parts.pop(), parts.pop()) else {
                return Err(self.syntax_error(&token, "a column is named table.column here"));
            };
            let (schema, catalog) = (parts.pop(), parts.pop());
            if !parts.is_empty() {
                return Err(self.syntax_error(&token, "too many parts in a column's name"));
            }
            let table = crate::statement::TableName { catalog, schema, table, position: Some(token.position()) };
            let comment = self.is_comment()?;
            return Ok(Write::Define { table, definition: Definition::CommentColumn { column, comment } });
        }
        let is_view = self.eat_word("VIEW");
        if !is_view && !self.eat_word("TABLE") {
            return Err(self.unexpected("'COLUMN', 'TABLE', 'VIEW'"));
        }
        let table = self.table_name()?;
        let comment = self.is_comment()?;
        let definition = if is_view { Definition::CommentView(comment) } else { Definition::CommentTable(comment) };
        Ok(Write::Define { table, definition })
    }

    /// `IS 'text'`, `IS NULL`.
    fn is_comment(&mut self) -> Result<Option<String>> {
        self.expect_word("IS")?;
        if self.eat_word("NULL") { Ok(None) } else { self.text_literal().map(Some) }
    }

    /// `[COMMENT 'text']`.
    fn optional_comment(&mut self) -> Result<Option<String>> {
        if self.eat_word("COMMENT") { self.text_literal().map(Some) } else { Ok(None) }
    }

    /// There are no properties: the first of `WITH (name = value, …)` is refused by its name.
    fn refuse_properties(&mut self, of: &str) -> Result<()> {
        if !self.is_word("WITH") || !self.is_symbol_at(1, "(") {
            return Ok(());
        }
        self.at += 2;
        let token = self.peek();
        if !self.is_name_at(0) && token.kind != Kind::Word {
            return Err(self.unexpected("<identifier>"));
        }
        let name = self.text_of(&token).trim_matches('"').to_lowercase();
        let code = match of {
            "schema" => "INVALID_SCHEMA_PROPERTY",
            "table" => "INVALID_TABLE_PROPERTY",
            _ => "INVALID_COLUMN_PROPERTY",
        };
        Err(Error::invalid_query(format!("{of} property {name:?} does not exist"))
            .with_position(token.position())
            .with_hint("leave the WITH (…) out")
            .with_code(code))
    }
}

fn duplicate(column: &ColumnName) -> Error {
    Error::invalid_query(format!("column {:?} is specified more than once", column.name))
        .with_position(column.position)
        .with_code("DUPLICATE_COLUMN_NAME")
}

//! SHOW.

use meesh_base::Result;

use super::Parser;
use crate::statement::Statement;

const SHOWN: &str = "'CATALOGS', 'COLUMNS', 'CREATE', 'FUNCTIONS', 'SCHEMAS', 'SESSION', 'STATS', 'TABLES'";

impl Parser<'_> {
    pub(super) fn show(&mut self) -> Result<Statement> {
        self.advance();
        let token = self.peek();
        match self.text_of(&token).to_ascii_uppercase().as_str() {
            "CATALOGS" => {
                self.advance();
                Ok(Statement::ShowCatalogs { like: self.like()? })
            }
            "SCHEMAS" => {
                self.advance();
                let catalog = if self.eat_from() { Some(self.name()?.1.value) } else { None };
                Ok(Statement::ShowSchemas { catalog, like: self.like()? })
            }
            "TABLES" => {
                self.advance();
                let schema = if self.eat_from() { Some(self.schema_name()?) } else { None };
                Ok(Statement::ShowTables { schema, like: self.like()? })
            }
            "COLUMNS" => {
                self.advance();
                if !self.eat_from() {
                    return Err(self.unexpected("'FROM', 'IN'"));
                }
                Ok(Statement::ShowColumns { table: self.table_name()?, like: self.like()? })
            }
            "CREATE" => {
                self.advance();
                if !self.eat_word("TABLE") {
                    return Err(self.unexpected("'FUNCTION', 'MATERIALIZED', 'SCHEMA', 'TABLE', 'VIEW'"));
                }
                Ok(Statement::ShowCreateTable { table: self.table_name()? })
            }
            "STATS" => {
                self.advance();
                self.expect_word("FOR")?;
                if self.is_symbol("(") {
                    return Err(self.unsupported(&token, "SHOW STATS FOR a query"));
                }
                Ok(Statement::ShowStats { table: self.table_name()? })
            }
            "SESSION" => {
                self.advance();
                Ok(Statement::ShowSession { like: self.like()? })
            }
            "FUNCTIONS" => {
                self.advance();
                if self.is_word("FROM") || self.is_word("IN") {
                    return Err(self.unsupported(&token, "SHOW FUNCTIONS FROM"));
                }
                Ok(Statement::ShowFunctions { like: self.like()? })
            }
            _ => Err(self.unexpected(SHOWN)),
        }
    }

    fn eat_from(&mut self) -> bool {
        self.eat_word("FROM") || self.eat_word("IN")
    }

    fn schema_name(&mut self) -> Result<(Option<String>, String)> {
        let (_, first) = self.name()?;
        if self.eat_symbol(".") {
            return Ok((Some(first.value), self.name()?.1.value));
        }
        Ok((None, first.value))
    }

    /// `[LIKE 'pattern' [ESCAPE 'c']]`, as a pattern whose escape is `\`.
    fn like(&mut self) -> Result<Option<String>> {
        if !self.eat_word("LIKE") {
            return Ok(None);
        }
        let token = self.peek();
        let pattern = self.text_literal()?;
        let escape = if self.eat_word("ESCAPE") { Some(self.escape_character()?) } else { None };
        self.backslashed(&token, &pattern, escape).map(Some)
    }
}

//! `TABLE(catalog.system.query(query => 'text'))`: a query in a source's own language.

use datafusion::sql::sqlparser::ast::Ident;
use meesh_base::{Error, Result};

use super::Parser;
use super::relation::{Relation, table_factor};
use crate::labels::OutputColumn;
use crate::statement::PassThrough;

impl Parser<'_> {
    pub(super) fn passed_query(&mut self) -> Result<Relation> {
        let token = self.peek();
        self.expect_word("TABLE")?;
        self.expect_symbol("(")?;
        let function = self.peek();
        let name: Vec<String> = self.qualified_name()?.into_iter().map(|(_, name)| name.value).collect();
        let catalog = match name.as_slice() {
            [catalog, schema, function] if schema == "system" && function == "query" => catalog.clone(),
            _ => {
                return Err(Error::not_found(format!("table function {:?} does not exist", name.join(".")))
                    .with_position(function.position())
                    .with_hint("there is catalog.system.query(query => 'text')")
                    .with_code("FUNCTION_NOT_FOUND"));
            }
        };
        self.expect_symbol("(")?;
        if self.is_word("QUERY") && self.is_symbol_at(1, "=>") {
            self.at += 2;
        }
        let text = self.text_literal()?;
        self.expect_symbol(")")?;
        self.expect_symbol(")")?;
        let table = format!("$QUERY{}", self.passed.len() + 1);
        self.passed.push(PassThrough { catalog, text, table: table.clone(), position: token.position() });
        self.block.relations += 1;
        let (alias, columns) = self.table_alias(vec![OutputColumn::Wildcard])?;
        let named = alias.is_some();
        let alias = match alias {
            Some(alias) => alias,
            None => self.unnamed_alias(),
        };
        let qualifier = vec![alias.name.clone()];
        let label = named.then(|| alias.name.value.clone());
        let factor = table_factor(vec![Ident::with_quote('"', table)], Some(alias));
        Ok(Self::leaf_relation(factor, qualifier, label, columns))
    }
}

//! Which kind of statement it is, and the kinds that only change or tell something.

use meesh_base::Result;

use super::Parser;
use crate::lexer::Kind;
use crate::statement::{ExplainFormat, ExplainKind, Literal, Statement, TableName};

const STATEMENTS: &str = "'ALTER', 'CALL', 'COMMENT', 'CREATE', 'DELETE', 'DESC', 'DESCRIBE', 'DROP', 'EXPLAIN', 'INSERT', 'KILL', 'MERGE', \
     'RESET', 'SET', 'SHOW', 'TRUNCATE', 'UPDATE', 'USE', 'WITH', <query>";

impl Parser<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        if let Some(statement) = self.write_statement()? {
            return Ok(statement);
        }
        if let Some(refusal) = self.refused_statement() {
            return Err(refusal);
        }
        if self.begins_query() {
            return self.query_statement();
        }
        let token = self.peek();
        if token.kind != Kind::Word {
            return Err(self.unexpected(STATEMENTS));
        }
        match self.text_of(&token).to_ascii_uppercase().as_str() {
            "EXPLAIN" => self.explain(),
            "SHOW" => self.show(),
            "DESCRIBE" | "DESC" => {
                self.advance();
                Ok(Statement::ShowColumns { table: self.table_name()?, like: None })
            }
            "USE" => self.use_schema(),
            "SET" => self.set(),
            "RESET" => {
                self.advance();
                self.expect_word("SESSION")?;
                Ok(Statement::ResetSession { name: self.property_name()? })
            }
            "KILL" => {
                self.advance();
                self.expect_word("QUERY")?;
                Ok(Statement::KillQuery { id: self.text_literal()? })
            }
            "CALL" => self.call_procedure(),
            _ => Err(self.unexpected(STATEMENTS)),
        }
    }

    fn explain(&mut self) -> Result<Statement> {
        self.advance();
        let (mut kind, mut format) = (ExplainKind::default(), ExplainFormat::default());
        let analyze = self.eat_word("ANALYZE");
        let verbose = self.eat_word("VERBOSE");
        if !analyze && self.is_symbol("(") && (self.is_word_at(1, "TYPE") || self.is_word_at(1, "FORMAT")) {
            self.advance();
            self.list(|p| p.explain_option(&mut kind, &mut format))?;
            self.expect_symbol(")")?;
        }
        let statement = Box::new(self.nested(Self::statement)?);
        Ok(Statement::Explain { analyze, verbose, kind, format, statement })
    }

    fn explain_option(&mut self, kind: &mut ExplainKind, format: &mut ExplainFormat) -> Result<()> {
        const TYPES: &[(&str, ExplainKind)] = &[
            ("DISTRIBUTED", ExplainKind::Distributed),
            ("LOGICAL", ExplainKind::Logical),
            ("VALIDATE", ExplainKind::Validate),
            ("IO", ExplainKind::Io),
        ];
        const FORMATS: &[(&str, ExplainFormat)] =
            &[("TEXT", ExplainFormat::Text), ("JSON", ExplainFormat::Json), ("GRAPHVIZ", ExplainFormat::Graphviz)];
        if self.eat_word("TYPE") {
            *kind = self.one_of(TYPES)?;
        } else if self.eat_word("FORMAT") {
            *format = self.one_of(FORMATS)?;
        } else {
            return Err(self.unexpected("'FORMAT', 'TYPE'"));
        }
        Ok(())
    }

    fn one_of<T: Copy>(&mut self, rows: &[(&str, T)]) -> Result<T> {
        match rows.iter().find(|(word, _)| self.is_word(word)) {
            Some((_, value)) => {
                self.advance();
                Ok(*value)
            }
            None => {
                let words: Vec<String> = rows.iter().map(|(word, _)| format!("'{word}'")).collect();
                Err(self.unexpected(&words.join(", ")))
            }
        }
    }

    fn use_schema(&mut self) -> Result<Statement> {
        self.advance();
        let (_, first) = self.name()?;
        if self.eat_symbol(".") {
            let (_, schema) = self.name()?;
            return Ok(Statement::Use { catalog: Some(first.value), schema: schema.value });
        }
        Ok(Statement::Use { catalog: None, schema: first.value })
    }

    fn set(&mut self) -> Result<Statement> {
        self.advance();
        if self.eat_words(&["TIME", "ZONE"]) {
            if self.eat_word("LOCAL") {
                return Ok(Statement::SetTimeZone { zone: None });
            }
            if !matches!(self.peek().kind, Kind::Text | Kind::Unicode) {
                return Err(self.unexpected("'LOCAL', <string>"));
            }
            return Ok(Statement::SetTimeZone { zone: Some(self.text_literal()?) });
        }
        if !self.eat_word("SESSION") {
            return Err(self.unexpected("'SESSION', 'TIME'"));
        }
        let name = self.property_name()?;
        self.expect_symbol("=")?;
        Ok(Statement::SetSession { name, value: self.literal()? })
    }

    fn property_name(&mut self) -> Result<String> {
        let parts = self.qualified_name()?;
        Ok(parts.into_iter().map(|(_, name)| name.value).collect::<Vec<_>>().join("."))
    }

    fn call_procedure(&mut self) -> Result<Statement> {
        self.advance();
        let procedure = self.procedure_name()?;
        self.expect_symbol("(")?;
        let arguments = if self.is_symbol(")") { Vec::new() } else { self.list(Self::argument)? };
        self.expect_symbol(")")?;
        Ok(Statement::Call { procedure, arguments })
    }

    /// A name whose later parts may be any words: `execute` is a reserved one.
    fn procedure_name(&mut self) -> Result<Vec<String>> {
        let mut parts = vec![self.name()?.1.value];
        while self.eat_symbol(".") {
            let token = self.peek();
            parts.push(match token.kind {
                Kind::Word => self.advance_name(&token)?,
                _ => self.name()?.1.value,
            });
        }
        Ok(parts)
    }

    fn advance_name(&mut self, token: &crate::lexer::Token) -> Result<String> {
        self.advance();
        Ok(self.name_of(token)?.1.value)
    }

    fn argument(&mut self) -> Result<(Option<String>, Literal)> {
        let named = self.is_name_at(0) && self.is_symbol_at(1, "=>");
        let name = if named {
            let (_, name) = self.name()?;
            self.advance();
            Some(name.value)
        } else {
            None
        };
        Ok((name, self.literal()?))
    }

    /// A constant: the only value that statements outside of queries take.
    fn literal(&mut self) -> Result<Literal> {
        for (word, value) in
            [("NULL", Literal::Null), ("TRUE", Literal::Boolean(true)), ("FALSE", Literal::Boolean(false))]
        {
            if self.eat_word(word) {
                return Ok(value);
            }
        }
        if matches!(self.peek().kind, Kind::Text | Kind::Unicode) {
            return Ok(Literal::String(self.text_literal()?));
        }
        let sign = if self.eat_symbol("-") { "-" } else { "" };
        if matches!(self.peek().kind, Kind::Integer | Kind::Decimal | Kind::Double) {
            let token = self.advance();
            return Ok(Literal::Number(format!("{sign}{}", self.text_of(&token).replace('_', ""))));
        }
        Err(self.unexpected("<literal>"))
    }

    /// `[[catalog.]schema.]table`.
    pub(super) fn table_name(&mut self) -> Result<TableName> {
        let token = self.peek();
        let mut parts: Vec<String> = self.qualified_name()?.into_iter().map(|(_, name)| name.value).collect();
        if parts.len() > 3 {
            let message = format!("too many parts in table name {:?}: at most catalog.schema.table", parts.join("."));
            return Err(self.syntax_error(&token, &message));
        }
        let table = parts.pop().unwrap_or_default();
        let schema = parts.pop();
        Ok(TableName { catalog: parts.pop(), schema, table, position: Some(token.position()) })
    }
}

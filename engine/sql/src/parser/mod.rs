//! A recursive-descent parser for Trino's SQL, written over sqlparser's tree.
//!
//! Why not sqlparser's own parser: it tries one reading after another and goes back, which takes
//! exponential time on nested input (`((SELECT … FROM ((SELECT …`), it reads words that it does not
//! know as names (`SHOW SESSION`, `1_000`, `TABLESAMPLE`), and nothing stops its recursion in types.
//! Here every construct is either read with its one meaning or refused by name, the caps of
//! [`crate::limits`] are counted on the way, and names, labels and CTE scopes are settled in the
//! same pass. The grammar is Trino 476's (`SqlBase.g4`), with PostgreSQL's spellings where they
//! cannot be confused: `::`, `ILIKE`, `INTERVAL '30 days'`, `LIMIT` before `OFFSET`, `$1`.

mod data_type;
mod declared_type;
mod define;
mod expression;
mod function;
mod interval;
mod literal;
mod merge;
mod passed;
mod primary;
mod query;
mod refused;
mod relation;
mod rewrite;
mod scope;
mod select;
mod show;
mod special;
mod statement;
mod using;
mod write;

use std::collections::HashMap;

pub(crate) use data_type::{own_cast, own_stored};
use datafusion::sql::sqlparser::ast::Ident;
use meesh_base::{Error, Result};
pub(crate) use query::{no_rows, plain_query};

use crate::keywords::is_reserved;
use crate::labels::OutputColumn;
use crate::lexer::{Kind, Token, tokenize, unquote};
use crate::limits::{Block, Limits, too_complex};
use crate::statement::{PassThrough, Statement, TableName};

/// Reads exactly one statement.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Statement> {
    let tokens = tokenize(text, limits)?;
    if let [Token { kind: Kind::End, .. }] = tokens.as_slice() {
        return Err(Error::invalid_query("statement is empty").with_code("SYNTAX_ERROR"));
    }
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        limits,
        depth: 0,
        height: 0,
        nodes: 0,
        block: Block::default(),
        scopes: scope::Scopes::default(),
        tables: Vec::new(),
        passed: Vec::new(),
        invented: HashMap::new(),
        parameters: Parameters::None,
        names_hidden: false,
    };
    let statement = parser.statement()?;
    parser.eat_symbol(";");
    if parser.peek().kind != Kind::End {
        if parser.token_at(parser.at.saturating_sub(1)).is_some_and(|last| parser.text_of(&last) == ";") {
            let error = Error::invalid_query("only one statement at a time").with_code("SYNTAX_ERROR");
            return Err(error.with_position(parser.peek().position()));
        }
        return Err(parser.unexpected("<EOF>"));
    }
    Ok(statement)
}

/// How the statement writes its parameters: `?`, or `$n`; never both.
enum Parameters {
    None,
    InOrder(usize),
    Numbered(usize),
}

pub(crate) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    limits: &'a Limits,
    /// Constructs that are open around the current token.
    depth: usize,
    /// Of the expression that was read last: its longest way from root to leaf.
    height: usize,
    /// Nodes of all expressions so far.
    nodes: u64,
    /// What the query block that is being read holds.
    block: Block,
    scopes: scope::Scopes,
    tables: Vec<TableName>,
    passed: Vec<PassThrough>,
    /// Column names that were given for the plan's sake, and how many.
    invented: HashMap<String, OutputColumn>,
    parameters: Parameters,
    names_hidden: bool,
}

impl<'a> Parser<'a> {
    fn token_at(&self, at: usize) -> Option<Token> {
        self.tokens.get(at).copied()
    }

    fn peek(&self) -> Token {
        self.peek_at(0)
    }

    /// The token `ahead` of the current one; the last token is the end.
    fn peek_at(&self, ahead: usize) -> Token {
        let end = Token { kind: Kind::End, start: self.text.len(), end: self.text.len(), line: 1, column: 1 };
        self.token_at(self.at + ahead).or(self.tokens.last().copied()).unwrap_or(end)
    }

    fn advance(&mut self) -> Token {
        let token = self.peek();
        if token.kind != Kind::End {
            self.at += 1;
        }
        token
    }

    fn text_of(&self, token: &Token) -> &'a str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == Kind::Word && self.text_of(&token).eq_ignore_ascii_case(word)
    }

    fn is_word(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    /// Whether these words come next, one after another.
    fn are_words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word))
    }

    fn is_symbol_at(&self, ahead: usize, symbol: &str) -> bool {
        let token = self.peek_at(ahead);
        token.kind == Kind::Symbol && self.text_of(&token) == symbol
    }

    fn is_symbol(&self, symbol: &str) -> bool {
        self.is_symbol_at(0, symbol)
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.eat_words(&[word])
    }

    fn eat_words(&mut self, words: &[&str]) -> bool {
        let found = self.are_words(words);
        if found {
            self.at += words.len();
        }
        found
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect_word(&mut self, word: &str) -> Result<Token> {
        if self.is_word(word) { Ok(self.advance()) } else { Err(self.unexpected(&format!("'{word}'"))) }
    }

    fn expect_words(&mut self, words: &[&str]) -> Result<()> {
        words.iter().try_for_each(|word| self.expect_word(word).map(drop))
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<Token> {
        if self.is_symbol(symbol) { Ok(self.advance()) } else { Err(self.unexpected(&format!("'{symbol}'"))) }
    }

    /// The error of a token that does not belong here, as Trino words it.
    fn unexpected(&self, expecting: &str) -> Error {
        let token = self.peek();
        let text = if token.kind == Kind::End { "<EOF>" } else { self.text_of(&token) };
        self.syntax_error(&token, &format!("mismatched input '{text}'. Expecting: {expecting}"))
    }

    fn syntax_error(&self, token: &Token, message: &str) -> Error {
        Error::invalid_query(message).with_position(token.position()).with_code("SYNTAX_ERROR")
    }

    /// The refusal of something that Trino knows and meesh does not do.
    fn unsupported(&self, token: &Token, what: &str) -> Error {
        Error::unsupported(format!("{what} is not supported yet"))
            .with_position(token.position())
            .with_code("NOT_SUPPORTED")
    }

    /// Whether the token at `ahead` can be a name.
    fn is_name_at(&self, ahead: usize) -> bool {
        let token = self.peek_at(ahead);
        match token.kind {
            Kind::QuotedWord => true,
            Kind::Word => !is_reserved(self.text_of(&token)),
            _ => false,
        }
    }

    /// A name as it was written, and as an identifier in lower case.
    fn name(&mut self) -> Result<(String, Ident)> {
        if !self.is_name_at(0) {
            return Err(self.unexpected("<identifier>"));
        }
        let token = self.advance();
        self.name_of(&token)
    }

    fn name_of(&mut self, token: &Token) -> Result<(String, Ident)> {
        let text = self.text_of(token);
        let quoted = token.kind == Kind::QuotedWord;
        let written = if quoted { unquote(text, '"') } else { text.to_owned() };
        if written.is_empty() {
            return Err(self.syntax_error(token, "zero-length delimited identifier not allowed"));
        }
        self.names_hidden |= written.starts_with('$');
        let quote_style = quoted.then_some('"');
        Ok((written.clone(), Ident { value: written.to_lowercase(), quote_style, span: token.span() }))
    }

    /// Names with periods between them.
    fn qualified_name(&mut self) -> Result<Vec<(String, Ident)>> {
        let mut parts = vec![self.name()?];
        while self.eat_symbol(".") {
            parts.push(self.name()?);
        }
        Ok(parts)
    }

    /// A text literal, unquoted.
    fn text_literal(&mut self) -> Result<String> {
        match self.peek().kind {
            Kind::Text | Kind::Unicode => self.string_value(),
            _ => Err(self.unexpected("<string>")),
        }
    }

    /// Reads one construct that may hold others, and refuses too many inside one another.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= self.limits.nesting {
            let error = too_complex("constructs nested inside one another", self.limits.nesting);
            return Err(error.with_position(self.peek().position()));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// One or more, with commas between them.
    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![read(self)?];
        while self.eat_symbol(",") {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// A column name that no one else has, standing for `column`.
    fn invent(&mut self, stem: &str, column: OutputColumn) -> Ident {
        let name = format!("{stem}${}", self.invented.len() + 1);
        self.invented.insert(name.clone(), column);
        Ident::with_quote('"', name)
    }
}

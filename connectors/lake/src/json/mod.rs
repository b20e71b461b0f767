//! JSON: one object a line, objects one after the other, or an array of them.
//!
//! A reader of our own: it looks only at the wanted fields, keeps numbers exact, and knows the line
//! of what it cannot read. Values of one field that are of no common type are read as their JSON text.

mod decode;
mod infer;
mod lex;
mod split;
mod values;

pub(crate) use decode::JsonDecoder;
pub(crate) use infer::{FIELDS_MAX, infer};
pub(crate) use split::{JsonLayout, JsonSplitter, line_of_fault};

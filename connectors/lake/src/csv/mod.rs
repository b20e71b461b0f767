//! CSV, read as RFC 4180 says: fields between delimiters, quoted fields may hold delimiters, line
//! breaks and doubled quotes. A quote counts only at the start of a field; elsewhere it is text.
//!
//! ```text
//! bytes --split--> whole records --tokenize--> spans of the wanted fields --decode--> Arrow arrays
//! ```
//!
//! `split` finds the ends of records with the same rules that `tokenize` reads them by, so records
//! are read in parallel and none is ever cut, wherever quoted line breaks stand.

mod decode;
mod infer;
mod records;
mod split;
mod tokenize;

pub(crate) use decode::CsvDecoder;
pub(crate) use infer::{CsvFacts, CsvHints, check_width, column_names, infer};
pub(crate) use records::first_record;
pub(crate) use split::CsvSplitter;
pub(crate) use tokenize::RecordLayout;

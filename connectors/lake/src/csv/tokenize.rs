//! Where the fields of records are.
//!
//! Delimiters, line breaks and quotes are found 64 bytes at a time as the bits of one word, so a
//! field costs a few instructions however short it is.

use memchr::memchr;

/// Width of one step, and of one mask.
const STEP: usize = 64;
/// A field that nobody wants.
pub(crate) const SKIP: u16 = u16::MAX;

const QUOTED: u32 = 1 << 31;
const ESCAPED: u32 = 1 << 30;
const OFFSET: u32 = ESCAPED - 1;
/// Texts must be shorter, so that offsets leave room for the flags.
pub(crate) const TEXT_BYTES_MAX: usize = OFFSET as usize;

/// The place of one field in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    /// With the flags.
    end: u32,
}

impl Span {
    #[inline]
    fn new(start: usize, end: usize, flags: u32) -> Self {
        // Texts are shorter than `TEXT_BYTES_MAX`.
        Self { start: start as u32, end: end as u32 | flags }
    }

    #[inline]
    pub(crate) fn start(self) -> usize {
        self.start as usize
    }

    #[inline]
    pub(crate) fn end(self) -> usize {
        (self.end & OFFSET) as usize
    }

    /// Whether the field stood in quotes; the span is what is between them.
    #[inline]
    pub(crate) fn is_quoted(self) -> bool {
        self.end & QUOTED != 0
    }

    /// Whether the field holds doubled quotes, each of which means one.
    #[inline]
    pub(crate) fn is_escaped(self) -> bool {
        self.end & ESCAPED != 0
    }

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.start == self.end & OFFSET
    }
}

/// How the records of one file are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordLayout {
    pub(crate) delimiter: u8,
    /// For each field of a record the column that it fills, or [`SKIP`].
    pub(crate) slots: Vec<u16>,
}

/// What is wrong with a record, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordFault {
    /// Offset in the text.
    pub(crate) at: usize,
    pub(crate) kind: RecordFaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordFaultKind {
    /// The record has this many fields.
    Fields(usize),
    /// The record has more fields than expected.
    MoreFields,
    /// Text follows a closing quote.
    TextAfterQuote,
    /// A quoted field does not end.
    OpenQuote,
}

/// Finds the fields of at most `rows_max` records and pushes their spans to `columns`, one vector a
/// column. `text` starts at a record and ends with a line break. Returns rows found and bytes used.
pub(crate) fn tokenize(
    text: &[u8],
    layout: &RecordLayout,
    rows_max: usize,
    columns: &mut [Vec<Span>],
) -> Result<(usize, usize), RecordFault> {
    let RecordLayout { delimiter, slots } = layout;
    let delimiter = *delimiter;
    let mut rows = 0;
    let mut field = 0;
    let mut field_start = 0;
    // The span of a quoted field whose end was found, until its delimiter is.
    let mut quoted: Option<Span> = None;
    let mut at = 0;
    while at < text.len() {
        let mut mask = structural_mask(text, at, delimiter);
        let mut next = at + STEP;
        while mask != 0 {
            let place = at + mask.trailing_zeros() as usize;
            mask &= mask.wrapping_sub(1);
            let byte = text[place];
            if byte == delimiter {
                let span = match quoted.take() {
                    None => Span::new(field_start, place, 0),
                    Some(span) if span.end() + 1 == place => span,
                    Some(_) => return Err(RecordFault { at: place, kind: RecordFaultKind::TextAfterQuote }),
                };
                match slots.get(field) {
                    Some(&SKIP) => {}
                    Some(&slot) => columns[usize::from(slot)].push(span),
                    None => return Err(RecordFault { at: place, kind: RecordFaultKind::MoreFields }),
                }
                field += 1;
                field_start = place + 1;
            } else if byte == b'\n' {
                let end = if place > field_start && text[place - 1] == b'\r' { place - 1 } else { place };
                let span = match quoted.take() {
                    None => Span::new(field_start, end, 0),
                    Some(span) if span.end() + 1 == end => span,
                    Some(_) => return Err(RecordFault { at: place, kind: RecordFaultKind::TextAfterQuote }),
                };
                field_start = place + 1;
                if field + 1 == slots.len() {
                    let slot = slots[field];
                    if slot != SKIP {
                        columns[usize::from(slot)].push(span);
                    }
                } else if field == 0 && span.is_empty() && !span.is_quoted() {
                    // A blank line is no record.
                    continue;
                } else if field >= slots.len() {
                    return Err(RecordFault { at: place, kind: RecordFaultKind::MoreFields });
                } else {
                    return Err(RecordFault { at: place, kind: RecordFaultKind::Fields(field + 1) });
                }
                field = 0;
                rows += 1;
                if rows == rows_max {
                    return Ok((rows, field_start));
                }
            } else if place == field_start {
                let Some((close, escaped)) = closing_quote(text, place + 1) else {
                    return Err(RecordFault { at: place, kind: RecordFaultKind::OpenQuote });
                };
                quoted = Some(Span::new(place + 1, close, QUOTED | if escaped { ESCAPED } else { 0 }));
                let after = close + 1 - at;
                if after < STEP {
                    mask &= u64::MAX << after;
                } else {
                    next = close + 1;
                    break;
                }
            }
        }
        at = next;
    }
    Ok((rows, field_start))
}

/// The quote that ends a field whose text starts at `from`, and whether doubled quotes come before.
#[inline]
fn closing_quote(text: &[u8], from: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut escaped = false;
    loop {
        let quote = at + memchr(b'"', &text[at..])?;
        if text.get(quote + 1) != Some(&b'"') {
            return Some((quote, escaped));
        }
        escaped = true;
        at = quote + 2;
    }
}

/// A bit for each of the 64 bytes from `at` that is a delimiter, a line break or a quote.
#[inline]
fn structural_mask(text: &[u8], at: usize, delimiter: u8) -> u64 {
    match text[at..].first_chunk::<STEP>() {
        Some(step) => mask_of(step, delimiter),
        None => {
            let mut step = [0; STEP];
            step[..text.len() - at].copy_from_slice(&text[at..]);
            mask_of(&step, delimiter)
        }
    }
}

/// Compares 64 bytes at once (the compiler makes vector instructions of the loop), then gathers the
/// lowest bit of each byte: the factor moves the bit of byte `i` of a word to bit `56 + i`.
#[inline]
fn mask_of(step: &[u8; STEP], delimiter: u8) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut hits = [0u8; STEP];
    for (hit, byte) in hits.iter_mut().zip(step) {
        *hit = u8::from(*byte == delimiter) | u8::from(*byte == b'\n') | u8::from(*byte == b'"');
    }
    let (words, _) = hits.as_chunks::<8>();
    let mut mask = 0;
    for (number, word) in words.iter().enumerate() {
        mask |= (u64::from_le_bytes(*word).wrapping_mul(GATHER) >> 56) << (8 * number);
    }
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(slots: &[u16]) -> RecordLayout {
        RecordLayout { delimiter: b',', slots: slots.to_vec() }
    }

    /// Fields as `text`, `'quoted'` or `!escaped!`; rows apart by `/`.
    fn fields(text: &str, slots: &[u16], columns: usize) -> Result<String, RecordFaultKind> {
        let mut spans = vec![Vec::new(); columns];
        let (rows, used) = tokenize(text.as_bytes(), &layout(slots), usize::MAX, &mut spans).map_err(|f| f.kind)?;
        assert_eq!(used, text.len());
        let show = |span: Span| {
            let content = &text[span.start()..span.end()];
            match (span.is_quoted(), span.is_escaped()) {
                (true, true) => format!("!{content}!"),
                (true, false) => format!("'{content}'"),
                _ => content.to_owned(),
            }
        };
        let row = |row: usize| spans.iter().map(|column| show(column[row])).collect::<Vec<_>>().join(",");
        Ok((0..rows).map(row).collect::<Vec<_>>().join("/"))
    }

    #[test]
    fn a_mask_has_a_bit_for_each_structural_byte() {
        for place in 0..STEP {
            for byte in [b',', b'\n', b'"'] {
                let mut step = [b'x'; STEP];
                step[place] = byte;
                assert_eq!(mask_of(&step, b','), 1 << place);
            }
        }
        assert_eq!(mask_of(&[b'"'; STEP], b','), u64::MAX);
        assert_eq!(mask_of(&[b';'; STEP], b','), 0);
    }

    #[test]
    fn quotes_line_breaks_and_blank_lines() {
        let cases = [
            ("1,2\n3,4\n", "1,2/3,4"),
            ("1,2\r\n\r\n3,4\r\n", "1,2/3,4"),
            ("\"a,b\",\"c\nd\"\n", "'a,b','c\nd'"),
            ("\"a\"\"b\",\"\"\n", "!a\"\"b!,''"),
            ("5\" pipe,a\"b\"\n", "5\" pipe,a\"b\""),
            (",\n", ","),
            ("\"x\"\r\n,y\n", "'x'"),
        ];
        for (text, expected) in &cases[..6] {
            assert_eq!(fields(text, &[0, 1], 2).as_deref(), Ok(*expected), "{text:?}");
        }
        assert_eq!(fields("a,b,c\nd,e,f\n", &[1, SKIP, 0], 2).as_deref(), Ok("c,a/f,d"));
        assert_eq!(fields("\"x\"\r\n\"\"\n", &[0], 1).as_deref(), Ok("'x'/''"));
        assert_eq!(fields("1\n\n2\n", &[0], 1).as_deref(), Ok("1//2"));
    }

    #[test]
    fn broken_records_are_told_apart() {
        assert_eq!(fields("1\n", &[0, 1], 2), Err(RecordFaultKind::Fields(1)));
        assert_eq!(fields("1,2,3\n", &[0, 1], 2), Err(RecordFaultKind::MoreFields));
        assert_eq!(fields("1,2,3,4\n", &[0, 1], 2), Err(RecordFaultKind::MoreFields));
        assert_eq!(fields("\"a\"b,2\n", &[0, 1], 2), Err(RecordFaultKind::TextAfterQuote));
        assert_eq!(fields("1,\"a\n", &[0, 1], 2), Err(RecordFaultKind::OpenQuote));
    }

    #[test]
    fn long_fields_cross_steps_and_rows_stop_where_told() {
        let long = "x".repeat(200);
        let text = format!("{long},\"{long},{long}\"\n{long},\"{long}\"\n");
        assert_eq!(fields(&text, &[0, 1], 2).unwrap(), format!("{long},'{long},{long}'/{long},'{long}'"));
        let mut spans = vec![Vec::new(); 2];
        let (rows, used) = tokenize(text.as_bytes(), &layout(&[0, 1]), 1, &mut spans).unwrap();
        assert_eq!((rows, used), (1, 200 + 1 + 403 + 1));
    }
}

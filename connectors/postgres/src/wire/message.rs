//! Reads the fields of message bodies, with every length checked.

/// A cursor over one message's body. Every read yields `None` past the end.
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        Self(body)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.bytes(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    /// A text that ends with a zero byte.
    pub(super) fn text(&mut self) -> Option<String> {
        let end = memchr::memchr(0, self.0)?;
        let text = String::from_utf8_lossy(self.bytes(end)?).into_owned();
        self.u8()?;
        Some(text)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// A column of a query's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedColumn {
    /// Its name.
    pub(crate) name: String,
    /// The oid of its type.
    pub(crate) type_oid: u32,
    /// The modifier of its type, -1 without one.
    pub(crate) modifier: i32,
}

/// The columns of a RowDescription.
pub(super) fn row_description(body: &[u8]) -> Option<Vec<DescribedColumn>> {
    let mut fields = Fields::new(body);
    let count = fields.u16()?;
    (0..count)
        .map(|_| {
            let name = fields.text()?;
            fields.bytes(6)?; // the column's table and number
            let type_oid = fields.u32()?;
            fields.bytes(2)?; // the type's size
            let modifier = fields.i32()?;
            fields.bytes(2)?; // the format
            Some(DescribedColumn { name, type_oid, modifier })
        })
        .collect()
}

/// The values of one row in the server's text form.
pub(crate) type TextRow = Vec<Option<String>>;

/// The values of a DataRow in text format.
pub(super) fn text_row(body: &[u8]) -> Option<TextRow> {
    let mut fields = Fields::new(body);
    let count = fields.u16()?;
    (0..count)
        .map(|_| match fields.i32()? {
            -1 => Some(None),
            length => {
                let bytes = fields.bytes(usize::try_from(length).ok()?)?;
                Some(Some(String::from_utf8_lossy(bytes).into_owned()))
            }
        })
        .collect()
}

/// `server_version` as a number: `15.18 (Debian)` is 150018, `9.6.3` is 90603.
pub(super) fn version_number(text: &str) -> u32 {
    let digits = text.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    let mut parts = digits.split('.').map(|part| part.parse::<u32>().unwrap_or(0).min(9999));
    let (major, second, third) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if major >= 10 { major * 10_000 + second } else { major * 10_000 + second * 100 + third }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, number) in [
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("9.6.3", 90_603),
            ("18beta1", 180_000),
            ("", 0),
            ("nonsense", 0),
            ("4294967295.4294967295.1", 99_999_999),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }

    #[test]
    fn bodies_that_lie_about_lengths_yield_nothing() {
        assert_eq!(row_description(&[0, 1, b'a']), None);
        assert_eq!(row_description(&[0xff, 0xff]), None);
        assert_eq!(text_row(&[0, 1, 0x7f, 0xff, 0xff, 0xff, 1]), None);
        assert_eq!(text_row(&[0, 1, 0xff, 0xff, 0xff, 0xfe]), None);
        assert_eq!(text_row(&[0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1, b'x']), Some(vec![None, Some("x".into())]));
    }
}

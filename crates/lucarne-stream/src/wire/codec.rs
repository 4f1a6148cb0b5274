//! Little-endian fields in and out of a message, each read once and checked.

use std::fmt;

use super::MAX_MESSAGE;

/// A message that breaks the protocol: which field, what it held, and what would have been accepted.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {got}, but must be {limit}")]
pub struct Malformed {
    /// The field, as docs/protocol.md calls it.
    pub field: &'static str,
    /// What was there.
    pub got: String,
    /// What would have been accepted.
    pub limit: String,
}

/// As `Display`: what a `main` that returns it prints.
impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Malformed {
    pub(crate) fn new(
        field: &'static str,
        got: impl fmt::Display,
        limit: impl fmt::Display,
    ) -> Self {
        Self {
            field,
            got: got.to_string(),
            limit: limit.to_string(),
        }
    }
}

pub(super) type Result<T> = std::result::Result<T, Malformed>;

/// Builds one message.
#[derive(Debug)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// The header, whose length is filled in at the end.
    pub(super) fn new(kind: u32, descriptors: u32) -> Self {
        let mut writer = Self { bytes: Vec::new() };
        writer.u32(kind);
        writer.u32(0);
        writer.u32(descriptors);
        writer.u32(0);
        writer
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes.extend(value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.bytes.extend(value);
    }

    /// A number, a length, the text, and zeros up to a multiple of eight bytes. What is too long is cut and ends in "…";
    /// what a terminal takes for a command becomes a space: a text is for people, and losing its end is better than losing the message.
    pub(super) fn text(&mut self, code: u32, text: &str, max: usize) {
        let text = presentable(text, max);
        // At most `max`, which is far below 4 GiB.
        self.u32(code);
        self.u32(u32::try_from(text.len()).unwrap_or(0));
        self.bytes(text.as_bytes());
        let padding = text.len().next_multiple_of(8) - text.len();
        self.bytes(&[0; 8][..padding]);
    }

    pub(super) fn count(&mut self, field: &'static str, count: usize, max: usize) -> Result<()> {
        check_count(field, count, 0, max)?;
        self.u32(u32::try_from(count).unwrap_or(u32::MAX));
        Ok(())
    }

    /// The whole message.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        let length = self.bytes.len();
        if length > MAX_MESSAGE {
            return Err(Malformed::new(
                "length",
                length,
                format!("at most {MAX_MESSAGE} bytes"),
            ));
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.bytes[4..8].copy_from_slice(&length.to_le_bytes());
        Ok(self.bytes)
    }
}

/// Whether a character does something to the text around it, on a terminal or in a list, instead of being seen: control
/// characters, marks of writing direction (which make a name look like another), and separators of lines.
fn is_command(c: char) -> bool {
    let directs = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || directs || matches!(c, '\u{2028}' | '\u{2029}')
}

/// `text` without [commands](is_command), and at most `max` bytes of it.
pub(super) fn presentable(text: &str, max: usize) -> String {
    let clean = text.chars().map(|c| if is_command(c) { ' ' } else { c });
    let mut result: String = clean.collect();
    if result.len() > max {
        let mut end = max.saturating_sub('…'.len_utf8());
        while !result.is_char_boundary(end) {
            end -= 1;
        }
        result.truncate(end);
        result.push('…');
    }
    result
}

pub(super) fn check_count(field: &'static str, count: usize, min: usize, max: usize) -> Result<()> {
    if count < min || count > max {
        return Err(Malformed::new(field, count, format!("{min} to {max}")));
    }
    Ok(())
}

/// Takes one message apart. Every call consumes what it returns.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// What the header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: u32,
    pub(super) descriptors: u32,
}

impl<'a> Reader<'a> {
    /// Reads and checks the header.
    pub(super) fn new(message: &'a [u8]) -> Result<(Self, Header)> {
        let mut reader = Self { rest: message };
        let kind = reader.u32("kind")?;
        let length = reader.u32("length")?;
        let descriptors = reader.u32("descriptors")?;
        reader.zero32("header.reserved")?;
        if message.len() > MAX_MESSAGE || u64::from(length) != message.len() as u64 {
            return Err(Malformed::new(
                "length",
                length,
                format!(
                    "the {} bytes of the message, at most {MAX_MESSAGE}",
                    message.len()
                ),
            ));
        }
        Ok((reader, Header { kind, descriptors }))
    }

    /// Whether nothing is left.
    pub(super) fn end(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let left = format!("{} bytes", self.rest.len());
        Err(Malformed::new(
            "what follows the last field",
            left,
            "nothing",
        ))
    }

    pub(super) fn take(&mut self, field: &'static str, bytes: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.rest.split_at_checked(bytes) else {
            let got = format!("cut off after {} bytes", self.rest.len());
            return Err(Malformed::new(field, got, format!("{bytes} bytes long")));
        };
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let bytes = self.take(field, N)?;
        let mut array = [0; N];
        array.copy_from_slice(bytes);
        Ok(array)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8> {
        self.array(field).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.array(field).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.array(field).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A field that no version up to now uses: what is meant by another value is unknown here.
    pub(super) fn zero32(&mut self, field: &'static str) -> Result<()> {
        match self.u32(field)? {
            0 => Ok(()),
            other => Err(Malformed::new(field, other, "0: it is reserved")),
        }
    }

    /// Flags, of which `known` have a meaning.
    pub(super) fn flags(&mut self, field: &'static str, known: u32) -> Result<u32> {
        let flags = self.u32(field)?;
        if flags & !known != 0 {
            return Err(Malformed::new(
                field,
                format!("{flags:#x}"),
                format!("bits of {known:#x}"),
            ));
        }
        Ok(flags)
    }

    /// A count from `min` to `max`.
    pub(super) fn count(&mut self, field: &'static str, min: usize, max: usize) -> Result<usize> {
        let count = self.u32(field)?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        check_count(field, count, min, max)?;
        Ok(count)
    }

    /// What [`Writer::text`] writes. [Commands](is_command) are refused: the text will be shown on a terminal.
    pub(super) fn text(&mut self, field: &'static str, max: usize) -> Result<(u32, String)> {
        let code = self.u32(field)?;
        let length = usize::try_from(self.u32(field)?).unwrap_or(usize::MAX);
        if length > max {
            let got = format!("a text of {length} bytes");
            return Err(Malformed::new(
                field,
                got,
                format!("at most {max} bytes long"),
            ));
        }
        let bytes = self.take(field, length)?;
        let padding = length.next_multiple_of(8) - length;
        if self.take(field, padding)?.iter().any(|byte| *byte != 0) {
            return Err(Malformed::new(field, "padded", "padded with zeros"));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(is_command) => Ok((code, text.to_owned())),
            Ok(_) => Err(Malformed::new(
                field,
                "text with control characters, marks of direction or separators of lines",
                "without any",
            )),
            Err(error) => Err(Malformed::new(field, error, "UTF-8")),
        }
    }
}

/// A text whose number has no meaning.
pub(super) fn plain_text(
    reader: &mut Reader<'_>,
    field: &'static str,
    max: usize,
) -> Result<String> {
    match reader.text(field, max)? {
        (0, text) => Ok(text),
        (other, _) => Err(Malformed::new(field, format!("number {other}"), "number 0")),
    }
}

/// One of the numbers in `known`, as the value beside it.
pub(super) fn one_of<T: Copy>(field: &'static str, number: u32, known: &[(u32, T)]) -> Result<T> {
    let found = known.iter().find(|(code, _)| *code == number);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let codes: Vec<String> = known.iter().map(|(code, _)| code.to_string()).collect();
        Malformed::new(field, number, format!("one of {}", codes.join(", ")))
    })
}

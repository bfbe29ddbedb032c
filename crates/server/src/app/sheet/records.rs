//! Lines of a table out of the bytes that have arrived: RFC 4180 without waiting for the rest.
//!
//! Invariant: what is kept between two calls is one record, and no record is larger than [`RECORD_BYTES_MAX`].
//! Not here: what cells mean.

use csv_core::{ReadRecordResult, Reader};

/// Bytes of one record; a file whose quotes do not close has none that ends.
pub(super) const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Cells of one record.
const CELLS_MAX: usize = 1_000;
const FIRST_BYTES: usize = 8 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A record, and where it begins.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The line, from 1.
    pub(super) line: u64,
    /// Its cells; `None` when they are not UTF-8.
    pub(super) cells: Option<Vec<String>>,
    /// Its size.
    pub(super) bytes: usize,
}

/// A record that does not end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Endless {
    /// The line it begins at.
    pub(super) line: u64,
}

/// Puts records together.
pub(super) struct Records {
    core: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    text_len: usize,
    ends_len: usize,
    /// The line the next byte is on.
    line: u64,
    /// The line the record being read began at; `None` between records.
    began: Option<u64>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self {
            core: Reader::new(),
            text: vec![0; FIRST_BYTES],
            ends: vec![0; CELLS_MAX],
            text_len: 0,
            ends_len: 0,
            line: 1,
            began: None,
        }
    }

    /// The next record of `input`, which moves on; `None`: more bytes are needed, or `is_last` and there is no more.
    pub(super) fn next(&mut self, input: &mut &[u8], is_last: bool) -> Result<Option<Record>, Endless> {
        loop {
            if self.began.is_none() {
                self.skip_blank_lines(input);
            }
            if input.is_empty() && !is_last {
                return Ok(None);
            }
            let began = *self.began.get_or_insert(self.line);
            let (text, ends) = (&mut self.text[self.text_len..], &mut self.ends[self.ends_len..]);
            let (result, read, wrote, ended) = self.core.read_record(input, text, ends);
            self.line += breaks(&input[..read]);
            *input = &input[read..];
            self.text_len += wrote;
            self.ends_len += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.text.len() < RECORD_BYTES_MAX => {
                    self.text.resize(self.text.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(Endless { line: began });
                }
                ReadRecordResult::Record => return Ok(Some(self.take(began))),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// The line the next byte is on.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn skip_blank_lines(&mut self, input: &mut &[u8]) {
        if self.line == 1
            && let Some(rest) = input.strip_prefix(BYTE_ORDER_MARK)
        {
            *input = rest;
        }
        let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.line += breaks(&input[..blank]);
        *input = &input[blank..];
    }

    fn take(&mut self, line: u64) -> Record {
        let mut begin = 0;
        let mut cells = Some(Vec::with_capacity(self.ends_len));
        for end in &self.ends[..self.ends_len] {
            let cell = std::str::from_utf8(&self.text[begin..*end]).ok();
            cells = cells.zip(cell).map(|(mut cells, cell)| {
                cells.push(cell.to_owned());
                cells
            });
            begin = *end;
        }
        let bytes = self.text_len;
        (self.text_len, self.ends_len, self.began) = (0, 0, None);
        Record { line, cells, bytes }
    }
}

/// The line breaks in some bytes.
fn breaks(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Found = (u64, Option<Vec<String>>);

    /// Reads a text that arrives in pieces of a size.
    fn read(text: &[u8], size: usize) -> Result<Vec<Found>, Endless> {
        let (mut records, mut found) = (Records::new(), Vec::new());
        for piece in text.chunks(size) {
            let mut input = piece;
            while let Some(record) = records.next(&mut input, false)? {
                found.push((record.line, record.cells));
            }
        }
        while let Some(record) = records.next(&mut &b""[..], true)? {
            found.push((record.line, record.cells));
        }
        Ok(found)
    }

    fn cells(line: u64, cells: &[&str]) -> Found {
        (line, Some(cells.iter().map(|cell| (*cell).to_owned()).collect()))
    }

    #[test]
    fn records_have_the_line_they_begin_at() {
        let text = "a,b\r\n\r\n1,\"x\r\ny\"\r\n\n2,\"say \"\"hi\"\"\"\n3,z";
        let wanted = [
            cells(1, &["a", "b"]),
            cells(3, &["1", "x\r\ny"]),
            cells(6, &["2", "say \"hi\""]),
            cells(7, &["3", "z"]),
        ];
        for size in 1..text.len() {
            assert_eq!(read(text.as_bytes(), size).unwrap(), wanted, "{size}");
        }
    }

    #[test]
    fn a_record_that_is_no_utf8_stands_alone() {
        assert_eq!(read(b"a\n\xff\nb\n", 64).unwrap(), [cells(1, &["a"]), (2, None), cells(3, &["b"])]);
    }

    #[test]
    fn a_record_without_end_is_found_out() {
        let text = format!("a\n1\n\"{}", "x,\n".repeat(RECORD_BYTES_MAX / 2));
        assert_eq!(read(text.as_bytes(), 4096), Err(Endless { line: 3 }));
        assert_eq!(read(",".repeat(2_000).as_bytes(), 64), Err(Endless { line: 1 }));
    }

    proptest! {
        #[test]
        fn what_a_line_was_made_of_is_read_however_it_arrives(
            rows in proptest::collection::vec(proptest::collection::vec("[a\",;\r\n é]{0,6}", 2..4), 1..6),
            size in 1_usize..9,
        ) {
            let text: String = rows.iter().map(|row| super::super::line(row.iter().cloned())).collect();
            let found: Vec<_> = read(text.as_bytes(), size).unwrap().into_iter().filter_map(|(_, cells)| cells).collect();
            prop_assert_eq!(found, rows);
        }
    }
}

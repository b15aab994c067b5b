//! Rows of CSV, whichever program wrote it: commas, semicolons, tabs or bars, blanks before quotes, empty columns behind.

use crate::{
    table::{TextRow, insert},
    text::latin,
};
use std::{borrow::Cow, collections::BTreeMap};

/// Fields beside each other that are tried together as one name, where a row has more of them than there are columns.
const JOINED: usize = 4;

/// Columns and rows; an error says what makes the whole file useless.
pub(crate) fn read(content: &[u8]) -> Result<(Vec<String>, Vec<TextRow>), String> {
    let (separator, skipped) = said_separator(content);
    let body = &content[skipped..];
    let delimiter = separator.unwrap_or_else(|| most_used(body));
    let body = &*without_blanks_before_quotes(body, delimiter);
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(body);
    let headers = reader.byte_headers().map_err(|e| format!("its first line cannot be read: {e}"))?;
    let headers: Result<Vec<&str>, _> = headers.iter().map(str::from_utf8).collect();
    let headers = headers.map_err(|_| "its first line is not UTF-8; save the file as UTF-8".to_owned())?;
    let mut columns: Vec<String> = headers.iter().map(|c| c.trim().to_owned()).collect();
    while columns.last().is_some_and(String::is_empty) {
        columns.pop();
    }
    let named_twice = |(i, c): &(usize, &String)| !c.is_empty() && columns[..*i].contains(c);
    if let Some((_, twice)) = columns.iter().enumerate().find(named_twice) {
        return Err(format!("names the column {twice:?} twice; rename one"));
    }
    let newlines = |from: usize, to: usize| body[from..to].iter().filter(|&&b| b == b'\n').count();
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    // The reader says where it began to look for a record; the record's own first line is counted here.
    let (mut line, mut counted) = (1 + u64::from(skipped > 0), 0);
    while reader.read_byte_record(&mut record).map_err(|e| format!("cannot be read on: {e}"))? {
        let began = record.position().map_or(counted, |p| p.byte() as usize);
        let blank = body[began..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        line += newlines(counted, began + blank) as u64;
        counted = began + blank;
        let text = body[counted..reader.position().byte() as usize].trim_ascii_end();
        let further_lines = newlines(counted, counted + text.len());
        let odd = text.iter().filter(|&&b| b == b'"').count() % 2 == 1;
        let filled = record.iter().rposition(|field| !field.trim_ascii().is_empty()).map_or(0, |last| last + 1);
        let fits = record.len() >= columns.len() && filled <= columns.len();
        // The lines that it swallows are rows whose recordings would pass for unlisted ones, whatever their consent: such a
        // list cannot be used.
        if further_lines > 0 && (odd || !fits) {
            let end = line + further_lines as u64;
            return Err(format!("lines {line} to {end} are one row; close the quotation mark that opens there"));
        }
        if filled > 0 {
            rows.push(row(line, &columns, &record, filled, delimiter));
        }
    }
    Ok((columns, rows))
}

fn row(line: u64, columns: &[String], record: &csv::ByteRecord, filled: usize, delimiter: u8) -> TextRow {
    let (mut problem, mut names) = (None, Vec::new());
    if record.len() < columns.len() || filled > columns.len() {
        let fields = if filled > columns.len() { filled } else { record.len() };
        problem = Some(format!("has {fields} fields, and the header names {}", columns.len()));
        // A delimiter within a name makes two fields of it, so that none stands under its own column.
        let fields: Vec<String> = record.iter().map(latin).collect();
        for first in 0..fields.len() {
            for last in first..fields.len().min(first + JOINED) {
                names.push(fields[first..=last].join(&char::from(delimiter).to_string()).trim().to_owned());
            }
        }
    }
    let mut cells = BTreeMap::new();
    for (column, value) in columns.iter().zip(record) {
        if column.is_empty() {
            continue; // without a name, a column means nothing: the index of a data frame
        }
        if str::from_utf8(value).is_err() {
            problem = Some(format!("{column} is not UTF-8; save the file as UTF-8"));
        }
        insert(&mut cells, column, &latin(value));
    }
    TextRow { line, cells, problem, names }
}

/// The delimiter of Excel's first line `sep=;`, and that line's length; a length of 0 where there is none.
fn said_separator(content: &[u8]) -> (Option<u8>, usize) {
    let end = content.iter().position(|&b| b == b'\n').map_or(content.len(), |at| at + 1);
    let line = content[..end].trim_ascii();
    let line = line.strip_prefix(b"\"").and_then(|l| l.strip_suffix(b"\"")).unwrap_or(line);
    // A tab at the end was trimmed off.
    match line {
        [s, e, p, b'=', delimiter] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => (Some(*delimiter), end),
        [s, e, p, b'='] if [*s, *e, *p].eq_ignore_ascii_case(b"sep") => (Some(b'\t'), end),
        _ => (None, 0),
    }
}

/// Comma, semicolon, tab or bar: what the header line has most of outside quotation marks.
fn most_used(content: &[u8]) -> u8 {
    let line = content.split(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let count = |d: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|&&b| {
                quoted ^= b == b'"';
                b == d && !quoted
            })
            .count()
    };
    // Of equals the last wins, so the comma stands last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|&d| count(d)).unwrap_or(b',')
}

/// The content without the blanks that stand between a delimiter and a quotation mark, which would make the mark a character
/// like any other. Lines stay what they are.
fn without_blanks_before_quotes(content: &[u8], delimiter: u8) -> Cow<'_, [u8]> {
    let is_blank = |b: u8| (b == b' ' || b == b'\t') && b != delimiter;
    let before_quote = |at: usize| content[at..].iter().find(|&&b| !is_blank(b)) == Some(&b'"');
    let mut kept: Option<Vec<u8>> = None;
    let (mut quoted, mut starts) = (false, true);
    let mut at = 0;
    while at < content.len() {
        let byte = content[at];
        if starts && !quoted && is_blank(byte) && before_quote(at) {
            let kept = kept.get_or_insert_with(|| content[..at].to_vec());
            at += content[at..].iter().take_while(|&&b| is_blank(b)).count();
            (quoted, starts) = (true, false);
            kept.push(b'"');
            at += 1;
            continue;
        }
        if quoted {
            // Two marks are one that is meant: the state changes twice.
            quoted = byte != b'"';
        } else if byte == b'"' && (starts || content.get(at.wrapping_sub(1)) == Some(&b'"')) {
            quoted = true;
        }
        starts = !quoted && (byte == delimiter || byte == b'\n' || byte == b'\r');
        if let Some(kept) = &mut kept {
            kept.push(byte);
        }
        at += 1;
    }
    kept.map_or(Cow::Borrowed(content), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &str) -> Vec<(u64, String)> {
        let (columns, rows) = read(content.as_bytes()).unwrap();
        let text = |row: &TextRow| {
            let cell = |c: &String| row.cells.get(c).cloned().unwrap_or_default();
            let cells: Vec<String> = columns.iter().filter(|c| !c.is_empty()).map(cell).collect();
            format!("{}{}", cells.join("|"), row.problem.as_deref().map_or(String::new(), |p| format!(" ({p})")))
        };
        rows.iter().map(|row| (row.line, text(row))).collect()
    }

    #[test]
    fn blanks_before_quotes() {
        let want = |row: &str| vec![(2, row.to_owned())];
        assert_eq!(lines("recording, \"note\"\n \"a.wav\" ,\t\"one, two\"\n"), want("a.wav|one, two"));
        assert_eq!(
            lines("recording; \"note\"\na.wav;  \"he said \"\"no\"\"; twice\"\n"),
            want("a.wav|he said \"no\"; twice")
        );
        assert_eq!(lines("recording,note\na.wav,5 \" tape\n"), want("a.wav|5 \" tape"));
        assert_eq!(lines("recording\t\"note\"\na.wav\t \"x\ty\"\n"), want("a.wav|x\ty"));
        let two = lines("recording,note\na.wav, \"two\nlines\"\nb.wav,x\n");
        assert_eq!(two, [(2, "a.wav|two\nlines".into()), (4, "b.wav|x".into())]);
    }

    #[test]
    fn what_excel_adds() {
        assert_eq!(lines("sep=;\r\nrecording;note\r\na,b.wav;x\r\n"), [(3, "a,b.wav|x".into())]);
        assert_eq!(lines("\"sep=,\"\nrecording,note\na.wav,x\n"), [(3, "a.wav|x".into())]);
        assert_eq!(lines("sep=\t\nrecording\tnote\na.wav\tx\n"), [(3, "a.wav|x".into())]);
        assert_eq!(
            lines("recording;note;;;\na.wav;x;;;\n;;;;\nb.wav;y;;\n"),
            [(2, "a.wav|x".into()), (4, "b.wav|y".into())]
        );
        assert_eq!(lines("recording;note\na.wav;x;;;\n"), [(2, "a.wav|x".into())]);
        let wrong = lines("recording;note;;\na.wav;x;denied;\nb.wav\n");
        assert_eq!(wrong[0].1, "a.wav|x (has 3 fields, and the header names 2)");
        assert_eq!(wrong[1].1, "b.wav| (has 1 fields, and the header names 2)");
        // The index of a data frame has no name.
        assert_eq!(lines(",recording\n0,a.wav\n"), [(2, "a.wav".into())]);
    }

    #[test]
    fn the_delimiter() {
        assert_eq!(lines("\n\nrecording|note\na.wav|x, y\n"), [(4, "a.wav|x, y".into())]);
        assert_eq!(lines("\"recording\";\"a, b, c\"\na.wav;x\n"), [(2, "a.wav|x".into())]);
    }

    #[test]
    fn names_in_a_row_that_fits_no_header() {
        let (_, rows) = read(b"recording,call_id\nrec/a,b.wav,c1\n").unwrap();
        assert!(["rec/a", "rec/a,b.wav", "b.wav,c1", "c1"].iter().all(|name| rows[0].names.iter().any(|n| n == name)));
        let (_, rows) = read(b"recording,note\nM\xfcller.wav,x\n").unwrap();
        assert_eq!((rows[0].cells["recording"].as_str(), rows[0].problem.is_some()), ("Müller.wav", true));
    }
}

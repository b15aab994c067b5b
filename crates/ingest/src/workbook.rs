//! Lists that are workbooks: .xlsx, .xlsb, .xls and .ods, told by their content.

use bytes::Bytes;
use calamine::{Data, ExcelDateTime, Reader as _, Sheets, open_workbook_auto_from_rs};
use std::io::Cursor;

/// A sheet as text, from its first row that holds anything.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub name: String,
    /// Number of the row, from 1, and its cells; `Err` where a cell has no value that can be read.
    pub rows: Vec<(u64, Vec<Result<String, String>>)>,
}

/// Whether these are the first bytes of a ZIP archive or of an old office's file, as workbooks are.
pub(crate) fn is_workbook(content: &[u8]) -> bool {
    content.starts_with(b"PK\x03\x04") || content.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
}

/// The sheets that hold anything, in their order.
pub(crate) fn sheets(content: Bytes) -> Result<Vec<Sheet>, String> {
    let fail = |e: &dyn std::fmt::Display| format!("is no workbook that can be read ({e}); save it as CSV");
    let mut book = open_workbook_auto_from_rs(Cursor::new(content)).map_err(|e| fail(&e))?;
    let mut sheets = Vec::new();
    for name in book.sheet_names() {
        // A sheet of charts alone is no sheet with rows.
        let Ok(range) = book.worksheet_range(&name) else { continue };
        let Some((top, left)) = range.start() else { continue };
        let mut rows: Vec<(u64, Vec<Result<String, String>>)> = range
            .rows()
            .zip(u64::from(top) + 1..)
            .map(|(cells, row)| (row, cells.iter().map(text).collect()))
            .collect();
        for (first, last) in merged(&mut book, &name) {
            // What is written across several rows holds for each of them; only the first has it.
            let at = |row: u32, column: u32| (row.wrapping_sub(top) as usize, column.wrapping_sub(left) as usize);
            let (from, column) = at(first.0, first.1);
            let Some(value) = rows.get(from).and_then(|(_, cells)| cells.get(column)).cloned() else { continue };
            for row in first.0 + 1..=last.0.min(top + rows.len() as u32) {
                if let Some(cell) = rows.get_mut(at(row, first.1).0).and_then(|(_, cells)| cells.get_mut(column)) {
                    cell.clone_from(&value);
                }
            }
        }
        // A formula that no program has worked out yet hides what it will say.
        if let Ok(formulas) = book.worksheet_formula(&name)
            && let Some((first, offset)) = formulas.start()
        {
            for (row, column, _) in formulas.used_cells() {
                let (row, column) = (row + first as usize, column + offset as usize);
                let place = (row.wrapping_sub(top as usize), column.wrapping_sub(left as usize));
                let cell = rows.get_mut(place.0).and_then(|(_, cells)| cells.get_mut(place.1));
                if let Some(cell) = cell.filter(|cell| cell.as_ref().is_ok_and(String::is_empty)) {
                    *cell = Err("is a formula without a value; open the workbook, save it, and run again".into());
                }
            }
        }
        let blank =
            |cells: &[Result<String, String>]| cells.iter().all(|c| c.as_ref().is_ok_and(|c| c.trim().is_empty()));
        rows.retain(|(_, cells)| !blank(cells));
        if !rows.is_empty() {
            sheets.push(Sheet { name, rows });
        }
    }
    Ok(sheets)
}

/// First and last cell of those that are merged; of .xlsx alone, which is the form that says so here.
fn merged(book: &mut Sheets<Cursor<Bytes>>, sheet: &str) -> Vec<((u32, u32), (u32, u32))> {
    let Sheets::Xlsx(book) = book else { return Vec::new() };
    let Ok(regions) = book.merge_cells_by_sheet_name(sheet) else { return Vec::new() };
    regions.into_iter().map(|region| (region.start, region.end)).collect()
}

fn text(cell: &Data) -> Result<String, String> {
    Ok(match cell {
        Data::Empty => String::new(),
        Data::Float(number) => plain(*number),
        Data::DateTime(instant) if instant.is_datetime() => time(instant),
        Data::DateTime(duration) => plain(duration.as_f64()),
        Data::Bool(value) => value.to_string(),
        Data::Error(error) => return Err(format!("is the error {error:?}; correct it, or clear the cell")),
        other => other.to_string(),
    })
}

/// A number without a point where it is whole: a workbook has no other numbers than floats.
fn plain(number: f64) -> String {
    /// Above this not every whole number is a float.
    const WHOLE: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < WHOLE { format!("{}", number as i64) } else { format!("{number}") }
}

/// As a list in CSV would say it, to the second: workbooks know no zones.
fn time(instant: &ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, milli) = instant.to_ymd_hms_milli();
    if (hour, minute, second, milli) == (0, 0, 0, 0) {
        return format!("{year:04}-{month:02}-{day:02}");
    }
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

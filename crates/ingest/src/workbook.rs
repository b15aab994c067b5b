//! Lists that are workbooks: .xlsx, .xlsb, .xls and .ods, told by their content.

use bytes::Bytes;
use calamine::{Data, ExcelDateTime, Reader as _, Sheets, open_workbook_auto_from_rs};
use std::{collections::BTreeMap, io::Cursor};

/// Cells of a row by their columns, from 0; `Err` where a cell has no value that can be read.
pub(crate) type Cells = BTreeMap<u32, Result<String, String>>;

/// A sheet as text.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub name: String,
    /// Rows that hold anything, by their numbers, from 1.
    pub rows: Vec<(u64, Cells)>,
}

/// Whether these are the first bytes of a ZIP archive or of an old office's file, as workbooks are.
pub(crate) fn is_workbook(content: &[u8]) -> bool {
    content.starts_with(b"PK\x03\x04") || content.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
}

/// The sheets that hold anything, in their order.
///
/// Cells are read one by one where the form allows it: a stray one in the last row and column would else cost all the others'
/// memory.
pub(crate) fn sheets(content: Bytes) -> Result<Vec<Sheet>, String> {
    let fail = |e: &dyn std::fmt::Display| format!("is no workbook that can be read ({e}); save it as CSV");
    let mut book = open_workbook_auto_from_rs(Cursor::new(content)).map_err(|e| fail(&e))?;
    let mut sheets = Vec::new();
    for name in book.sheet_names() {
        let mut rows: BTreeMap<u32, Cells> = BTreeMap::new();
        // A sheet of charts alone is no sheet with rows.
        let Ok((cells, formulas)) = cells_of(&mut book, &name) else { continue };
        for ((row, column), cell) in cells {
            rows.entry(row).or_default().insert(column, cell);
        }
        // A formula that no program has worked out yet hides what it will say.
        for (row, column) in formulas {
            let cell = rows.entry(row).or_default().entry(column).or_insert_with(|| Ok(String::new()));
            if cell.as_ref().is_ok_and(String::is_empty) {
                *cell = Err("is a formula without a value; open the workbook, save it, and run again".into());
            }
        }
        for (first, last) in merged(&mut book, &name) {
            // What is written across several rows holds for each of them; only the first has it.
            let Some(value) = rows.get(&first.0).and_then(|cells| cells.get(&first.1)).cloned() else { continue };
            for (_, cells) in rows.range_mut(first.0..=last.0.max(first.0)) {
                cells.entry(first.1).or_insert_with(|| value.clone());
            }
        }
        rows.retain(|_, cells| cells.values().any(|cell| !cell.as_ref().is_ok_and(|text| text.trim().is_empty())));
        if !rows.is_empty() {
            sheets
                .push(Sheet { name, rows: rows.into_iter().map(|(row, cells)| (u64::from(row) + 1, cells)).collect() });
        }
    }
    Ok(sheets)
}

type Place = (u32, u32);

/// The filled cells of a sheet, and where its formulas stand.
#[allow(clippy::type_complexity)] // said once, here
fn cells_of(
    book: &mut Sheets<Cursor<Bytes>>,
    sheet: &str,
) -> Result<(Vec<(Place, Result<String, String>)>, Vec<Place>), calamine::Error> {
    let (mut cells, mut formulas) = (Vec::new(), Vec::new());
    match book {
        Sheets::Xlsx(book) => {
            let mut reader = book.worksheet_cells_reader(sheet)?;
            while let Some(cell) = reader.next_cell()? {
                cells.push((cell.get_position(), text(&Data::from(cell.get_value().clone()))));
            }
            drop(reader);
            let mut reader = book.worksheet_cells_reader(sheet)?;
            while let Some(cell) = reader.next_formula()? {
                formulas.extend((!cell.get_value().is_empty()).then(|| cell.get_position()));
            }
        }
        Sheets::Xlsb(book) => {
            let mut reader = book.worksheet_cells_reader(sheet)?;
            while let Some(cell) = reader.next_cell()? {
                cells.push((cell.get_position(), text(&Data::from(cell.get_value().clone()))));
            }
        }
        book => {
            let range = book.worksheet_range(sheet)?;
            let (top, left) = range.start().unwrap_or_default();
            let place =
                |(row, column, cell): (usize, usize, &Data)| ((row as u32 + top, column as u32 + left), text(cell));
            cells.extend(range.used_cells().map(place));
        }
    }
    Ok((cells, formulas))
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

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::{CellErrorType, ExcelDateTimeType};

    #[test]
    fn cells_as_a_list_would_write_them() {
        let instant = |days: f64| Data::DateTime(ExcelDateTime::new(days, ExcelDateTimeType::DateTime, false));
        for (cell, wanted) in [
            (Data::Float(8812.0), "8812"),
            (Data::Float(12.5), "12.5"),
            (Data::Float(-1.0), "-1"),
            (Data::Int(7), "7"),
            (Data::String("denied".into()), "denied"),
            (Data::Empty, ""),
            (Data::Bool(true), "true"),
            (instant(46_083.604_166_666_664), "2026-03-02T14:30:00"),
            (instant(46_083.0), "2026-03-02"),
        ] {
            assert_eq!(text(&cell).as_deref(), Ok(wanted));
        }
        assert!(text(&Data::Error(CellErrorType::NA)).unwrap_err().starts_with("is the error"));
    }
}

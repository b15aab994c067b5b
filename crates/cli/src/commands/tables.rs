//! `tables`: what the tables hold, from their schema alone.

use crate::{
    Outcome,
    args::{Common, Tables},
    term::{self, BOLD, DIM, paint},
};
use anyhow::{Context, Result};
use arrow::{
    datatypes::{DataType, Field, TimeUnit},
    ipc::writer::StreamWriter,
};
use schema::{SCHEMA_VERSION, Table, doc, unit};
use serde::Serialize;
use std::io::Write as _;

pub fn run(args: &Tables, _: &Common) -> Result<Outcome> {
    let tables = args.table.map_or_else(|| Table::ALL.to_vec(), |table| vec![table]);
    if args.json {
        let tables: Vec<Described> = tables.into_iter().map(Described::of).collect();
        let all = serde_json::json!({"schema_version": SCHEMA_VERSION, "tables": tables});
        anstream::println!("{}", serde_json::to_string_pretty(&all)?);
    } else if args.ipc {
        let mut out = std::io::stdout().lock();
        for table in tables {
            let mut writer = StreamWriter::try_new(&mut out, &table.schema()).context("standard output")?;
            writer.finish().context("standard output")?;
        }
        out.flush().context("standard output")?;
    } else if args.markdown {
        anstream::print!("{}", page(&tables));
    } else {
        for table in tables {
            print(table);
        }
    }
    Ok(Outcome::Done)
}

/// A table, for programs.
#[derive(Serialize)]
struct Described {
    name: &'static str,
    doc: &'static str,
    /// Whether the store keeps it.
    stored: bool,
    columns: Vec<Column>,
}

/// A column, or a part of one.
#[derive(Serialize)]
struct Column {
    name: String,
    r#type: String,
    nullable: bool,
    unit: Option<String>,
    doc: Option<String>,
    /// The parts of a structure or of the items of a list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<Self>,
}

impl Described {
    fn of(table: Table) -> Self {
        let columns = table.schema().fields().iter().map(|field| Column::of(field)).collect();
        Self { name: table.name(), doc: table.doc(), stored: table.stored(), columns }
    }
}

impl Column {
    fn of(field: &Field) -> Self {
        Self {
            name: field.name().clone(),
            r#type: short(field.data_type()),
            nullable: field.is_nullable(),
            unit: unit(field).map(str::to_owned),
            doc: doc(field).map(str::to_owned),
            fields: parts(field.data_type()).iter().map(|part| Self::of(part)).collect(),
        }
    }
}

/// The parts of a structure, or of the structures in a list.
fn parts(kind: &DataType) -> Vec<&Field> {
    match kind {
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        DataType::List(item) => parts(item.data_type()),
        _ => Vec::new(),
    }
}

/// A type as a reader of Parquet knows it.
fn short(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 => "string".to_owned(),
        DataType::Boolean => "bool".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Decimal128(digits, after) => format!("decimal({digits}, {after})"),
        DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) => format!("timestamp(ms, {zone})"),
        DataType::Struct(_) => "struct".to_owned(),
        DataType::List(item) => format!("list of {}", short(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<String> = fields.iter().map(|part| short(part.data_type())).collect();
                format!("map({})", parts.join(", "))
            }
            other => short(other),
        },
        other => other.to_string(),
    }
}

/// What is said of a column beside its name: its type, whether it may be null, its unit.
fn kind(column: &Column) -> String {
    let null = if column.nullable { " or null" } else { "" };
    let unit = column.unit.as_ref().map_or_else(String::new, |unit| format!(" ({unit})"));
    format!("{}{null}{unit}", column.r#type)
}

fn print(table: Table) {
    let described = Described::of(table);
    let stored = if described.stored { "" } else { "; passes between stages and is not stored" };
    anstream::println!("{}  {}{stored}", paint(BOLD, described.name), described.doc);
    for column in &described.columns {
        print_column(column, 1);
    }
    anstream::println!();
}

fn print_column(column: &Column, depth: usize) {
    let indent = "  ".repeat(depth);
    anstream::println!("{indent}{}  {}", column.name, paint(DIM, kind(column)));
    let below = format!("{indent}    ");
    let options = textwrap::Options::new(term::width()).initial_indent(&below).subsequent_indent(&below);
    let doc = column.doc.as_deref().unwrap_or_default();
    anstream::println!("{}", textwrap::fill(doc, options));
    for part in &column.fields {
        print_column(part, depth + 1);
    }
}

/// docs/tables.md, as the test of the command line holds it against this.
fn page(tables: &[Table]) -> String {
    let mut page = format!(
        "# The tables\n\nMade by `nightcall tables --markdown`; the schema's own words stand in `crates/schema/src/columns.rs`. Schema \
         version {SCHEMA_VERSION}: raised when a\ncolumn is renamed or retyped, and left as it is by columns that are added.\n\nA \
         folder each in the store. Times that end in `_ms` are milliseconds from the start of the call. What is not known is \
         null,\nnever 0. A part of a column is written `column.part`; of a list it is a part of each item.\n"
    );
    for &table in tables {
        let described = Described::of(table);
        let stored = if described.stored { "" } else { " Passes between stages; not stored." };
        let (first, rest) = described.doc.split_at(1);
        let title = format!("\n## {}\n\n{}{rest}.{stored}\n\n", described.name, first.to_uppercase());
        page += &title;
        page += "| column | type | unit | |\n| --- | --- | --- | --- |\n";
        page += &described.columns.iter().flat_map(|column| lines("", column)).collect::<Vec<_>>().concat();
    }
    page
}

/// The lines of a column and its parts.
fn lines(within: &str, column: &Column) -> Vec<String> {
    let name = format!("{within}{}", column.name);
    let null = if column.nullable { " or null" } else { "" };
    let (unit, doc) = (column.unit.as_deref().unwrap_or_default(), column.doc.as_deref().unwrap_or_default());
    let mut all = vec![format!("| `{name}` | {}{null} | {unit} | {doc} |\n", column.r#type)];
    all.extend(column.fields.iter().flat_map(|part| lines(&format!("{name}."), part)));
    all
}

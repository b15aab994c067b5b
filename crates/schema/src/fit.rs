//! A foreign column brought to the type of its table, where nothing is lost by it.
//!
//! Other writers of Arrow number their integers in 64 bits, keep texts as large or encoded ones, name the parts of lists
//! otherwise and order those of structs as they like. All that is the same column. What could lose or guess something is
//! not: a number without room in the narrower type, a decimal for a number, a time of which no zone is known.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, LargeListArray, ListArray, MapArray, StructArray, make_array, new_empty_array,
        new_null_array,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::cast,
    datatypes::{DataType, Field, FieldRef},
    util::display::array_value_to_string,
};
use std::{fmt, sync::Arc};

/// Why a column does not fit its table.
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    /// A column that must have values is absent.
    Missing {
        /// The column, or a part of one: `words.start_ms`.
        column: String,
    },
    /// A column has another type.
    Type {
        /// The column.
        column: String,
        /// Its type in the batch.
        found: DataType,
        /// Its type in the table.
        wanted: DataType,
    },
    /// A value has no room in the column's type.
    Range {
        /// The column.
        column: String,
        /// The first such value.
        value: String,
        /// The column's type in the table.
        wanted: DataType,
    },
    /// A column that must have values has nulls.
    Nulls {
        /// The column.
        column: String,
        /// How many.
        count: usize,
    },
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { column } => write!(f, "column {column} is missing"),
            Self::Type { column, found: DataType::Timestamp(_, None), .. } => {
                write!(f, "column {column} has times of no zone; give them one, such as UTC")
            }
            Self::Type { column, found, wanted } => {
                write!(f, "column {column} is {}, not {}", short(found), short(wanted))
            }
            Self::Range { column, value, wanted } => {
                write!(f, "column {column} has the value {value}, which {} has no room for", short(wanted))
            }
            Self::Nulls { column, count: 1 } => write!(f, "column {column} has a null and may have none"),
            Self::Nulls { column, count } => write!(f, "column {column} has {count} nulls and may have none"),
        }
    }
}

/// A type without the names and documents of its parts.
fn short(kind: &DataType) -> String {
    match kind {
        DataType::List(item) => format!("List<{}>", short(item.data_type())),
        DataType::LargeList(item) => format!("LargeList<{}>", short(item.data_type())),
        DataType::Struct(fields) => {
            let parts: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.name(), short(f.data_type()))).collect();
            format!("Struct<{}>", parts.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<String> = fields.iter().map(|f| short(f.data_type())).collect();
                format!("Map<{}>", parts.join(", "))
            }
            other => short(other),
        },
        other => other.to_string(),
    }
}

/// The column in the type that `wanted` has, or nothing where it does not fit; why, is added to `wrong`.
pub(crate) fn fit(column: &str, found: &ArrayRef, wanted: &Field, wrong: &mut Vec<Misfit>) -> Option<ArrayRef> {
    let before = wrong.len();
    let fitted = fit_part(column, found, wanted, None, wrong);
    if fitted.is_none() && wrong.len() == before {
        // A cast that Arrow refused.
        let (found, wanted) = (found.data_type().clone(), wanted.data_type().clone());
        wrong.push(Misfit::Type { column: column.to_owned(), found, wanted });
    }
    fitted
}

/// The same of a part of a column: nulls where the whole, `within`, is null are none of its own.
fn fit_part(
    column: &str,
    found: &ArrayRef,
    wanted: &Field,
    within: Option<&NullBuffer>,
    wrong: &mut Vec<Misfit>,
) -> Option<ArrayRef> {
    let fitted = of_type(column, found, wanted.data_type(), wrong)?;
    let nulls = fitted.logical_nulls();
    let own = match (&nulls, within) {
        (Some(nulls), Some(within)) => (0..nulls.len()).filter(|&i| nulls.is_null(i) && within.is_valid(i)).count(),
        (Some(nulls), None) => nulls.null_count(),
        (None, _) => 0,
    };
    if wanted.is_nullable() || own == 0 {
        return Some(fitted);
    }
    wrong.push(Misfit::Nulls { column: column.to_owned(), count: own });
    None
}

fn of_type(column: &str, found: &ArrayRef, wanted: &DataType, wrong: &mut Vec<Misfit>) -> Option<ArrayRef> {
    if found.data_type() == wanted {
        return Some(found.clone());
    }
    let misfit =
        || Misfit::Type { column: column.to_owned(), found: found.data_type().clone(), wanted: wanted.clone() };
    match (found.data_type(), wanted) {
        // What a writer makes of a column in which it saw no value.
        (DataType::Null, _) => Some(new_null_array(wanted, found.len())),
        (DataType::Dictionary(_, values), _) => {
            let plain = cast(found, values).ok();
            let Some(plain) = plain.filter(|_| values.is_string()) else {
                wrong.push(misfit());
                return None;
            };
            of_type(column, &plain, wanted, wrong)
        }
        (DataType::LargeUtf8 | DataType::Utf8View, DataType::Utf8) => cast(found, wanted).ok(),
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_))) | (DataType::Date64, DataType::Date32) => {
            in_range(column, found, wanted, wrong)
        }
        (from, to) if from.is_integer() && to.is_integer() => in_range(column, found, wanted, wrong),
        // A score in 64 bits is the same score.
        (DataType::Float64 | DataType::Float16, DataType::Float32) | (DataType::Float32, DataType::Float64) => {
            cast(found, wanted).ok()
        }
        (
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::FixedSizeList(..),
            DataType::List(item),
        ) => list(column, found, item, wrong),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let parts = structure(column, found.as_struct(), fields, wrong)?;
            Some(Arc::new(parts))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => map(column, found.as_map(), entries, *sorted, wrong),
        _ => {
            wrong.push(misfit());
            None
        }
    }
}

/// A cast that must not make nulls of values.
fn in_range(column: &str, found: &ArrayRef, wanted: &DataType, wrong: &mut Vec<Misfit>) -> Option<ArrayRef> {
    let fitted = cast(found, wanted).ok()?;
    if let Some(at) = (0..found.len()).find(|&i| found.is_valid(i) && fitted.is_null(i)) {
        let value = array_value_to_string(found, at).unwrap_or_default();
        wrong.push(Misfit::Range { column: column.to_owned(), value, wanted: wanted.clone() });
        return None;
    }
    Some(fitted)
}

fn list(column: &str, found: &ArrayRef, item: &FieldRef, wrong: &mut Vec<Misfit>) -> Option<ArrayRef> {
    // The others are brought to lists of the same items first.
    let own = |of: &FieldRef| cast(found, &DataType::List(of.clone())).ok();
    let plain = match found.data_type() {
        DataType::List(_) => found.clone(),
        DataType::LargeList(_) => {
            let large: &LargeListArray = found.as_list();
            let lengths = large.offsets().windows(2).map(|pair| (pair[1] - pair[0]) as usize);
            let (first, last) = (large.offsets()[0] as usize, large.offsets()[large.len()] as usize);
            if i32::try_from(last - first).is_err() {
                let wanted = DataType::List(item.clone());
                wrong.push(Misfit::Range { column: column.to_owned(), value: format!("of {last} items"), wanted });
                return None;
            }
            let (offsets, values) = (OffsetBuffer::from_lengths(lengths), large.values().slice(first, last - first));
            let DataType::LargeList(of) = found.data_type() else { return None };
            Arc::new(ListArray::try_new(of.clone(), offsets, values, large.nulls().cloned()).ok()?)
        }
        DataType::ListView(of) | DataType::LargeListView(of) | DataType::FixedSizeList(of, _) => own(of)?,
        _ => return None,
    };
    let lists: &ListArray = plain.as_list();
    // Items outside the offsets are nobody's, and what is wrong with them no fault.
    let (first, last) = (lists.offsets()[0] as usize, lists.offsets()[lists.len()] as usize);
    let offsets = if first == 0 {
        lists.offsets().clone()
    } else {
        OffsetBuffer::from_lengths(lists.offsets().windows(2).map(|pair| (pair[1] - pair[0]) as usize))
    };
    let items = lists.values().slice(first, last - first);
    let items = fit_part(column, &items, item, None, wrong)?;
    Some(Arc::new(ListArray::try_new(item.clone(), offsets, items, lists.nulls().cloned()).ok()?))
}

fn structure(
    column: &str,
    found: &StructArray,
    fields: &arrow::datatypes::Fields,
    wrong: &mut Vec<Misfit>,
) -> Option<StructArray> {
    let (mut parts, before) = (Vec::with_capacity(fields.len()), wrong.len());
    for field in fields {
        let name = format!("{column}.{}", field.name());
        match found.column_by_name(field.name()) {
            Some(part) => parts.extend(fit_part(&name, part, field, found.nulls(), wrong)),
            None if field.is_nullable() => parts.push(new_null_array(field.data_type(), found.len())),
            None => wrong.push(Misfit::Missing { column: name }),
        }
    }
    if wrong.len() > before {
        return None;
    }
    // Where the whole is null its parts are too, whatever they are marked as.
    let parts = parts.into_iter().zip(fields).map(|(part, field)| filled(part, field)).collect();
    StructArray::try_new(fields.clone(), parts, found.nulls().cloned()).ok()
}

/// A part that may have no null, without the marks of those that lie where the whole is null.
fn filled(part: ArrayRef, field: &Field) -> ArrayRef {
    if field.is_nullable() || part.null_count() == 0 {
        return part;
    }
    part.to_data().into_builder().nulls(None).build().map_or(part, make_array)
}

/// Keys and values by their place, whatever they are called.
fn map(column: &str, found: &MapArray, entries: &FieldRef, sorted: bool, wrong: &mut Vec<Misfit>) -> Option<ArrayRef> {
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key, value] = &fields[..] else { return None };
    let keys = fit_part(&format!("{column}.key"), found.keys(), key, None, wrong);
    let values = fit_part(&format!("{column}.value"), found.values(), value, None, wrong);
    let inside = if found.keys().is_empty() {
        StructArray::try_new(
            fields.clone(),
            vec![new_empty_array(key.data_type()), new_empty_array(value.data_type())],
            None,
        )
    } else {
        StructArray::try_new(fields.clone(), vec![keys?, values?], None)
    };
    let offsets = found.offsets().clone();
    Some(Arc::new(MapArray::try_new(entries.clone(), offsets, inside.ok()?, found.nulls().cloned(), sorted).ok()?))
}

//! What is missing or wrong in a recording, gathered while it is decoded.
//!
//! Nothing of it refuses a recording: what can be decoded is heard, and the row of `calls` says what cannot.

use schema::Damage;

/// Entries that a row has at most. What comes after these adds to the last one of its kind, so that a file that is spoiled
/// throughout does not fill the table.
const MAX_ENTRIES: usize = 100;
/// Entries of one kind that are no further apart than this many seconds are one: a syllable between two holes is no sound
/// that a reader would look for.
const NEAR_S: f64 = 0.5;

/// What can be wrong. The texts are those of `calls.damage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The end that the header promises is not there, or the file ends within a packet.
    CutOff,
    /// Packets are missing or cannot be decoded; silence of that length stands there, so that later times stay right.
    Lost,
    /// Bytes between the packets that are no sound, and stand for none.
    Garbage,
    /// The header says something untrue; the sound was read by what is there.
    Header,
    /// A part of the recording that was not heard: its channels are not those that consent is known for.
    Withheld,
}

impl Kind {
    fn text(self) -> &'static str {
        match self {
            Self::CutOff => "cut_off",
            Self::Lost => "lost",
            Self::Garbage => "garbage",
            Self::Header => "header",
            Self::Withheld => "withheld",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    kind: Kind,
    at_s: f64,
    /// Seconds that are missing.
    length_s: f64,
    /// Where the last of what was merged into it ends.
    end_s: f64,
}

/// The damage found so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damages(Vec<Entry>);

impl Damages {
    /// Notes damage of `length_s` seconds at `at_s` seconds of the call. The length is that of the sound that is missing:
    /// 0 where none is, or where it is not known.
    pub fn note(&mut self, kind: Kind, at_s: f64, length_s: f64) {
        let sane = |s: f64| if s.is_finite() { s.max(0.0) } else { 0.0 };
        let (at_s, length_s) = (sane(at_s), sane(length_s));
        let full = self.0.len() >= MAX_ENTRIES;
        match self.0.iter_mut().rev().find(|entry| entry.kind == kind) {
            Some(last) if full || (at_s <= last.end_s + NEAR_S && at_s >= last.at_s) => {
                last.length_s += length_s;
                last.end_s = last.end_s.max(at_s + length_s);
            }
            _ => self.0.push(Entry { kind, at_s, length_s, end_s: at_s + length_s }),
        }
    }

    /// Rows for `calls.damage`, in order of time.
    pub fn rows(&self) -> Vec<Damage> {
        let ms = |s: f64| (s * 1000.0).round() as i64;
        let row = |e: &Entry| Damage { kind: e.kind.text().into(), at_ms: ms(e.at_s), length_ms: ms(e.length_s) };
        let mut rows: Vec<Damage> = self.0.iter().map(row).collect();
        rows.sort_by_key(|row| row.at_ms); // stable: of one moment in the order in which they were found
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(found: &[(Kind, f64, f64)]) -> Vec<(String, i64, i64)> {
        let mut damages = Damages::default();
        for &(kind, at, length) in found {
            damages.note(kind, at, length);
        }
        damages.rows().into_iter().map(|d| (d.kind, d.at_ms, d.length_ms)).collect()
    }

    #[test]
    fn neighbours_of_one_kind_are_one() {
        let found = [
            (Kind::Lost, 1.0, 0.1),
            (Kind::Lost, 1.2, 0.1),
            (Kind::Garbage, 1.3, 0.0),
            (Kind::Lost, 1.35, 0.2),
            (Kind::Lost, 9.0, 0.02),
            (Kind::CutOff, 11.0, 7.5),
        ];
        let want = [("lost", 1000, 400), ("garbage", 1300, 0), ("lost", 9000, 20), ("cut_off", 11_000, 7500)];
        assert_eq!(rows(&found), want.map(|(kind, at, length)| (kind.to_owned(), at, length)));
    }

    #[test]
    fn the_list_is_bounded_and_loses_no_length() {
        let found: Vec<_> = (0..1000).map(|i| (Kind::Lost, f64::from(i) * 10.0, 0.5)).collect();
        let rows = rows(&found);
        assert_eq!(rows.len(), MAX_ENTRIES);
        assert_eq!(rows.iter().map(|row| row.2).sum::<i64>(), 500_000);
    }

    #[test]
    fn numbers_that_are_none() {
        assert_eq!(rows(&[(Kind::Header, f64::NAN, f64::INFINITY)]), [("header".to_owned(), 0, 0)]);
    }
}

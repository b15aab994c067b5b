//! The form of an answer, byte by byte: which tokens keep it valid.
//!
//! An answer is `{"points":[{"text":"...","turns":[3,5]},...]}` without spaces between its parts. [`Place`] is where in it a
//! text stands; it takes one byte after another, or refuses one. Whatever the model prefers, what is written is a prefix of
//! a valid answer, so that nothing needs to be guessed when it is read.

use std::ops::RangeInclusive;

const OPEN: &[u8] = br#"{"points":["#;
const TEXT: &[u8] = br#"{"text":""#;
const TURNS: &[u8] = br#","turns":["#;
const CLOSE: &[u8] = b"]}";

/// What an answer may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Most points; there may be none.
    pub points: usize,
    /// Most characters of a point's text, as Unicode scalars; there is at least one.
    pub characters: usize,
    /// Most turns that a point names; it names at least one.
    pub turns: usize,
    /// The numbers that turns have.
    pub numbers: RangeInclusive<u32>,
}

/// A place in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    part: Part,
    /// Points that were begun.
    points: usize,
    /// Characters of the text, or turns of the point, that were begun.
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// This many bytes of `{"points":[`.
    Open(usize),
    /// Before the first point, or the end of an empty list.
    First,
    /// This many bytes of `{"text":"`.
    Key(usize),
    Text,
    /// Behind a `\`.
    Escape,
    /// In a character of several bytes: this many are left, the next one lies in the range.
    Inside(u8, u8, u8),
    /// This many bytes of `,"turns":[`.
    Turns(usize),
    /// This number so far; none before its first digit.
    Number(Option<u32>),
    /// Behind a point's list of turns.
    PointEnd,
    /// Behind a point.
    Next,
    /// This many bytes of `]}`.
    Close(usize),
}

impl Place {
    /// Before the first byte.
    pub(super) const START: Self = Self { part: Part::Open(0), points: 0, count: 0 };

    /// Whether the answer is whole.
    pub(super) fn is_end(self) -> bool {
        self.part == Part::Close(CLOSE.len())
    }

    /// The place behind a token's bytes; `None` where they do not fit. A token without bytes fits nowhere.
    pub(super) fn after(self, bytes: &[u8], form: &Form) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        bytes.iter().try_fold(self, |place, &byte| place.next(byte, form))
    }

    fn next(self, byte: u8, form: &Form) -> Option<Self> {
        let at = |part| Some(Self { part, ..self });
        let fixed = |text: &[u8], at: usize| text.get(at).filter(|&&b| b == byte).map(|_| at + 1 == text.len());
        match self.part {
            Part::Open(n) => at(if fixed(OPEN, n)? { Part::First } else { Part::Open(n + 1) }),
            Part::First | Part::Next if byte == b']' => at(Part::Close(1)),
            Part::Next if byte == b',' && self.points < form.points => at(Part::Key(0)),
            Part::First | Part::Key(0) => self.begin(byte, form),
            Part::Key(n) if fixed(TEXT, n)? => Some(Self { part: Part::Text, count: 0, ..self }),
            Part::Key(n) => at(Part::Key(n + 1)),
            Part::Text if byte == b'"' => (self.count > 0).then_some(Self { part: Part::Turns(0), ..self }),
            Part::Text if self.count >= form.characters => None,
            Part::Text => {
                // Table 3-7 of the Unicode standard: what may follow the first byte of a character.
                let part = match byte {
                    b'\\' => Part::Escape,
                    0x20..=0x7e => Part::Text,
                    0xc2..=0xdf => Part::Inside(1, 0x80, 0xbf),
                    0xe0 => Part::Inside(2, 0xa0, 0xbf),
                    0xed => Part::Inside(2, 0x80, 0x9f),
                    0xe1..=0xef => Part::Inside(2, 0x80, 0xbf),
                    0xf0 => Part::Inside(3, 0x90, 0xbf),
                    0xf1..=0xf3 => Part::Inside(3, 0x80, 0xbf),
                    0xf4 => Part::Inside(3, 0x80, 0x8f),
                    _ => return None,
                };
                Some(Self { part, count: self.count + 1, ..self })
            }
            Part::Escape => matches!(byte, b'"' | b'\\').then_some(Self { part: Part::Text, ..self }),
            Part::Inside(left, low, high) if (low..=high).contains(&byte) => {
                at(if left == 1 { Part::Text } else { Part::Inside(left - 1, 0x80, 0xbf) })
            }
            Part::Next | Part::Inside(..) => None,
            Part::Turns(n) if fixed(TURNS, n)? => Some(Self { part: Part::Number(None), count: 1, ..self }),
            Part::Turns(n) => at(Part::Turns(n + 1)),
            Part::Number(Some(number)) if form.numbers.contains(&number) && byte == b']' => at(Part::PointEnd),
            Part::Number(Some(number)) if form.numbers.contains(&number) && byte == b',' => {
                (self.count < form.turns).then_some(Self { part: Part::Number(None), count: self.count + 1, ..self })
            }
            Part::Number(number) => {
                let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
                // JSON has no leading zeros.
                let number = match number {
                    Some(0) => return None,
                    Some(number) => number.checked_mul(10)?.checked_add(digit)?,
                    None => digit,
                };
                leads(number, &form.numbers).then_some(Self { part: Part::Number(Some(number)), ..self })
            }
            Part::PointEnd => (byte == b'}').then_some(Self { part: Part::Next, ..self }),
            Part::Close(n) => {
                fixed(CLOSE, n)?;
                at(Part::Close(n + 1))
            }
        }
    }

    fn begin(self, byte: u8, form: &Form) -> Option<Self> {
        let may = byte == TEXT[0] && self.points < form.points;
        may.then_some(Self { part: Part::Key(1), points: self.points + 1, ..self })
    }
}

/// Whether some number of the range begins with these digits.
fn leads(digits: u32, range: &RangeInclusive<u32>) -> bool {
    let (mut low, mut high) = (u64::from(digits), u64::from(digits));
    while low <= u64::from(*range.end()) {
        if high >= u64::from(*range.start()) {
            return true;
        }
        if digits == 0 {
            return false;
        }
        (low, high) = (low * 10, high * 10 + 9);
    }
    false
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::llm) fn form(numbers: RangeInclusive<u32>) -> Form {
        Form { points: 3, characters: 24, turns: 4, numbers }
    }

    fn fits(text: &str) -> bool {
        Place::START.after(text.as_bytes(), &form(3..=14)).is_some()
    }

    #[test]
    fn what_fits_and_what_does_not() {
        let whole = r#"{"points":[{"text":"A \"bill\" für 5 €.","turns":[3,14]},{"text":"b","turns":[5]}]}"#;
        assert!(Place::START.after(whole.as_bytes(), &form(3..=14)).is_some_and(Place::is_end));
        assert!(Place::START.after(br#"{"points":[]}"#, &form(3..=14)).is_some_and(Place::is_end));
        for end in 1..whole.len() {
            let place = Place::START.after(&whole.as_bytes()[..end], &form(3..=14));
            assert!(place.is_some_and(|place| !place.is_end()), "{end}");
        }
        for refused in [
            r"[",
            r#"{ "points""#,
            r#"{"points":[]}x"#,
            r#"{"points":[,"#,
            r#"{"points":[{"text":"""#,
            "{\"points\":[{\"text\":\"a\n",
            r#"{"points":[{"text":"a\n"#,
            r#"{"points":[{"text":"a","turns":[]"#,
            r#"{"points":[{"text":"a","turns":[03"#,
            r#"{"points":[{"text":"a","turns":[2"#,
            r#"{"points":[{"text":"a","turns":[15"#,
            r#"{"points":[{"text":"a","turns":[1]"#,
            r#"{"points":[{"text":"a","turns":[3,4,5,6,7"#,
            r#"{"points":[{"text":"a","turns":[3]},]"#,
            r#"{"points":[{"text":"a text of more than twenty"#,
        ] {
            assert!(!fits(refused), "{refused}");
        }
        let three = r#"{"points":[{"text":"a","turns":[3]},{"text":"b","turns":[3]},{"text":"c","turns":[3]}"#;
        assert!(fits(three) && !fits(&format!("{three},")) && fits(&format!("{three}]}}")));
    }

    #[test]
    fn numbers_by_their_first_digits() {
        let range = 30..=1204;
        for digits in 0..=2000u32 {
            let expected = range.clone().any(|n| n.to_string().starts_with(&digits.to_string()));
            assert_eq!(leads(digits, &range), expected, "{digits}");
        }
        assert!(leads(0, &(0..=3)) && !leads(0, &(1..=3)) && leads(u32::MAX, &(0..=u32::MAX)));
    }

    proptest! {
        /// Bytes in a random order of preference, the first that fits taken: the answer ends, and is what it should be.
        #[test]
        fn whatever_is_preferred_the_answer_reads(seed in any::<u64>(), low in 0u32..200, more in 0u32..3000) {
            let form = form(low..=low + more);
            let (mut place, mut answer, mut random) = (Place::START, Vec::new(), seed);
            while !place.is_end() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let first = (random >> 33) as u8;
                let byte = (0..=255u8).map(|step| first.wrapping_add(step)).find(|&b| place.next(b, &form).is_some());
                let byte = byte.expect("a byte that fits");
                place = place.next(byte, &form).expect("it fits");
                answer.push(byte);
            }
            let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
            let points = answer["points"].as_array().expect("points");
            prop_assert!(points.len() <= form.points);
            for point in points {
                let length = point["text"].as_str().expect("a text").chars().count();
                prop_assert!((1..=form.characters).contains(&length));
                let turns = point["turns"].as_array().expect("turns");
                prop_assert!((1..=form.turns).contains(&turns.len()));
                prop_assert!(turns.iter().all(|turn| form.numbers.contains(&(turn.as_u64().expect("a number") as u32))));
            }
        }
    }
}

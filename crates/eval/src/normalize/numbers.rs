//! Spoken numbers to digits, by the rules of `EnglishNumberNormalizer` (see the module above for the source).
//!
//! A number grows word by word. While it is [`Value::Whole`], words add to it as they do in speech ("two hundred" "and"
//! "five"); once digits were put side by side ("one oh one", "nineteen ninety-nine", "3." "14") it is
//! [`Value::Joined`], and further words are put beside them. All powers are powers of ten, so digits are text
//! throughout and numbers have no largest.

use super::{
    SPACE, compiled,
    digits::{canonical, multiplied, numeric, scaled},
    runs::{replace_runs, word_starts},
    words_of,
};
use regex::{Captures, Regex};
use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

/// What a word does to a number.
#[derive(Clone, Copy)]
enum Role {
    /// zero, oh, o
    Zero,
    /// one to nineteen
    Unit(u8),
    /// the plural or ordinal of one
    UnitEnd(u8, &'static str),
    /// twenty to ninety
    Ten(u8),
    TenEnd(u8, &'static str),
    /// hundred and up, as the count of zeros
    Power(u8),
    PowerEnd(u8, &'static str),
    /// minus, plus: before a number
    Sign(char),
    /// dollars, cents: after a number, written before it
    Currency(char),
    Per,
    Percent,
    And,
    /// double, triple, with the count
    Repeat(usize),
    Point,
}

const UNITS: [&str; 19] = [
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const POWERS: [(&str, u8); 12] = [
    ("hundred", 2),
    ("thousand", 3),
    ("million", 6),
    ("billion", 9),
    ("trillion", 12),
    ("quadrillion", 15),
    ("quintillion", 18),
    ("sextillion", 21),
    ("septillion", 24),
    ("octillion", 27),
    ("nonillion", 30),
    ("decillion", 33),
];
const PREFIXES: [char; 6] = ['-', '+', '£', '€', '$', '¢'];

/// All number words.
static ROLES: LazyLock<HashMap<String, Role>> = LazyLock::new(|| {
    let mut roles = HashMap::new();
    for zero in ["zero", "oh", "o"] {
        roles.insert(zero.to_owned(), Role::Zero);
    }
    for (value, name) in (1..).zip(UNITS) {
        roles.insert(name.to_owned(), Role::Unit(value));
        let plural = if name == "six" { "sixes".to_owned() } else { format!("{name}s") };
        roles.insert(plural, Role::UnitEnd(value, "s"));
        if value > 3 && value != 5 && value != 12 {
            let ordinal = if name.ends_with('t') { format!("{name}h") } else { format!("{name}th") };
            roles.insert(ordinal, Role::UnitEnd(value, "th"));
        }
    }
    for (ordinal, value, end) in [
        ("zeroth", 0, "th"),
        ("first", 1, "st"),
        ("second", 2, "nd"),
        ("third", 3, "rd"),
        ("fifth", 5, "th"),
        ("twelfth", 12, "th"),
    ] {
        roles.insert(ordinal.to_owned(), Role::UnitEnd(value, end));
    }
    for (value, name) in (20..).step_by(10).zip(TENS) {
        roles.insert(name.to_owned(), Role::Ten(value));
        roles.insert(name.replace('y', "ies"), Role::TenEnd(value, "s"));
        roles.insert(name.replace('y', "ieth"), Role::TenEnd(value, "th"));
    }
    for (name, zeros) in POWERS {
        roles.insert(name.to_owned(), Role::Power(zeros));
        roles.insert(format!("{name}s"), Role::PowerEnd(zeros, "s"));
        roles.insert(format!("{name}th"), Role::PowerEnd(zeros, "th"));
    }
    let others = [
        ("minus", Role::Sign('-')),
        ("negative", Role::Sign('-')),
        ("plus", Role::Sign('+')),
        ("positive", Role::Sign('+')),
        ("pound", Role::Currency('£')),
        ("pounds", Role::Currency('£')),
        ("euro", Role::Currency('€')),
        ("euros", Role::Currency('€')),
        ("dollar", Role::Currency('$')),
        ("dollars", Role::Currency('$')),
        ("cent", Role::Currency('¢')),
        ("cents", Role::Currency('¢')),
        ("per", Role::Per),
        ("percent", Role::Percent),
        ("and", Role::And),
        ("double", Role::Repeat(2)),
        ("triple", Role::Repeat(3)),
        ("point", Role::Point),
    ];
    roles.extend(others.map(|(name, role)| (name.to_owned(), role)));
    roles
});

fn role(word: Option<&str>) -> Option<Role> {
    ROLES.get(word?).copied()
}

/// A number under way.
#[derive(Clone)]
enum Value {
    /// Decimal digits without leading zeros, to be added to.
    Whole(String),
    /// Digits, points and currency signs side by side.
    Joined(String),
}

impl Value {
    fn text(&self) -> &str {
        match self {
            Self::Whole(text) | Self::Joined(text) => text,
        }
    }

    /// The digits to put others beside: a whole nought counts as nothing.
    fn digits(value: Option<Self>) -> String {
        match value {
            Some(Self::Joined(text)) => text,
            Some(Self::Whole(text)) if text != "0" => text,
            _ => String::new(),
        }
    }

    /// The number with a word of one to ninety added or put beside it.
    fn with(value: Option<Self>, number: u8, before: Option<Role>) -> Self {
        let width = if number < 10 { 1 } else { 2 };
        match value {
            None => Self::Whole(number.to_string()),
            // "one twenty" "five": the five takes the place of the nought.
            Some(Self::Joined(mut text)) if width == 1 && matches!(before, Some(Role::Ten(_))) => {
                text.pop();
                Self::Joined(format!("{text}{number}"))
            }
            Some(Self::Whole(digits)) if digits == "0" => Self::Whole(number.to_string()),
            Some(Self::Whole(digits))
                if !matches!(before, Some(Role::Unit(_)))
                    && digits.len() >= width
                    && digits.ends_with(&"00"[..width]) =>
            {
                Self::Whole(format!("{}{number}", &digits[..digits.len() - width]))
            }
            Some(Self::Whole(text) | Self::Joined(text)) => Self::Joined(format!("{text}{number}")),
        }
    }
}

#[derive(Default)]
struct Reader {
    out: Vec<String>,
    prefix: Option<char>,
    value: Option<Value>,
}

impl Reader {
    /// Writes a word or a finished number, behind the prefix that waits for it.
    fn write(&mut self, text: &str) {
        self.value = None;
        self.out.push(self.prefix.take().map_or_else(|| text.to_owned(), |prefix| format!("{prefix}{text}")));
    }

    /// Writes the number under way, if there is one.
    fn flush(&mut self) {
        if let Some(value) = self.value.take() {
            self.write(value.text());
        }
    }

    fn flush_and_write(&mut self, word: &str) {
        self.flush();
        self.write(word);
    }

    /// A number in digits, perhaps behind a sign.
    fn number(&mut self, word: &str, bare: &str) {
        if let Some(Value::Joined(text)) = &mut self.value
            && text.ends_with('.')
        {
            text.push_str(word);
            return;
        }
        self.flush();
        if bare.len() < word.len() {
            self.prefix = word.chars().next();
        }
        self.value = Some(scaled(bare, 0).map_or_else(|| Value::Joined(bare.to_owned()), Value::Whole));
    }

    fn power(&mut self, zeros: u8) {
        let one = || format!("1{}", "0".repeat(zeros.into()));
        self.value = Some(Value::Whole(match self.value.take() {
            None => one(),
            Some(Value::Whole(digits)) => multiplied(&digits, zeros),
            Some(Value::Joined(text)) => scaled(&text, zeros).unwrap_or_else(|| {
                self.write(&text);
                one()
            }),
        }));
    }

    fn power_end(&mut self, zeros: u8, end: &str) {
        self.power(zeros);
        if let Some(value) = self.value.take() {
            self.write(&format!("{}{end}", value.text()));
        }
    }

    /// Reads a word between its neighbours. Returns whether the next word is used up too.
    fn read(&mut self, before: Option<&str>, word: &str, next: Option<&str>) -> bool {
        let bare = word.strip_prefix(PREFIXES).unwrap_or(word);
        if numeric(bare) {
            self.number(word, bare);
            return false;
        }
        let Some(this) = role(Some(word)) else {
            self.flush_and_write(word);
            return false;
        };
        let (before, following) = (role(before), role(next));
        let number_follows = following.is_some() || next.is_some_and(numeric);
        match this {
            Role::Zero => self.value = Some(Value::Joined(Value::digits(self.value.take()) + "0")),
            Role::Unit(number) | Role::Ten(number) => {
                self.value = Some(Value::with(self.value.take(), number, before));
            }
            Role::UnitEnd(number, end) | Role::TenEnd(number, end) => {
                let value = Value::with(self.value.take(), number, before);
                self.write(&format!("{}{end}", value.text()));
            }
            Role::Power(zeros) => self.power(zeros),
            Role::PowerEnd(zeros, end) => self.power_end(zeros, end),
            Role::Sign(sign) => {
                self.flush();
                if number_follows {
                    self.prefix = Some(sign);
                } else {
                    self.write(word);
                }
            }
            Role::Currency(sign) => {
                if self.value.is_some() {
                    self.prefix = Some(sign);
                    self.flush();
                } else {
                    self.write(word);
                }
            }
            Role::Percent | Role::Per => {
                let per_cent = matches!(this, Role::Percent) || next == Some("cent");
                match self.value.take() {
                    Some(value) if per_cent => {
                        self.write(&format!("{}%", value.text()));
                        return matches!(this, Role::Per);
                    }
                    value => {
                        self.value = value;
                        self.flush_and_write(word);
                    }
                }
            }
            Role::And | Role::Repeat(_) | Role::Point if !number_follows => self.flush_and_write(word),
            // "two hundred and five": nothing is between hundred and five.
            Role::And if matches!(before, Some(Role::Power(_))) => {}
            Role::And => self.flush_and_write(word),
            Role::Repeat(count) => {
                let digit = match following {
                    Some(Role::Unit(digit)) => digit.to_string(),
                    Some(Role::Zero) => "0".to_owned(),
                    _ => {
                        self.flush_and_write(word);
                        return false;
                    }
                };
                self.value = Some(Value::Joined(Value::digits(self.value.take()) + &digit.repeat(count)));
                return true;
            }
            Role::Point => {
                // Before a word that only goes with numbers, such as dollars, a point is lost; so it is in the source.
                if matches!(following, Some(Role::Unit(_) | Role::Ten(_) | Role::Zero)) || next.is_some_and(numeric) {
                    self.value = Some(Value::Joined(Value::digits(self.value.take()) + "."));
                }
            }
        }
        false
    }
}

/// Replaces "and a half" behind a number by "point five".
fn halves(text: &str) -> String {
    static HALF: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("and{SPACE}+a{SPACE}+half")));
    let mut parts = Vec::new();
    let mut done = 0;
    for half in HALF.find_iter(text) {
        let inside = text[..half.start()].chars().next_back().is_some_and(super::runs::in_word);
        if inside || word_starts(&text[half.end()..]) {
            continue;
        }
        let part = &text[done..half.start()];
        done = half.end();
        if let Some(last) = words_of(part).last() {
            let number = matches!(role(Some(last)), Some(Role::Unit(_) | Role::Ten(_) | Role::Zero | Role::Power(_)));
            parts.extend([part, if number { "point five" } else { "and a half" }]);
        }
    }
    parts.push(&text[done..]);
    parts.join(" ")
}

/// Separates digits from letters, but for the endings of ordinals and plurals.
fn separated(text: &str) -> String {
    static LETTER_DIGIT: LazyLock<Regex> = LazyLock::new(|| compiled("([a-z])([0-9])"));
    static DIGIT_LETTER: LazyLock<Regex> = LazyLock::new(|| compiled("([0-9])([a-z])"));
    static ENDING: LazyLock<Regex> = LazyLock::new(|| compiled(&format!("([0-9]){SPACE}+(st|nd|rd|th|s)")));
    let text = LETTER_DIGIT.replace_all(text, "$1 $2");
    let text = DIGIT_LETTER.replace_all(&text, "$1 $2");
    let joined = ENDING.replace_all(&text, |found: &Captures| {
        if word_starts(&text[end(found)..]) { found[0].to_owned() } else { format!("{}{}", &found[1], &found[2]) }
    });
    joined.into_owned()
}

/// Where a match ends.
fn end(found: &Captures) -> usize {
    found.get(0).map_or(0, |m| m.end())
}

/// "$2 and ¢7" to "$2.07", "$0.5" to "¢5", and 1 to one.
fn polished(text: &str) -> String {
    static CENTS: LazyLock<Regex> = LazyLock::new(|| compiled("([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})"));
    static ONLY_CENTS: LazyLock<Regex> = LazyLock::new(|| compiled("[€£$]0.([0-9]{1,2})"));
    let summed = CENTS.replace_all(text, |found: &Captures| {
        if word_starts(&text[end(found)..]) {
            found[0].to_owned()
        } else {
            format!("{}{}.{:0>2}", &found[1], &found[2], &found[3])
        }
    });
    let cents = ONLY_CENTS.replace_all(&summed, |found: &Captures| {
        if word_starts(&summed[end(found)..]) { found[0].to_owned() } else { format!("¢{}", canonical(&found[1])) }
    });
    replace_runs(&cents, |run| match run {
        "1" => Some(Cow::Borrowed("one")),
        "1s" => Some(Cow::Borrowed("ones")),
        _ => None,
    })
}

/// The text with its spoken numbers in digits.
pub(super) fn in_digits(text: &str) -> String {
    let text = separated(&halves(text));
    let words: Vec<&str> = words_of(&text).collect();
    let mut reader = Reader::default();
    let mut used = false;
    for (i, word) in words.iter().enumerate() {
        used = !used && {
            let before = i.checked_sub(1).map(|i| words[i]);
            reader.read(before, word, words.get(i + 1).copied())
        };
    }
    reader.flush();
    polished(&reader.out.join(" "))
}

#[cfg(test)]
mod tests {
    use super::in_digits;

    #[test]
    fn numbers_have_no_largest() {
        let large = "9".repeat(60);
        assert_eq!(in_digits(&format!("{large} thousand")), format!("1{}998000", "0".repeat(54)));
    }
}

//! The Porter stemmer as NLTK has it, since the published scores that we stand beside were made with it.
//!
//! M. Porter, "An algorithm for suffix stripping", Program 14.3, 1980, with the departures of NLTK's `PorterStemmer` in its
//! default mode (nltk/stem/porter.py: irregular forms, short words, "ies", "ied", "y", "alli", "fulli", "logi"). The crate
//! rust-stemmers has Porter's second algorithm, which gives other stems; goldens of NLTK hold this one to its own.

/// Forms that the rules would take apart wrongly.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

/// Step 2: endings and what stands for them where a syllable comes before.
const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

/// Step 3, likewise.
const STEP_3: [(&str, &str); 7] =
    [("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", "")];

/// Step 4: endings that fall where two syllables come before.
const STEP_4: [&str; 19] = [
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
];

/// The stem of a word, in lower case.
pub fn stem(word: &str) -> String {
    let word = word.to_lowercase();
    if let Some((_, stem)) = IRREGULAR.iter().find(|(form, _)| *form == word) {
        return (*stem).to_owned();
    }
    if word.chars().count() <= 2 {
        return word;
    }
    let word = step_1c(step_1b(step_1a(word)));
    let word = step_4(replace(step_2(word), &STEP_3));
    step_5(word)
}

fn step_1a(word: String) -> String {
    if word.ends_with("ies") && word.chars().count() == 4 {
        return cut(&word, 1).to_owned();
    }
    match () {
        () if word.ends_with("sses") || word.ends_with("ies") => cut(&word, 2).to_owned(),
        () if word.ends_with("ss") => word,
        () if word.ends_with('s') => cut(&word, 1).to_owned(),
        () => word,
    }
}

fn step_1b(word: String) -> String {
    if word.ends_with("ied") {
        let short = word.chars().count() == 4;
        return cut(&word, if short { 1 } else { 2 }).to_owned();
    }
    if let Some(before) = word.strip_suffix("eed") {
        return if measure(before) > 0 { format!("{before}ee") } else { word };
    }
    let ending = ["ed", "ing"].into_iter().find_map(|e| word.strip_suffix(e).filter(|before| has_vowel(before)));
    let Some(before) = ending else { return word };
    if ["at", "bl", "iz"].iter().any(|e| before.ends_with(e)) {
        return format!("{before}e");
    }
    if double_consonant(before) {
        let single = !before.ends_with(['l', 's', 'z']);
        return if single { cut(before, 1).to_owned() } else { before.to_owned() };
    }
    if measure(before) == 1 && ends_cvc(before) { format!("{before}e") } else { before.to_owned() }
}

fn step_1c(word: String) -> String {
    match word.strip_suffix('y') {
        Some(before) if before.chars().count() > 1 && consonants(before).last() == Some(&true) => format!("{before}i"),
        _ => word,
    }
}

fn step_2(word: String) -> String {
    if let Some(before) = word.strip_suffix("alli")
        && measure(before) > 0
    {
        return step_2(format!("{before}al"));
    }
    if STEP_2.iter().any(|(ending, _)| word.ends_with(ending)) {
        return replace(word, &STEP_2);
    }
    match word.strip_suffix("ogi") {
        Some(before) if word.ends_with("logi") && measure(before) > 0 => cut(&word, 1).to_owned(),
        _ => word,
    }
}

fn step_4(word: String) -> String {
    let Some(before) = STEP_4.iter().find_map(|ending| word.strip_suffix(ending)) else { return word };
    let fits = !word.ends_with("ion") || before.ends_with(['s', 't']);
    if fits && measure(before) > 1 { before.to_owned() } else { word }
}

fn step_5(mut word: String) -> String {
    if let Some(before) = word.strip_suffix('e') {
        let syllables = measure(before);
        if syllables > 1 || (syllables == 1 && !ends_cvc(before)) {
            word.pop();
        }
    }
    if word.ends_with("ll") && measure(cut(&word, 1)) > 1 {
        word.pop();
    }
    word
}

/// The first ending that fits is replaced, if a syllable comes before it; no other is tried.
fn replace(word: String, rules: &[(&str, &str)]) -> String {
    let found = rules.iter().find_map(|(ending, new)| Some((word.strip_suffix(ending)?, new)));
    match found {
        Some((before, new)) if measure(before) > 0 => format!("{before}{new}"),
        _ => word,
    }
}

/// Without the last characters.
fn cut(word: &str, characters: usize) -> &str {
    word.char_indices().rev().nth(characters.saturating_sub(1)).map_or("", |(at, _)| &word[..at])
}

/// Whether each letter is a consonant; a y is one unless a consonant stands before it.
fn consonants(word: &str) -> Vec<bool> {
    let mut flags: Vec<bool> = Vec::with_capacity(word.len());
    for letter in word.chars() {
        flags.push(match letter {
            'a' | 'e' | 'i' | 'o' | 'u' => false,
            'y' => flags.last().is_none_or(|before| !before),
            _ => true,
        });
    }
    flags
}

/// Porter's m: how often a vowel is followed by a consonant.
fn measure(word: &str) -> usize {
    consonants(word).windows(2).filter(|pair| !pair[0] && pair[1]).count()
}

fn has_vowel(word: &str) -> bool {
    consonants(word).contains(&false)
}

fn double_consonant(word: &str) -> bool {
    let mut letters = word.chars().rev();
    let (last, before) = (letters.next(), letters.next());
    last.is_some() && last == before && consonants(word).last() == Some(&true)
}

/// Consonant, vowel, consonant other than w, x, y; or a word of vowel and consonant.
fn ends_cvc(word: &str) -> bool {
    match consonants(word)[..] {
        [false, true] => true,
        [.., true, false, true] => !word.ends_with(['w', 'x', 'y']),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_words() {
        let pairs = "caresses caress ponies poni cats cat feed feed agreed agre plastered plaster motoring motor sing sing \
            conflated conflat hopping hop falling fall filing file happy happi rational ration digitizer digit \
            triplicate triplic hopefulness hope revival reviv adoption adopt controlling control rate rate cease ceas";
        let words: Vec<&str> = pairs.split_whitespace().collect();
        for pair in words.chunks(2) {
            assert_eq!(stem(pair[0]), pair[1], "{}", pair[0]);
        }
        assert_eq!(
            ["dies", "flies", "enjoy", "Skies", "a", "", "déjà"].map(stem),
            ["die", "fli", "enjoy", "sky", "a", "", "déjà"]
        );
    }

    /// Goldens by `scripts/make-goldens-metrics.py`, which writes those of a whole vocabulary with `--all`.
    #[test]
    fn stems_are_those_of_nltk() {
        let mut words = include_str!("../../tests/data/stems.tsv").to_owned();
        if let Ok(wide) = std::env::var("NIGHTCALL_WIDE_STEMS") {
            words = std::fs::read_to_string(wide).unwrap();
        }
        let pairs: Vec<(&str, &str)> = words.lines().map(|line| line.split_once('\t').unwrap()).collect();
        assert!(pairs.len() > 3000);
        let wrong: Vec<_> =
            pairs.iter().map(|(word, wanted)| (word, wanted, stem(word))).filter(|w| *w.1 != w.2).collect();
        assert!(wrong.is_empty(), "{} of {}: {:?}", wrong.len(), pairs.len(), &wrong[..wrong.len().min(20)]);
    }
}

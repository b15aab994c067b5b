//! Light compression: what only helps the speaker along is left out, nothing is put otherwise.

/// Sounds of hesitation, left out wherever they stand.
const HESITATIONS: [&str; 9] = ["um", "umm", "uhm", "uh", "uhh", "er", "erm", "hmm", "hm"];

/// Words that only lead into a sentence, left out at its start.
const LEAD_INS: [&str; 16] = [
    "so", "well", "okay", "ok", "oh", "ah", "and", "but", "right", "alright", "anyway", "also", "actually", "now",
    "mm", "yeah",
];

/// Words that only react to what was said, left out at the start where a comma or full stop parts them from the rest.
const REACTIONS: [&str; 20] = [
    "great",
    "perfect",
    "wonderful",
    "excellent",
    "good",
    "fine",
    "sure",
    "sorry",
    "thanks",
    "honestly",
    "of course",
    "all right",
    "thank you",
    "no problem",
    "to be honest",
    "i see",
    "then",
    "one more thing",
    "very good",
    "you know",
];

/// The sentence as a point of a summary: hesitations and lead-ins left out, a capital first, a mark last.
pub(crate) fn compress(sentence: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in sentence.split_whitespace() {
        if !HESITATIONS.contains(&bare(word).as_str()) {
            words.push(word);
        }
    }
    let mut rest = &words[..];
    while let Some(skip) = lead(rest) {
        rest = &rest[skip..];
    }
    // Nothing but lead-ins: the sentence stands as it is.
    let text = if rest.is_empty() { sentence.split_whitespace().collect::<Vec<_>>().join(" ") } else { rest.join(" ") };
    let text =
        text.trim_start_matches(|c: char| !c.is_alphanumeric() && !['"', '\'', '$', '\u{20ac}', '\u{a3}'].contains(&c));
    let mut chars = text.chars();
    let capital: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let text = capital + chars.as_str();
    let body = text.trim_end_matches([',', ';', ':', '-', ' ']);
    if body.ends_with(|c: char| c.is_alphanumeric() || c == '%') { format!("{body}.") } else { body.to_owned() }
}

/// How many words at the start can go; at least two words stay.
fn lead(words: &[&str]) -> Option<usize> {
    let lower = |n: usize| words[..n].iter().map(|w| bare(w)).collect::<Vec<_>>().join(" ");
    let parted = |n: usize| words[n - 1].ends_with([',', '.', '!', ';']);
    (1..=4usize).rev().filter(|n| n + 2 <= words.len()).find(|&n| {
        let text = lower(n);
        (n == 1 && LEAD_INS.contains(&text.as_str()) && !keeps_sense(words))
            || (parted(n) && REACTIONS.contains(&text.as_str()))
    })
}

/// Whether the first word is more than a lead-in: "so that", "right now", "well within".
fn keeps_sense(words: &[&str]) -> bool {
    let second = words.get(1).map(|w| bare(w)).unwrap_or_default();
    match bare(words[0]).as_str() {
        "so" => ["that", "far", "many", "much", "long", "is", "do"].contains(&second.as_str()),
        "right" => ["now", "after", "before", "away"].contains(&second.as_str()) && !words[0].ends_with(','),
        "well" => second == "within",
        "now" => !words[0].ends_with(',') && !["i", "we", "you", "it", "that"].contains(&second.as_str()),
        _ => false,
    }
}

fn bare(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_in_goes() {
        for (said, point) in [
            ("So, um, we have sixty people in two offices.", "We have sixty people in two offices."),
            ("But, um, I need the new contract reviewed", "I need the new contract reviewed."),
            ("Great, then let's meet next Wednesday at ten.", "Then let's meet next Wednesday at ten."),
            ("Roughly, uh, two hundred thousand dollars.", "Roughly, two hundred thousand dollars."),
            ("No, that discount ended in December.", "No, that discount ended in December."),
            ("So that is what we agreed on.", "So that is what we agreed on."),
            ("Right after this call I'll send it.", "Right after this call I'll send it."),
            ("well okay so", "Okay so."),
            ("um", "Um."),
            ("how much is it?", "How much is it?"),
            ("\u{e9}t\u{e9} is when we close", "\u{c9}t\u{e9} is when we close."),
        ] {
            assert_eq!(compress(said), point);
        }
    }
}

//! What a sentence's words tell about its part in the call.
//!
//! Lists of words and turns of phrase of spoken English. They steer; the vectors decide.

use regex::{Regex, RegexSet};
use std::{collections::HashSet, sync::LazyLock};

/// Words of courtesy and of keeping a talk going: a sentence of these and of stop words says nothing.
const COURTESY: &str = include_str!("courtesy.txt");

static EMPTY: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    let grammar = stop_words::get(stop_words::Language::English).iter().copied();
    grammar.chain(COURTESY.split_whitespace()).collect()
});

const NUMBERS: &str = r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|billion|dozen|half)";

const DAYS: &str = r"(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|june|july|august|september|october|november|december)";

const DEADLINE: &str = r"(?:by|before|on|until|within|next|this|in)";

const ACTION: &str = r"(?:send|email|mail|call|ring|phone|check|confirm|write|talk|speak|open|follow|schedule|book|arrange|prepare|forward|share|update|let you|let him|let her|let them|get back|get you|get that|get it|get the|issue|ask|copy|meet|review|set up|sign|put|include|explain|test|bring|come|turn|credit|refund|ship|deliver|order|replace|transfer|look into|find out|pay|tell|give|make sure|make a|make an|provide|submit|contact|reach|visit|organi[sz]e|fix|withdraw|cancel|start|do that|take care|install|invite|finish|fill|return|discuss|present|draft|process|pass|be in touch|see you|work on|move|change|add|buy|pick)";

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern, compiled by this file's tests")
}

fn patterns(texts: &[String]) -> RegexSet {
    RegexSet::new(texts).expect("constant patterns, compiled by this file's tests")
}

static NUMBER: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"\b{NUMBERS}\b|\d")));

static AMOUNT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:percent|dollars?|euros?|pounds?|cents|bucks)\b|[$€£%]"));

static DATE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"\b(?:{DAYS}|tomorrow|tonight|noon|(?:next|last|this) (?:week|month|year|quarter|summer|winter|spring)|(?:this|in the) (?:morning|afternoon|evening)|the end of|o'clock|[ap]\.?m\b)"
    ))
});

static DUE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"\b{DEADLINE} (?:the )?(?:{DAYS}|{NUMBERS}|\d+|tomorrow|noon|week|month|afternoon|morning|evening|lunch|end of)|\b(?:tomorrow|tonight|today|right away|right after|as soon as|next (?:week|month|{DAYS}))\b"
    ))
});

static COMMITS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        format!(
            r"\b(?:i|we)(?:'ll| will| am going to|'m going to| are going to|'re going to|'m gonna|'re gonna)(?: \w+){{0,2}} {ACTION}\b"
        ),
        r"\blet'?s (?:\w+ )?(?:meet|talk|have|schedule|speak|plan|set|catch|do|book|say|make|arrange|fix|touch)\b"
            .into(),
        format!(r"\b(?:someone|somebody|he|she|they|my \w+|our \w+(?: \w+)?)(?:'ll| will)(?: \w+){{0,2}} {ACTION}\b"),
    ])
});

static OFFERS: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"\b(?:i|we) can(?: \w+)? {ACTION}\b")));

static CAUSES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:because|due to|mistake|caused?|the reason|the cause|our fault|removed|moved to|expired|ended|turned out|forgot|instead of|since last)\b",
    )
});

static REQUESTS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        format!(r"\b(?:could|can|would|will) you(?: \w+){{0,2}} {ACTION}\b"),
        format!(r"\bplease(?: \w+)? {ACTION}\b"),
        format!(r"\b(?:i|we)(?:'d like| would like| want| need) you to (?:\w+ )?{ACTION}\b"),
        r"^(?:then |and |just |so )*(?:send|email|call|ring|give|let) (?:me|us|him|them)\b".into(),
    ])
});

static REASONS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:calling|call|phoning|ringing|ring|here|writing|reaching out)(?: you)?(?: today)? (?:about|because|regarding|concerning|to|with|for|on|in regard)\b".into(),
        r"\b(?:have|had|got|having|there is|there's|it's|with|is) (?:a|an|some|another|the)(?: \w+)? (?:question|query|problem|issue|complaint|enquiry|inquiry|trouble|request|fault|error)s?\b".into(),
        r"\b(?:i|we)(?:'d like| would like|'m looking|'re looking| are looking| am looking| need| want| wanted| wish| was wondering|'m wondering| was hoping)\b".into(),
        r"\b(?:is|are|been|was|were|went|be|it's|has|keeps?) (?:\w+ )?(?:down|broken|wrong|missing|late|stuck|blocked|gone|dead|faulty|overdue|incorrect|damaged|not working|failing|crashing)\b".into(),
        r"\b(?:doesn't|don't|isn't|not|won't|stopped|can't|cannot|couldn't|unable to|failed to) (?:work|working|arrive|arrived|log|access|get|find|connect|open|receive|received|use|export|pay|see)\b".into(),
        r"\b(?:help (?:me )?with|question about|problem with|issue with|trouble with|complain about|make a complaint|my (?:bill|invoice|account|order|contract|renewal)|your (?:renewal|contract|order|account|request)|charged|double|last time you told|regarding|concerning|it's about|trying to|phoned in|rang up|moved house)\b".into(),
        r"\b(?:didn't|haven't|hasn't|never|not) (?:received?|arrived?|got|get|come|had|heard)\b".into(),
    ])
});

static OUTCOMES: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:works?|working) (?:again|now|fine)\b|\b(?:is|are|it's|they're|that's) (?:back|fixed|restored|resolved|solved|sorted|settled|working|up and running)\b".into(),
        r"\b(?:we|i)(?:'ll| will|'re going to| are going to| have decided to|'ve decided to)(?: \w+)? (?:keep|cancel|take|go with|go ahead|renew|stay|accept|buy|sign|leave|switch|upgrade|proceed|move forward)\b".into(),
        r"\b(?:agreed|agree|decided|decision|deal|approved|settled|confirmed|accepted|concluded)\b".into(),
        r"\b(?:refund|credit(?:ed)? your|waived?|compensat\w+|discount of|keep your price|within (?:your|our|the) budget|free of charge|at no cost)\b".into(),
        r"\b(?:that|this|it|which) (?:brings|makes|leaves|means|comes)\b.*(?:\b(?:dollars?|percent|hundred|thousand|pounds?|euros?)\b|\d)".into(),
        r"\b(?:cannot|can't) (?:change|do anything|help)\b|\bnothing (?:else )?(?:that )?(?:i|we) can do\b|\bunacceptable\b".into(),
    ])
});

/// Assent: an outcome only where nothing plainer is said.
static ASSENTS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:is|sounds?|that's|works?)(?: a lot| much| very)? (?:good|great|fine|better|okay|perfect|for me|for us)\b".into(),
        r"\b(?:that|it|this) (?:works|will work|would work)\b|\bi like (?:that|it)\b".into(),
    ])
});

/// Greetings, introductions, thanks, farewells and the handling of the call itself.
static FORMULAS: LazyLock<RegexSet> = LazyLock::new(|| {
    patterns(&[
        r"\b(?:this is|my name is) \w+(?: \w+){0,2} (?:from|of|with|at|speaking|here|calling)\b|\bmy name(?: is|'s)\b|\bit's \w+ (?:from|speaking|here|calling)\b|^(?:(?:hi|hello|hey|good \w+|yes)[,.]? )*(?:\w+, )?this is \w+[.,]?$".into(),
        r"\b(?:thanks?|thank you)(?: \w+)? for\b|\bam i speaking\b|\bspeaking (?:with|to)\b|\bhow are you\b|\bhow (?:can|may) (?:i|we) help\b".into(),
        r"\bhave a (?:\w+ )?(?:day|weekend|evening|one|time)\b|\b(?:talk|speak) to you (?:soon|later|then|tomorrow|next)\b|\bsee you\b|\blooking forward\b|\btake care\b".into(),
        r"\b(?:good time|do you have (?:a|one) minute|can i help|can i do for you|i'm glad|i am glad|glad to help|my pleasure|making the time)\b".into(),
        r"\b(?:may|can|could) i (?:just )?(?:have|take|get|ask) (?:for )?(?:your|the|you)\b|\bcan i give you (?:\w+ )?my\b|\bconfirm (?:your|the) (?:\w+ )?(?:name|address|account|details)\b".into(),
        r"\b(?:one|a) (?:moment|second|minute)\b(?:[,.!?]|$| please)|\blet me (?:check|see|look|open|just)\b|\bbear with me\b|\bhold (?:on|the line)\b|\bi'll (?:wait|hold)\b|\bwriting that down\b".into(),
        r"\bi (?:can )?(?:understand|imagine|see what you mean|apologi[sz]e|appreciate)\b|\b(?:very|so|really|am) sorry\b|\bthat's everything\b|\bi thought so\b|\bi have (?:about )?\w+ minutes\b".into(),
        r"^(?:(?:hi|hello|hey|thanks|thank you|bye|goodbye|great|okay|sure|perfect|yes|good \w+)[,.]? )+\w+[.,!]?$|\b(?:was|is|were) (?:(?:really|very|so) )?(?:helpful|kind|wonderful|interesting)\b|^it's \w+ (?:morning|afternoon|evening)\b|\bgood idea\b".into(),
    ])
});

static ANAPHORA: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:(?:and|but|so|then|well|yes|no|okay|oh|because),? )*(?:it|it's|that|that's|this|they|they're|them|he|she|he's|she's|those|these|one of them|which|or)\b|^(?:because|cause|cos)\b",
    )
});

/// Words that point at something said before, where no noun follows them.
static POINTERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:it|it's|them|they|that's|he|him|she|her)\b|\b(?:that|this|those|these)(?:[,.?!]|$| (?:in|on|at|to|for|with|was|is|would|will|now|too|again|about)\b)",
    )
});

static FIRST_PERSON: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:i|we|my|our|me|us|i'm|we're|i'd|we'd|i've|we've|your)\b"));

/// What is known of a sentence from its words alone.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // Independent observations, no states.
pub(crate) struct Cues {
    /// Words that carry content.
    pub(crate) content: usize,
    /// Numbers, amounts, dates, names and causes, 0..1.
    pub(crate) information: f32,
    /// Promise or request, the more so with a date, 0..1.
    pub(crate) next_step: f32,
    /// Why somebody calls, 0..1.
    pub(crate) reason: f32,
    /// Decision or solution, 0..1.
    pub(crate) outcome: f32,
    /// Whether it greets, thanks, takes leave or handles the call itself.
    pub(crate) formula: bool,
    /// Whether it mostly assents.
    pub(crate) assent: bool,
    /// Whether it asks.
    pub(crate) question: bool,
    /// Whether it begins by leaning on the sentence before.
    pub(crate) anaphoric: bool,
    /// Words that point at something said before.
    pub(crate) pointers: usize,
    /// Whether it only asks somebody else to do something.
    pub(crate) request: bool,
    /// Whether it breaks off.
    pub(crate) broken: bool,
}

impl Cues {
    /// Reads a sentence.
    pub(crate) fn of(sentence: &str) -> Self {
        let lower = sentence.to_lowercase().replace('\u{2019}', "'");
        let words: Vec<&str> = lower.split_whitespace().map(bare).filter(|w| !w.is_empty()).collect();
        let count = |r: &Regex| r.find_iter(&lower).count() as f32;
        let (numbers, amounts, dates) = (count(&NUMBER).min(3.0), count(&AMOUNT).min(2.0), count(&DATE).min(2.0));
        let names = names(sentence).min(2) as f32;
        let share = |hits: usize, each: f32| (hits as f32 * each).min(1.0);
        let due = if DUE.is_match(&lower) { 1.0 } else { 0.0 };
        let commits: f32 = if COMMITS.is_match(&lower) { 0.6 + 0.4 * due } else { 0.0 };
        // A promise that hangs on a condition, or a threat.
        let commits = if words.contains(&"if") { 0.35 * commits } else { commits };
        let offers = if OFFERS.is_match(&lower) { 0.25 + 0.45 * due } else { 0.0 };
        let causes = f32::from(u8::from(CAUSES.is_match(&lower)));
        // "It's the invoice of March" names what it is about.
        let plain = lower.replace("it's the ", "the ").replace("it's my ", "my ").replace("it's our ", "our ");
        let assent = ASSENTS.is_match(&lower);
        let requests = if REQUESTS.is_match(&lower) { 0.35 + 0.3 * due } else { 0.0 };
        let last = words.last().copied().unwrap_or_default();
        Self {
            content: words.iter().filter(|w| !is_empty(w) || NUMBER.is_match(w)).count(),
            information: (0.15 * numbers + 0.25 * amounts + 0.25 * dates + 0.25 * names + 0.3 * causes).min(1.0),
            next_step: commits.max(requests).max(offers),
            reason: share(REASONS.matches(&lower).iter().count(), 0.6)
                * if FIRST_PERSON.is_match(&lower) { 1.0 } else { 0.5 },
            outcome: (share(OUTCOMES.matches(&lower).iter().count(), 0.6) + if assent { 0.3 } else { 0.0 }).min(1.0),
            assent: assent && words.len() < 10,
            formula: FORMULAS.is_match(&lower),
            question: lower.trim_end().ends_with('?') || asks(&words),
            anaphoric: ANAPHORA.is_match(&plain),
            pointers: POINTERS.find_iter(&plain).count(),
            request: requests > commits,
            broken: !lower.ends_with(['.', '?', '!', '"', '\u{201d}'])
                && [
                    "the", "a", "an", "and", "but", "to", "of", "or", "only", "would", "with", "my", "your", "our",
                    "is",
                ]
                .contains(&last),
        }
    }
}

/// Names inside a sentence: capitals that no sentence's start explains. Text without small letters has none.
fn names(sentence: &str) -> usize {
    if !sentence.contains(char::is_lowercase) {
        return 0;
    }
    let inside = sentence.split_whitespace().skip(1).map(bare);
    inside
        .filter(|w| {
            w.starts_with(char::is_uppercase) && w.len() > 1 && !w.starts_with("I'") && !w.starts_with("I\u{2019}")
        })
        .count()
}

/// Whether the words ask by their order, since recognizers drop marks.
fn asks(words: &[&str]) -> bool {
    const ASKING: [&str; 16] = [
        "do", "does", "did", "is", "are", "can", "could", "would", "will", "should", "may", "have", "has", "what's",
        "how's", "shall",
    ];
    const WHOM: [&str; 12] = ["i", "you", "we", "they", "he", "she", "it", "there", "that", "this", "the", "your"];
    let words: Vec<&str> =
        words.iter().copied().skip_while(|w| ["and", "so", "but", "okay", "well", "or", "sorry"].contains(w)).collect();
    let pair = |i: usize| {
        words.get(i).is_some_and(|a| ASKING.contains(a)) && words.get(i + 1).is_some_and(|b| WHOM.contains(b))
    };
    let wh = words.first().is_some_and(|w| ["what", "how", "when", "where", "why", "who", "which"].contains(w));
    pair(0) || (wh && (1..=3).any(pair))
}

pub(crate) fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

/// Whether the word, in lower case, carries no content.
fn is_empty(word: &str) -> bool {
    EMPTY.contains(word) || word.split('\'').next().is_some_and(|stem| EMPTY.contains(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn courtesy_is_empty() {
        for text in [
            "How are you?",
            "Thank you for calling Brightwell support, this is Tom.",
            "Have a great day.",
            "Let me check.",
            "I understand, and I apologize.",
            "uh huh yeah",
        ] {
            assert!(Cues::of(text).content <= 3, "{text}: {:?}", Cues::of(text));
        }
        assert!(Cues::of("Our phones have been down since seven this morning.").content >= 3);
    }

    #[test]
    fn parts_in_the_call() {
        for text in [
            "I'm calling about the invoice for February.",
            "I have a question about an invoice.",
            "Our phones have been down since seven.",
        ] {
            assert!(Cues::of(text).reason >= 0.6, "{text}");
        }
        for text in [
            "I'll send you the revised quote by Friday.",
            "Let's meet again on the nineteenth of March.",
            "We will send you our comments within two weeks",
        ] {
            assert!(Cues::of(text).next_step >= 0.6, "{text}");
        }
        assert!(Cues::of("Could you send me the list by Thursday?").next_step > 0.6);
        for text in ["Then we will cancel.", "It works again.", "That brings it down to twenty-seven dollars a seat."] {
            assert!(Cues::of(text).outcome >= 0.6, "{text}");
        }
        assert!(Cues::of("That is a lot of typing").anaphoric);
        assert!(Cues::of("and then there are the").broken);
        assert!(Cues::of("could you walk me through a normal day").question);
    }

    #[test]
    fn information() {
        assert!(Cues::of("Salesforce offered us a price of twenty-six dollars by May.").information > 0.5);
        assert!(Cues::of("it is a lot of typing").information < 0.1);
    }
}

//! Columns that look like ours and are none, and what they may say of consent.

use crate::columns::{COLUMNS, key_of};
use strsim::{damerau_levenshtein, jaro_winkler};

/// Words of a column's name that speak of something else than being recorded: newsletters, cookies.
const OTHER_CONSENTS: [&str; 9] =
    ["marketing", "email", "mail", "newsletter", "sms", "cookie", "cookies", "advertising", "ads"];
/// Words that are as near to "consent" as its misspellings are.
const OTHER_WORDS: [&str; 8] =
    ["content", "contents", "context", "contest", "convent", "constant", "concept", "contend"];
/// Words of a column's name by which its yes is a no.
const NEGATIONS: [&str; 22] = [
    "no",
    "not",
    "without",
    "missing",
    "denied",
    "deny",
    "denial",
    "refused",
    "refusal",
    "declined",
    "withdrawn",
    "withdrawal",
    "withdrew",
    "revoked",
    "revocation",
    "rejected",
    "objected",
    "objection",
    "out",
    "optout",
    "lacking",
    "dissent",
];
/// First words of a value that denies, in the languages of the lists that we have seen.
const DENIALS: [&str; 60] = [
    "denied",
    "deny",
    "denies",
    "denial",
    "no",
    "n",
    "not",
    "non",
    "none",
    "nope",
    "never",
    "false",
    "f",
    "0",
    "refused",
    "refuse",
    "refuses",
    "declined",
    "decline",
    "declines",
    "withdrawn",
    "withdrew",
    "withdraw",
    "withheld",
    "revoked",
    "revoke",
    "rejected",
    "reject",
    "rejects",
    "objected",
    "objects",
    "objection",
    "optout",
    "opted-out",
    "forbidden",
    "prohibited",
    "disallowed",
    "disagree",
    "disagreed",
    "dissent",
    "negative",
    "ungranted",
    "nein",
    "abgelehnt",
    "verweigert",
    "widerrufen",
    "nee",
    "geweigerd",
    "nej",
    "nei",
    "nie",
    "não",
    "nao",
    "refusé",
    "refusée",
    "rechazado",
    "denegado",
    "negado",
    "rifiutato",
    "нет",
];
/// Values by which a column of denials says that nobody denied.
const NO_DENIAL: [&str; 12] = ["no", "n", "false", "f", "0", "none", "never", "nein", "non", "nee", "nej", "unknown"];
/// How like one of ours a column's name must be to be taken for a misspelling.
const LIKE: f64 = 0.9;

/// What a column that is none of ours may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookalike {
    /// Ours that it is nearest to.
    pub nearest: &'static str,
    /// Whether it speaks of consent to the recording: what it says must not be passed over.
    pub consent: bool,
}

/// Whether a column, none of ours, looks like one of ours.
pub(crate) fn lookalike(column: &str) -> Option<Lookalike> {
    let words = words(column);
    let misspelled =
        |word: &str| word.len() >= 6 && !OTHER_WORDS.contains(&word) && damerau_levenshtein(word, "consent") <= 2;
    let speaks_of = |word: &String| word == "consent" || misspelled(word);
    let consent = (words.iter().any(speaks_of) || key_of(column).contains("consent"))
        && !words.iter().any(|word| OTHER_CONSENTS.contains(&word.as_str()));
    if consent {
        let agent = words.iter().any(|word| word.starts_with("agent")) && !words.iter().any(|w| w.starts_with("cust"));
        return Some(Lookalike { nearest: if agent { "agent_consent" } else { "customer_consent" }, consent });
    }
    let (key, mut sorted) = (key_of(column), words);
    sorted.sort();
    // Short names are like each other by chance.
    let like = |ours: &&str| {
        let mut theirs: Vec<&str> = ours.split('_').collect();
        theirs.sort_unstable();
        let one_off = key.len() >= 5 && damerau_levenshtein(&key, &key_of(ours)) == 1;
        one_off
            || theirs.len() > 1 && sorted.iter().eq(theirs)
            || key.len() >= 7 && jaro_winkler(&key, &key_of(ours)) > LIKE && {
                damerau_levenshtein(&key, &key_of(ours)) <= 2
            }
    };
    COLUMNS.into_iter().find(like).map(|nearest| Lookalike { nearest, consent: false })
}

/// Whether a value of such a column reads as a denial.
pub(crate) fn denies(column: &str, value: &str) -> bool {
    let value = value.trim().to_lowercase();
    let parts = words(&value);
    let Some(first) = parts.first().map(String::as_str) else { return value.contains(['✗', '✘', '❌', '-']) };
    if words(column).iter().any(|word| NEGATIONS.contains(&word.as_str())) {
        return !NO_DENIAL.contains(&first);
    }
    let zero = first.chars().all(|c| c == '0') && parts.iter().all(|p| p.chars().all(|c| c == '0'));
    zero || DENIALS.contains(&first)
        || parts.windows(2).any(|pair| matches!((pair[0].as_str(), pair[1].as_str()), ("opt" | "opted", "out")))
        || parts
            .iter()
            .any(|word| matches!(word.as_str(), "denied" | "refused" | "withdrawn" | "revoked" | "declined" | "not"))
}

/// The words of a name in any style: blanks, underscores, hyphens, points and humps part them.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        if !c.is_alphanumeric() || c.is_uppercase() && before.is_lowercase() {
            words.push(String::new());
        }
        if c.is_alphanumeric() {
            let last = words.len() - 1;
            words[last].extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_look_like_ours() {
        for (column, nearest) in [
            ("consent_customer", "customer_consent"),
            ("agent consent given", "agent_consent"),
            ("customer_concent", "customer_consent"),
            ("CustomerConsentGiven", "customer_consent"),
            ("CONSENT", "customer_consent"),
            ("recording-consent", "customer_consent"),
            ("crm.RecordingConsent", "customer_consent"),
            ("consnet of agent", "agent_consent"),
            ("Kundenconsent", "customer_consent"),
        ] {
            assert_eq!(lookalike(column), Some(Lookalike { nearest, consent: true }), "{column}");
        }
        for (column, nearest) in [
            ("recordings", "recording"),
            ("id_call", "call_id"),
            ("started at (UTC)", ""),
            ("agent_nmae", "agent_name"),
        ] {
            let found = lookalike(column).map_or("", |l| l.nearest);
            assert_eq!(found, nearest, "{column}");
        }
        for column in
            ["account", "stage", "marketing_consent", "EmailConsent", "content", "id", "", "note", "owner", "traffic"]
        {
            assert_eq!(lookalike(column), None, "{column}");
        }
    }

    #[test]
    fn values_that_deny() {
        for value in [
            "denied",
            "No",
            "FALSE",
            "0",
            "0.0",
            "refused",
            "opt-out",
            "Opted out",
            "withdrawn 2026-03-01",
            "not given",
            "customer refused",
            "Nein",
            "✗",
            "no consent",
        ] {
            assert!(denies("consent", value), "{value}");
        }
        for value in ["granted", "yes", "true", "1", "unknown", "2026-03-01", "verbal", "opt-in", "ok", "10"] {
            assert!(!denies("consent", value), "{value}");
        }
        assert!(
            denies("consent_withdrawn", "yes") && denies("No consent", "x") && denies("consent opt-out", "2026-03-02")
        );
        assert!(!denies("consent_withdrawn", "no") && !denies("consent denied", "0"));
    }
}

//! Who may be heard: the pipeline's rule held against a row, before anything is opened.

use crate::config::ConsentRule;
use schema::Participant;

/// What may be done with a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may be heard.
    Open,
    /// These channels must not be decoded, for the reason told; the others may be heard.
    Partial {
        /// Channels of those who denied, sorted.
        withheld: Vec<usize>,
        /// Who denied.
        reason: String,
    },
    /// It must not be opened, for this reason.
    Refused(String),
}

/// Holds the rule against those who take part. `participants` is empty where no row names the recording.
///
/// Channels are separate where the row says so: everybody who denied has one, and nobody else is on it. The pipeline's own
/// rule for channels is not enough for that: it is a guess about recordings that nobody has looked at.
pub(crate) fn verdict(rule: ConsentRule, participants: &[Participant]) -> Verdict {
    let (denied, others): (Vec<&Participant>, Vec<&Participant>) =
        participants.iter().partition(|p| p.consent == "denied");
    if participants.is_empty() && rule != ConsentRule::None {
        return Verdict::Refused(format!("no row of the call list names it, and the rule {} asks for one", name(rule)));
    }
    let unknown: Vec<&Participant> = others.iter().copied().filter(|p| p.consent != "granted").collect();
    if rule == ConsentRule::AllParties && !unknown.is_empty() {
        return Verdict::Refused(format!(
            "consent of {} is not known, and the rule all_parties asks for everybody's",
            names(&unknown)
        ));
    }
    if denied.is_empty() {
        return Verdict::Open;
    }
    let reason = format!("consent denied by {}", names(&denied));
    let channels: Option<Vec<i32>> = denied.iter().map(|p| p.channel).collect();
    let apart = |channels: &Vec<i32>| {
        !others.is_empty() && others.iter().all(|p| p.channel.is_some_and(|channel| !channels.contains(&channel)))
    };
    match channels.filter(apart) {
        Some(channels) if rule != ConsentRule::None => {
            let mut withheld: Vec<usize> = channels.iter().filter_map(|&c| usize::try_from(c).ok()).collect();
            withheld.sort_unstable();
            withheld.dedup();
            Verdict::Partial { withheld, reason }
        }
        _ => Verdict::Refused(reason),
    }
}

fn name(rule: ConsentRule) -> &'static str {
    match rule {
        ConsentRule::AllParties => "all_parties",
        ConsentRule::Notified => "notified",
        ConsentRule::None => "none",
    }
}

fn names(people: &[&Participant]) -> String {
    let names: Vec<&str> = people.iter().map(|p| p.role.as_deref().unwrap_or(&p.participant_id)).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(agent: (&str, Option<i32>), customer: (&str, Option<i32>)) -> Vec<Participant> {
        [("agent", agent), ("customer", customer)]
            .map(|(role, (consent, channel))| Participant {
                participant_id: role.into(),
                channel,
                role: Some(role.into()),
                name: None,
                person_id: None,
                consent: consent.into(),
            })
            .to_vec()
    }

    fn code(rule: ConsentRule, people: &[Participant]) -> String {
        match verdict(rule, people) {
            Verdict::Open => "open".into(),
            Verdict::Partial { withheld, .. } => format!("without {withheld:?}"),
            Verdict::Refused(reason) => reason,
        }
    }

    #[test]
    fn every_rule_over_every_answer() {
        use ConsentRule::{AllParties, None as NoRule, Notified};
        let separate = |agent, customer| people((agent, Some(0)), (customer, Some(1)));
        let denied = "consent denied by customer";
        let unknown = "consent of customer is not known, and the rule all_parties asks for everybody's";
        let cases = [
            ("granted", "granted", ["open"; 3]),
            ("granted", "unknown", [unknown, "open", "open"]),
            ("granted", "denied", ["without [1]", "without [1]", denied]),
            ("denied", "granted", ["without [0]", "without [0]", "consent denied by agent"]),
            ("denied", "denied", ["consent denied by agent and customer"; 3]),
        ];
        for (agent, customer, wanted) in cases {
            let got = [AllParties, Notified, NoRule].map(|rule| code(rule, &separate(agent, customer)));
            assert_eq!(got, wanted, "{agent}, {customer}");
        }
        // Unknown beside denied: the other may be heard where being told is enough.
        assert_eq!(code(Notified, &separate("unknown", "denied")), "without [1]");
        assert!(code(AllParties, &separate("unknown", "denied")).starts_with("consent of agent is not known"));
        assert_eq!(code(NoRule, &[]), "open");
        for rule in [AllParties, Notified] {
            assert!(code(rule, &[]).starts_with("no row of the call list names it"));
        }
    }

    #[test]
    fn channels_that_are_not_apart() {
        for (agent, customer) in
            [(None, None), (None, Some(1)), (Some(0), None), (Some(0), Some(0)), (Some(1), Some(1))]
        {
            let people = people(("granted", agent), ("denied", customer));
            for rule in [ConsentRule::AllParties, ConsentRule::Notified] {
                assert_eq!(code(rule, &people), "consent denied by customer", "{agent:?} {customer:?}");
            }
        }
    }
}

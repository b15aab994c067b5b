//! What the columns of a call list and a CRM file mean.

use crate::{
    IngestConfig,
    doubt::{denies, lookalike},
};
use arrow::{array::timezone::Tz, compute::kernels::cast_utils::string_to_datetime};
use chrono::{DateTime, NaiveDate, Utc};
use schema::Participant;
use std::collections::{BTreeMap, BTreeSet};
use unicode_normalization::UnicodeNormalization;

/// Columns with a meaning here; all others are the company's own and go to `crm`.
pub(crate) const COLUMNS: [&str; 15] = [
    "recording",
    "call_id",
    "started_at",
    "time_zone",
    "direction",
    "language",
    "agent_id",
    "agent_name",
    "agent_channel",
    "customer_id",
    "customer_name",
    "customer_channel",
    "agent_consent",
    "customer_consent",
    "track",
];
const CONSENTS: [&str; 3] = ["granted", "denied", "unknown"];
pub(crate) const CRM: &str = "crm.";
/// A time as it should be written.
const EXAMPLE: &str = "2026-03-02T14:30:00+01:00";

/// Cells by column; empty ones are left out.
pub(crate) type Cells = BTreeMap<String, String>;

/// A column's name by which its spellings are one: letters and digits alone, in lower case.
pub(crate) fn key_of(column: &str) -> String {
    column.nfkc().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The column that is spelled so; else the one that is spelled so but for case, blanks, underscores and hyphens.
pub(crate) fn find<'a>(columns: impl IntoIterator<Item = &'a str> + Clone, name: &str) -> Option<&'a str> {
    let key = key_of(name);
    let alike = |column: &&str| !key.is_empty() && key_of(column) == key;
    columns.clone().into_iter().find(|column| *column == name).or_else(|| columns.into_iter().find(alike))
}

/// The column's name without the prefix that marks CRM columns.
pub(crate) fn bare(column: &str) -> &str {
    column.strip_prefix(CRM).unwrap_or(column)
}

/// How cells are read.
#[derive(Debug, Default)]
pub(crate) struct Reading<'a> {
    /// Of times that say none.
    zone: Option<&'a str>,
    /// Columns, `crm.` taken off, that speak of consent and of which nothing says what they are.
    doubtful: BTreeSet<String>,
}

impl<'a> Reading<'a> {
    /// Cells of these columns, `crm.` taken off or not.
    pub fn of<'b>(config: &'a IngestConfig, columns: impl IntoIterator<Item = &'b str>) -> Self {
        let doubtful = columns.into_iter().map(bare).filter(|column| {
            !config.columns.contains_key(*column) && lookalike(column).is_some_and(|found| found.consent)
        });
        Self { zone: config.time_zone.as_deref(), doubtful: doubtful.map(str::to_owned).collect() }
    }
}

/// What a row says of its call.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    pub started_at: Option<DateTime<Utc>>,
    /// The day of that, in the call's own time zone.
    pub started_on: Option<NaiveDate>,
    pub direction: Option<String>,
    pub language: Option<String>,
    /// None where the row has no column that means something here: such a row is none of the call list.
    pub participants: Vec<Participant>,
    /// The file's audio track, from 0.
    pub track: Option<i32>,
    pub crm: BTreeMap<String, Option<String>>,
    /// Why the row cannot be trusted. Its recording must not be read: what the row says of consent is not known.
    pub problem: Option<String>,
    /// What seems to deny consent in a column that is none of ours. The recording must not be read until somebody says.
    pub doubt: Option<String>,
    /// What was left out.
    pub notes: Vec<String>,
}

impl Meaning {
    /// Reads cells.
    pub fn of(cells: &Cells, reading: &Reading) -> Self {
        let zone = reading.zone;
        let text = |column: &str| cells.get(column).cloned();
        let mut meaning = Self { direction: text("direction"), language: text("language"), ..Self::default() };
        if cells.keys().any(|column| COLUMNS.contains(&column.as_str())) {
            for role in ["agent", "customer"] {
                match participant(role, cells) {
                    Ok(participant) => meaning.participants.push(participant),
                    Err(message) => drop(meaning.problem.get_or_insert(message)),
                }
            }
        }
        if let Some(track) = cells.get("track") {
            match track.parse::<i32>() {
                Ok(number) if number >= 0 => meaning.track = Some(number),
                _ => drop(
                    meaning
                        .problem
                        .get_or_insert_with(|| format!("track is {track:?}; audio tracks are numbered 0, 1, ...")),
                ),
            }
        }
        if let Some(started_at) = cells.get("started_at") {
            let own_zone = cells.get("time_zone").map(String::as_str);
            match instant(started_at, own_zone.or(zone)) {
                Ok(instant) => {
                    meaning.started_at = Some(instant);
                    meaning.started_on = Some(day(instant, started_at, own_zone, zone));
                }
                Err(message) => meaning.notes.push(message),
            }
        }
        // `crm.x` and `x` are one key; where a row has both, the marked one counts.
        let own = |column: &String| !COLUMNS.contains(&column.as_str());
        for marked in [false, true] {
            for (column, value) in cells.iter().filter(|(c, _)| own(c) && c.starts_with(CRM) == marked) {
                meaning.crm.insert(bare(column).to_owned(), Some(value.clone()));
                if reading.doubtful.contains(bare(column)) && denies(bare(column), value) {
                    meaning.doubt.get_or_insert_with(|| {
                        format!(
                            "column {column:?} is {value:?}, which reads as a denial of consent; say in [ingest.columns] what \
                             the column is"
                        )
                    });
                }
            }
        }
        meaning
    }

    /// Whether the row's recording must not be opened, as far as the row alone says: somebody denied, or seems to, or the row
    /// cannot be trusted.
    pub fn bars(&self) -> bool {
        self.problem.is_some() || self.doubt.is_some() || self.participants.iter().any(|p| p.consent == "denied")
    }

    /// Takes over who denied consent in another row of the same call: whichever is right, a denial counts.
    pub fn deny_as(&mut self, other: &Self) {
        self.problem = self.problem.take().or_else(|| other.problem.clone());
        self.doubt = self.doubt.take().or_else(|| other.doubt.clone());
        for denied in other.participants.iter().filter(|p| p.consent == "denied") {
            if self.participants.is_empty() {
                self.participants.clone_from(&other.participants);
            }
            if let Some(same) = self.participants.iter_mut().find(|p| p.role == denied.role) {
                same.consent.clone_from(&denied.consent);
            }
        }
    }
}

/// The agent or the customer of a row.
fn participant(role: &str, cells: &Cells) -> Result<Participant, String> {
    let text = |column: &str| cells.get(&format!("{role}_{column}")).cloned();
    let channel = match text("channel") {
        None => None,
        Some(channel) => match channel.parse::<i32>() {
            Ok(number) if number >= 0 => Some(number),
            _ => return Err(format!("{role}_channel is {channel:?}; channels are numbered 0, 1, ...")),
        },
    };
    let consent = text("consent").unwrap_or_else(|| "unknown".into()).to_lowercase();
    if !CONSENTS.contains(&consent.as_str()) {
        return Err(format!("{role}_consent is {consent:?}; it can be {}", CONSENTS.join(", ")));
    }
    Ok(Participant {
        participant_id: role.to_owned(),
        channel,
        role: Some(role.to_owned()),
        name: text("name"),
        person_id: text("id"),
        consent,
    })
}

/// A zone by name or offset.
pub(crate) fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| format!("{name:?} is no time zone; write one such as Europe/Berlin or +01:00"))
}

/// The instant that a cell means: by its own offset, else in the zone.
fn instant(text: &str, zone_name: Option<&str>) -> Result<DateTime<Utc>, String> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(instant.to_utc());
    }
    let parse = |zone: &Tz| {
        // Minutes are enough for most exports, and too little for the parser.
        let full = if text.len() == 16 { format!("{text}:00") } else { text.to_owned() };
        string_to_datetime(zone, &full)
    };
    let utc = zone("+00:00")?;
    let Some(name) = zone_name else {
        return Err(if parse(&utc).is_ok() {
            format!("started_at is {text:?}, without an offset; write {EXAMPLE}, or set [ingest] time_zone; left out")
        } else {
            format!("started_at is {text:?}, which is not RFC 3339, such as {EXAMPLE}; left out")
        });
    };
    let zone = zone(name).map_err(|reason| format!("time_zone: {reason}; started_at is left out"))?;
    parse(&zone).map(|instant| instant.to_utc()).map_err(|_| {
        if parse(&utc).is_ok() {
            format!(
                "started_at is {text:?}, an hour that the clocks of {name} showed twice or never; write its offset, as in \
                 {EXAMPLE}; left out"
            )
        } else {
            format!("started_at is {text:?}, which is no time, such as 2026-03-02 14:30:00 or {EXAMPLE}; left out")
        }
    })
}

/// The day of an instant where the call was: in the row's zone, else by the offset that the cell itself has, else in the
/// pipeline's zone. An offset of zero is how exports write UTC, and says nothing of where the call was.
fn day(instant: DateTime<Utc>, text: &str, own_zone: Option<&str>, zone_name: Option<&str>) -> NaiveDate {
    let within = |name: Option<&str>| {
        name.and_then(|name| zone(name).ok()).map(|zone| instant.with_timezone(&zone).date_naive())
    };
    let written = || DateTime::parse_from_rfc3339(text).ok().filter(|at| at.offset().local_minus_utc() != 0);
    within(own_zone)
        .or_else(|| written().map(|at| at.date_naive()))
        .or_else(|| within(zone_name))
        .unwrap_or_else(|| instant.date_naive())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(pairs: &[(&str, &str)]) -> Cells {
        pairs.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn crm_columns_with_and_without_prefix() {
        let meaning =
            Meaning::of(&cells(&[("stage", "old"), ("crm.stage", "new"), ("agent_id", "7")]), &Reading::default());
        assert_eq!(meaning.crm, BTreeMap::from([("stage".into(), Some("new".into()))]));
        assert_eq!(meaning.participants[0].person_id.as_deref(), Some("7"));
        assert_eq!(meaning.participants[1].consent, "unknown");
        // A CRM row alone says nothing of who takes part.
        assert!(Meaning::of(&cells(&[("crm.stage", "new")]), &Reading::default()).participants.is_empty());
    }

    #[test]
    fn tracks() {
        let meaning = Meaning::of(&cells(&[("track", "1")]), &Reading::default());
        assert_eq!((meaning.track, meaning.problem, meaning.crm.len()), (Some(1), None, 0));
        for wrong in ["-1", "left"] {
            let meaning = Meaning::of(&cells(&[("track", wrong)]), &Reading::default());
            assert_eq!(meaning.problem.unwrap(), format!("track is {wrong:?}; audio tracks are numbered 0, 1, ..."));
        }
    }

    #[test]
    fn times_and_zones() {
        let utc = |text, zone| instant(text, zone).map(|i| i.to_rfc3339());
        let berlin = Some("Europe/Berlin");
        for (text, zone, wanted) in [
            ("2026-03-02T14:30:00+01:00", None, "2026-03-02T13:30:00+00:00"),
            ("2026-03-02T14:30:00+01:00", Some("Asia/Tokyo"), "2026-03-02T13:30:00+00:00"),
            ("2026-03-02 14:30:00", berlin, "2026-03-02T13:30:00+00:00"),
            ("2026-07-02 14:30", berlin, "2026-07-02T12:30:00+00:00"),
            ("2026-07-02T14:30:00.250", Some("-05:00"), "2026-07-02T19:30:00.250+00:00"),
            ("2026-07-02", Some("America/New_York"), "2026-07-02T04:00:00+00:00"),
        ] {
            assert_eq!(utc(text, zone).as_deref(), Ok(wanted), "{text} {zone:?}");
        }
        let error = |text, zone| utc(text, zone).unwrap_err();
        assert!(error("2026-03-02 14:30", None).contains("without an offset; write 2026-03-02T14:30:00+01:00"));
        assert!(error("yesterday", None).contains("not RFC 3339"));
        assert!(error("02.03.2026 14:30", berlin).contains("which is no time"));
        // The clocks go forward over the one hour and back over the other.
        for hour in ["2026-03-29 02:30:00", "2026-10-25 02:30:00"] {
            assert!(error(hour, berlin).contains("showed twice or never"), "{hour}");
        }
        assert!(error("2026-03-02 14:30", Some("Mars/Olympus")).contains("\"Mars/Olympus\" is no time zone"));
    }

    #[test]
    fn the_day_is_that_of_the_calls_own_zone() {
        let day = |text: &str, own: Option<&str>, zone: Option<&str>| {
            let mut row = cells(&[("started_at", text)]);
            row.extend(own.map(|own| ("time_zone".to_owned(), own.to_owned())));
            Meaning::of(&row, &Reading { zone, ..Reading::default() }).started_on.map(|day| day.to_string())
        };
        for (text, own, zone, wanted) in [
            ("2026-03-02T23:30:00-08:00", None, None, "2026-03-02"),
            ("2026-03-02T23:30:00Z", None, None, "2026-03-02"),
            ("2026-03-02T23:30:00Z", None, Some("Europe/Berlin"), "2026-03-03"),
            ("2026-03-02T23:30:00+00:00", Some("America/New_York"), Some("Europe/Berlin"), "2026-03-02"),
            ("2026-03-02 00:15", None, Some("Asia/Tokyo"), "2026-03-02"),
            ("2026-03-02 23:45:00", Some("Pacific/Auckland"), None, "2026-03-02"),
            ("2026-03-02T00:30:00+09:00", None, Some("Europe/Berlin"), "2026-03-02"),
            ("2026-03-02T00:30:00+09:00", Some("Europe/Berlin"), None, "2026-03-01"),
            ("2026-07-01", Some("+13:00"), None, "2026-07-01"),
        ] {
            assert_eq!(day(text, own, zone).as_deref(), Some(wanted), "{text} {own:?} {zone:?}");
        }
        assert_eq!(day("yesterday", None, None), None);
        assert_eq!(Meaning::of(&cells(&[("agent_id", "7")]), &Reading::default()).started_on, None);
    }

    #[test]
    fn what_seems_to_deny() {
        let config = IngestConfig::default();
        let doubt =
            |column: &str, value: &str| Meaning::of(&cells(&[(column, value)]), &Reading::of(&config, [column])).doubt;
        let said = doubt("consent_customer", "denied").unwrap();
        assert!(
            said.contains(r#"column "consent_customer" is "denied""#) && said.contains("[ingest.columns]"),
            "{said}"
        );
        assert!(doubt("crm.RecordingConsent", "No").is_some());
        assert_eq!(doubt("consent_customer", "granted"), None);
        assert_eq!(doubt("marketing_consent", "no"), None);
        let known: IngestConfig = toml::from_str(r#"columns = { old_consent = "consent_customer" }"#).unwrap();
        let reading = Reading::of(&known, ["crm.old_consent"]);
        assert_eq!(Meaning::of(&cells(&[("crm.old_consent", "denied")]), &reading).doubt, None);
    }
}

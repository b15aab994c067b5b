//! What the columns of a call list and a CRM file mean.

use crate::{
    IngestConfig, IngestError,
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
const CONSENT: &str = "_consent";
const CRM: &str = "crm.";
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

/// Under which key cells hold what a pipeline calls `name`.
fn place(name: &str) -> String {
    if COLUMNS.contains(&name) || name.starts_with(CRM) { name.to_owned() } else { format!("{CRM}{name}") }
}

/// [`IngestConfig::columns`]: ours and theirs, apart by where theirs are.
#[derive(Debug, Default)]
pub(crate) struct Mapping<'a> {
    /// From columns of the call list.
    pub list: Vec<(&'a str, &'a str)>,
    /// From columns of the CRM file, `crm.` taken off, or of the list with it.
    pub crm: Vec<(&'a str, &'a str)>,
}

impl<'a> Mapping<'a> {
    pub fn new(config: &'a IngestConfig) -> Result<Self, IngestError> {
        let mut mapping = Self::default();
        for (ours, theirs) in &config.columns {
            match theirs.strip_prefix(CRM) {
                Some(_) if matches!(ours.as_str(), "recording" | "call_id") => {
                    let reason = format!("{ours} joins recordings with rows, and must come from the call list");
                    return Err(wrong(ours, theirs, &reason));
                }
                Some(column) => mapping.crm.push((ours, column)),
                None => mapping.list.push((ours, theirs)),
            }
        }
        Ok(mapping)
    }

    /// What the columns of a list are called here. Refuses to take one that the list does not have.
    pub fn plan(&self, columns: &[String]) -> Result<Plan, IngestError> {
        let mut plan = Plan::default();
        let names = columns.iter().map(String::as_str);
        for (ours, theirs) in &self.list {
            let Some(found) = find(names.clone(), theirs) else {
                let reason = format!("the call list has no such column; its columns are {}", columns.join(", "));
                return Err(wrong(ours, theirs, &reason));
            };
            // Of JSON Lines each row may spell it its own way.
            let alike = |column: &&String| *column == theirs || found != *theirs && key_of(column) == key_of(theirs);
            for column in columns.iter().filter(alike) {
                plan.mapped.entry(column.clone()).or_default().push(place(ours));
            }
        }
        for column in columns.iter().filter(|column| !plan.mapped.contains_key(*column)) {
            let key = key_of(column);
            let ours = COLUMNS.into_iter().find(|ours| !column.starts_with(CRM) && key_of(ours) == key);
            let from_crm = || {
                let (_, theirs) =
                    self.crm.iter().find(|(_, t)| column.starts_with(CRM) && key_of(bare(column)) == key_of(t))?;
                Some(format!("{CRM}{theirs}"))
            };
            if let Some(name) = ours.map(str::to_owned).or_else(from_crm).filter(|name| name != column) {
                plan.renamed.insert(column.clone(), name);
            }
        }
        Ok(plan)
    }

    /// Refuses to take a column from a CRM file that does not have it, or that is not given: consent may stand there.
    pub fn check_crm(&self, crm: Option<&[String]>, list: &[String]) -> Result<(), IngestError> {
        for (ours, theirs) in &self.crm {
            let marked = format!("{CRM}{theirs}");
            let in_list = || find(list.iter().map(String::as_str).filter(|c| c.starts_with(CRM)), &marked).is_some();
            if !in_list() && !crm.is_some_and(|crm| find(crm.iter().map(|c| bare(c)), theirs).is_some()) {
                let reason = match crm {
                    None => "no CRM file is given; give one with --crm".to_owned(),
                    Some(crm) => format!("the CRM file has no such column; its columns are {}", crm.join(", ")),
                };
                return Err(wrong(ours, &marked, &reason));
            }
        }
        Ok(())
    }

    /// The name, without `crm.`, under which a column of the CRM file is known here.
    pub fn crm_name<'b>(&'b self, column: &'b str) -> &'b str {
        let column = bare(column);
        let key = key_of(column);
        self.crm.iter().find(|(_, theirs)| key_of(theirs) == key).map_or(column, |(_, theirs)| theirs)
    }

    /// Adds a CRM row, its columns `crm.` taken off, to a row of the call list; where both have a value, the list's counts.
    /// The key that joins them is not repeated.
    pub fn join(&self, row: &Cells, crm: &Cells, key: &str) -> Cells {
        let mut cells = row.clone();
        let (mut crm, taken) = (crm.clone(), crm);
        crm.remove(key);
        for (_, theirs) in &self.crm {
            cells.remove(&format!("{CRM}{theirs}"));
            crm.remove(*theirs);
        }
        for (ours, theirs) in &self.crm {
            if let Some(value) = row.get(&format!("{CRM}{theirs}")).or_else(|| taken.get(*theirs)) {
                cells.entry(place(ours)).or_insert_with(|| value.clone());
            }
        }
        for (column, value) in crm {
            if !cells.contains_key(&column) || COLUMNS.contains(&column.as_str()) {
                cells.entry(format!("{CRM}{column}")).or_insert(value);
            }
        }
        cells
    }
}

/// What the columns of one call list are called here.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By the list's name: what the pipeline takes from it.
    mapped: BTreeMap<String, Vec<String>>,
    /// By the list's name: ours, spelled otherwise.
    renamed: BTreeMap<String, String>,
}

impl Plan {
    /// Whether some column is called so here.
    pub fn has(&self, columns: &[String], name: &str) -> bool {
        columns.iter().any(|c| match (self.mapped.get(c), self.renamed.get(c)) {
            (Some(names), _) => names.iter().any(|n| n == name),
            (None, Some(renamed)) => renamed == name,
            (None, None) => c == name,
        })
    }

    /// Columns that look like ours and that nothing says are: each with the message about it.
    pub fn strangers<'a>(&'a self, columns: &'a [String]) -> impl Iterator<Item = String> + 'a {
        let known = |c: &str| self.mapped.contains_key(c) || self.renamed.contains_key(c) || COLUMNS.contains(&c);
        columns.iter().filter(move |c| !known(c)).filter_map(|column| {
            let found = lookalike(column).filter(|found| found.consent || !column.starts_with(CRM))?;
            Some(stranger(column, found.nearest))
        })
    }

    /// A row under our names; an error where two of its columns are one and differ.
    pub fn apply(&self, row: &Cells) -> (Cells, Option<String>) {
        let (mut cells, mut problem) = (Cells::new(), None);
        for (column, value) in row.iter().filter(|(column, _)| !self.mapped.contains_key(*column)) {
            let name = self.renamed.get(column).unwrap_or(column);
            match cells.insert(name.clone(), value.clone()) {
                Some(other) if other != *value => {
                    problem = Some(format!("has two columns {name} that differ; rename one"));
                }
                _ => {}
            }
        }
        for (column, names) in &self.mapped {
            let Some(value) = row.get(column) else { continue };
            for name in names {
                // Whichever of two answers is right, a denial counts.
                let denied = name.ends_with(CONSENT) && cells.get(name).is_some_and(|own| is_denied(own));
                if !denied {
                    cells.insert(name.clone(), value.clone());
                }
            }
        }
        (cells, problem)
    }
}

/// What is said of a column that looks like ours.
pub(crate) fn stranger(column: &str, nearest: &str) -> String {
    format!(
        "column {column:?} is not known, and looks like {nearest}; rename it so, or say in [ingest.columns] what it is \
         ({nearest} = {column:?}, or under a name of your own)"
    )
}

fn is_denied(consent: &str) -> bool {
    consent.trim().eq_ignore_ascii_case("denied")
}

fn wrong(ours: &str, theirs: &str, reason: &str) -> IngestError {
    IngestError::Config { key: format!("columns: {ours} = {theirs:?}"), reason: reason.to_owned() }
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
            Meaning::of(&row, zone).started_on.map(|day| day.to_string())
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
        assert_eq!(Meaning::of(&cells(&[("agent_id", "7")]), None).started_on, None);
    }

    #[test]
    fn columns_from_both_files() {
        let config: IngestConfig = toml::from_str(
            r#"columns = { recording = "File", agent_name = "customer_name", customer_name = "agent_name",
                           account = "crm.AccountName", customer_consent = "crm.Consent", deal = "DealNo" }"#,
        )
        .unwrap();
        let mapping = Mapping::new(&config).unwrap();
        let row = cells(&[("File", "a.wav"), ("agent_name", "Cora"), ("customer_name", "Ada"), ("DealNo", "7")]);
        let columns: Vec<String> = row.keys().cloned().collect();
        let (listed, problem) = mapping.plan(&columns).unwrap().apply(&row);
        assert_eq!(problem, None);
        let wanted = [("recording", "a.wav"), ("agent_name", "Ada"), ("customer_name", "Cora"), ("crm.deal", "7")];
        assert_eq!(listed, cells(&wanted));
        let crm =
            cells(&[("AccountName", "Larkfield"), ("Consent", "denied"), ("deal", "8"), ("owner", "Max"), ("id", "1")]);
        let joined = mapping.join(&listed, &crm, "id");
        let meaning = Meaning::of(&joined, &Reading::default());
        let text = |value: &str| Some(value.to_owned());
        let wanted = [("account", "Larkfield"), ("deal", "7"), ("owner", "Max")];
        assert_eq!(meaning.crm, wanted.map(|(k, v)| (k.to_owned(), text(v))).into());
        assert_eq!(meaning.participants[1].consent, "denied");
        // The list's own answer counts before the CRM file's.
        let mut answered = listed;
        answered.insert("customer_consent".into(), "granted".into());
        assert_eq!(
            Meaning::of(&mapping.join(&answered, &crm, "id"), &Reading::default()).participants[1].consent,
            "granted"
        );
    }

    #[test]
    fn columns_in_any_spelling() {
        let config: IngestConfig =
            toml::from_str(r#"columns = { recording = "file name", customer_consent = "Opt In" }"#).unwrap();
        let mapping = Mapping::new(&config).unwrap();
        let columns =
            ["File_Name", "Call ID", "CUSTOMER-CONSENT", "opt-in", "agent\u{a0}name", "Agent.Consent", "Stage"];
        let columns = columns.map(str::to_owned);
        let plan = mapping.plan(&columns).unwrap();
        let row = |own: &str, mapped: &str| {
            let values = ["a.wav", "7", own, mapped, "Ada", "granted", "won"];
            plan.apply(&columns.iter().cloned().zip(values.map(str::to_owned)).collect()).0
        };
        let wanted = [
            ("recording", "a.wav"),
            ("call_id", "7"),
            ("customer_consent", "granted"),
            ("agent_name", "Ada"),
            ("agent_consent", "granted"),
            ("Stage", "won"),
        ];
        assert_eq!(row("unknown", "granted"), cells(&wanted));
        // Whichever column is right, a denial counts.
        assert_eq!(row("Denied ", "granted")["customer_consent"], "Denied ");
        assert_eq!(row("granted", "denied")["customer_consent"], "denied");
        assert!(plan.has(&columns, "recording") && !plan.has(&columns, "track"));
        let twice = ["Call ID", "call-id"].map(str::to_owned);
        let plan = Mapping::default().plan(&twice).unwrap();
        let apply = |one: &str, two: &str| plan.apply(&cells(&[("Call ID", one), ("call-id", two)])).1;
        assert_eq!(apply("1", "1"), None);
        assert_eq!(apply("1", "2").unwrap(), "has two columns call_id that differ; rename one");
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
        let columns = ["recording", "consent_customer", "recordings", "crm.recordings", "stage"].map(str::to_owned);
        let strangers: Vec<String> = Plan::default().strangers(&columns).collect();
        assert_eq!(strangers.len(), 2);
        assert!(
            strangers[0].contains("\"consent_customer\" is not known, and looks like customer_consent"),
            "{strangers:?}"
        );
    }
}

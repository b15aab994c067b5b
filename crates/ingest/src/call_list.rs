//! The call list: a row a call, from a file of text cells to typed values.

use crate::{
    IngestError, Problem,
    table::{TextRow, read_table},
};
use chrono::{DateTime, Utc};
use schema::Participant;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Columns with a meaning here; all others are the company's own and go to `crm`.
const COLUMNS: [&str; 14] = [
    "recording",
    "call_id",
    "started_at",
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

/// A call list that was read.
#[derive(Debug, Default)]
pub(crate) struct CallList {
    pub file: PathBuf,
    /// Names of the columns, `crm.` taken off.
    pub columns: Vec<String>,
    pub rows: Vec<ListRow>,
    pub problems: Vec<Problem>,
}

/// A row of the call list.
#[derive(Debug)]
pub(crate) struct ListRow {
    pub line: u64,
    pub recording: String,
    pub call_id: Option<String>,
    pub started_at: Option<DateTime<Utc>>,
    pub direction: Option<String>,
    pub language: Option<String>,
    pub participants: Vec<Participant>,
    /// The file's audio track, from 0.
    pub track: Option<i32>,
    pub crm: BTreeMap<String, Option<String>>,
    /// Every cell, `crm.` taken off: where the CRM file's key is looked up.
    pub cells: BTreeMap<String, String>,
    /// Why the row cannot be trusted. Its recording must not be read: what the row says of consent is not known.
    pub problem: Option<String>,
}

/// The column's name without the prefix that marks CRM columns.
fn key(column: &str) -> &str {
    column.strip_prefix("crm.").unwrap_or(column)
}

impl CallList {
    /// Reads the file. Fails where it is no list at all; what is wrong with single rows is a problem.
    pub fn read(path: &Path) -> Result<Self, IngestError> {
        let table = read_table(path)?;
        if !table.columns.iter().any(|c| c == "recording") && !table.columns.is_empty() {
            let found = table.columns.join(", ");
            let reason = format!("has no column recording (path of the recording); its columns are {found}");
            return Err(IngestError::List { path: path.to_owned(), reason });
        }
        let columns = table.columns.iter().map(|c| key(c).to_owned()).collect();
        let mut list = Self { file: table.file, columns, rows: Vec::new(), problems: table.problems };
        for row in table.rows {
            list.add(row);
        }
        Ok(list)
    }

    fn add(&mut self, row: TextRow) {
        let TextRow { line, mut cells, problem } = row;
        let mut note = |message: String| {
            self.problems.push(Problem { file: self.file.clone(), line: Some(line), message });
        };
        let Some(recording) = cells.get("recording").cloned() else {
            note(problem.unwrap_or_else(|| "names no recording".into()));
            return;
        };
        let text = |column: &str| cells.get(column).cloned();
        let mut problem = problem;
        let mut participants = Vec::new();
        for role in ["agent", "customer"] {
            match participant(role, &cells) {
                Ok(participant) => participants.push(participant),
                Err(message) => {
                    problem.get_or_insert(message);
                }
            }
        }
        let track = cells.get("track").and_then(|track| match track.parse::<i32>() {
            Ok(number) if number >= 0 => Some(number),
            _ => {
                problem.get_or_insert(format!("track is {track:?}; audio tracks are numbered 0, 1, ..."));
                None
            }
        });
        if let Some(problem) = &problem {
            note(problem.clone());
        }
        let started_at = cells.get("started_at").and_then(|text| {
            let instant = DateTime::parse_from_rfc3339(text);
            if instant.is_err() {
                note(format!(
                    "started_at is {text:?}, which is not RFC 3339, such as 2026-03-02T14:30:00+01:00; left out"
                ));
            }
            instant.ok().map(|i| i.to_utc())
        });
        let (call_id, direction, language) = (text("call_id"), text("direction"), text("language"));
        // `crm.x` and `x` are one key; where a list has both, the marked one counts.
        let own = |column: &String| !COLUMNS.contains(&column.as_str());
        let mut crm: BTreeMap<_, _> = BTreeMap::new();
        for marked in [false, true] {
            for (column, value) in cells.iter().filter(|(c, _)| own(c) && c.starts_with("crm.") == marked) {
                crm.insert(key(column).to_owned(), Some(value.clone()));
            }
        }
        cells.extend(crm.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))));
        self.rows.push(ListRow {
            line,
            recording,
            call_id,
            started_at,
            direction,
            language,
            participants,
            track,
            crm,
            cells,
            problem,
        });
    }
}

/// The agent or the customer of a row.
fn participant(role: &str, cells: &BTreeMap<String, String>) -> Result<Participant, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn list(content: &str) -> CallList {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        CallList::read(file.path()).unwrap()
    }

    #[test]
    fn crm_columns_with_and_without_prefix() {
        let list = list("recording,stage,crm.stage,crm.owner,agent_id\na.wav,old,new,,7\nb.wav,old,,,\n");
        assert_eq!(list.columns, ["recording", "stage", "stage", "owner", "agent_id"]);
        assert_eq!(list.rows[0].crm, BTreeMap::from([("stage".into(), Some("new".into()))]));
        assert_eq!(list.rows[1].crm["stage"].as_deref(), Some("old"));
        assert_eq!(list.rows[0].participants[0].person_id.as_deref(), Some("7"));
        assert_eq!(list.rows[0].participants[1].consent, "unknown");
    }

    #[test]
    fn what_is_wrong_is_said_by_line() {
        let list = list(
            "recording,started_at,agent_channel,customer_channel,customer_consent\n\
             a.wav,2026-03-02 14:30,0,1,granted\n\
             b.wav,2026-03-02T14:30:00+01:00,-1,1,granted\n\
             c.wav,,,,Maybe\n\
             d.wav,,\n\
             ,,,,\n\
             e.wav,,0,left,DENIED\n",
        );
        let problems: Vec<_> = list.problems.iter().map(|p| (p.line.unwrap(), p.message.as_str())).collect();
        assert_eq!(problems.len(), 6);
        assert!(problems[0].1.starts_with("started_at is \"2026-03-02 14:30\", which is not RFC 3339"));
        assert_eq!(problems[1], (3, "agent_channel is \"-1\"; channels are numbered 0, 1, ..."));
        assert_eq!(problems[2], (4, "customer_consent is \"maybe\"; it can be granted, denied, unknown"));
        assert_eq!(problems[3], (5, "has 3 fields, and the header names 5"));
        assert_eq!(problems[4], (6, "names no recording"));
        assert_eq!(problems[5], (7, "customer_channel is \"left\"; channels are numbered 0, 1, ..."));
        let trusted: Vec<_> = list.rows.iter().filter(|r| r.problem.is_none()).map(|r| r.recording.as_str()).collect();
        assert_eq!(trusted, ["a.wav"]);
        assert_eq!(list.rows[1].started_at.unwrap().to_rfc3339(), "2026-03-02T13:30:00+00:00");
    }
}

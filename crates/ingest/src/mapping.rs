//! Which columns of the call list and the CRM file are ours: by our names in any spelling, and by the pipeline's word.

use crate::{
    IngestConfig, IngestError,
    columns::{COLUMNS, CRM, Cells, bare, find, key_of},
    doubt::lookalike,
};
use std::collections::BTreeMap;

/// How the names of our columns of consent end.
const CONSENT: &str = "_consent";

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
            if !in_list() && crm.is_none_or(|crm| find(crm.iter().map(|c| bare(c)), theirs).is_none()) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{Meaning, Reading};

    fn cells(pairs: &[(&str, &str)]) -> Cells {
        pairs.iter().map(|(column, value)| ((*column).to_owned(), (*value).to_owned())).collect()
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
    fn columns_that_are_none_of_ours() {
        let columns = ["recording", "consent_customer", "recordings", "crm.recordings", "stage"].map(str::to_owned);
        let strangers: Vec<String> = Plan::default().strangers(&columns).collect();
        assert_eq!(strangers.len(), 2);
        assert!(
            strangers[0].contains("\"consent_customer\" is not known, and looks like customer_consent"),
            "{strangers:?}"
        );
    }
}

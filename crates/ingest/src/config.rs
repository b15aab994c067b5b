//! The `[ingest]` section of a pipeline.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How recordings are found and joined with their rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// BCP 47 code of what is spoken where the call list does not say; none: unknown.
    pub language: Option<String>,
    /// Channel (0 or 1) on which the agent of a stereo recording is heard where the call list does not say; the customer
    /// is on the other.
    pub agent_channel: i32,
    /// Whose consent a recording needs.
    pub consent: ConsentRule,
    /// Where columns are taken from, by our names: `agent_name = "Agent"` from a column of the call list, `account =
    /// "crm.AccountName"` from one of the CRM file. Names that mean nothing here become keys of `crm`.
    pub columns: BTreeMap<String, String>,
    /// Zone of the call list's times that say none, such as `Europe/Berlin` or `+01:00`; a row's own `time_zone` counts
    /// first. None: such times are reported and left out.
    pub time_zone: Option<String>,
    /// Column of the CRM file that is its key; none: its first column that the call list has too.
    pub crm_key: Option<String>,
    /// Column of the call list that holds `crm_key`; none: the column of the same name.
    pub crm_key_in_calls: Option<String>,
    /// Further endings, without the dot and in any case, that make a file of a folder a recording whatever it holds. The usual
    /// ones are known; of other files what they hold decides. A file that is named itself is a recording.
    pub extensions: Vec<String>,
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            language: None,
            agent_channel: 0,
            consent: ConsentRule::None,
            columns: BTreeMap::new(),
            time_zone: None,
            crm_key: None,
            crm_key_in_calls: None,
            extensions: Vec::new(),
        }
    }
}

/// Whose consent a recording needs. Under every rule a denial is kept to: nobody who denied is heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsentRule {
    /// Everybody's: a recording without a row, or with anybody whose consent is not known, is refused. Of one whose row
    /// gives each a channel, those who granted are heard where another denied.
    AllParties,
    /// Nobody's who was told of the recording, which a row stands for: a recording without one is refused, and unknown
    /// consent is none denied. Of one whose row gives each a channel, the others are heard where one denied.
    Notified,
    /// Nobody's, and no row is needed; where anybody denied, the whole recording is refused.
    #[default]
    None,
}

//! The `[ingest]` section of a pipeline.

use serde::{Deserialize, Serialize};

/// How recordings are found and joined with their rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// BCP 47 code of what is spoken where the call list does not say; none: unknown.
    pub language: Option<String>,
    /// Channel (0 or 1) on which the agent of a stereo recording is heard where the call list does not say; the customer
    /// is on the other.
    pub agent_channel: i32,
    /// Whether a recording that no row of the call list names is refused.
    pub require_row: bool,
    /// Column of the CRM file that is its key; none: its first column that the call list has too.
    pub crm_key: Option<String>,
    /// Column of the call list that holds `crm_key`; none: the column of the same name.
    pub crm_key_in_calls: Option<String>,
    /// Endings, without the dot and in any case, that make a file of a folder a recording. A file that is named itself
    /// is a recording whatever its ending.
    pub extensions: Vec<String>,
}

impl Default for IngestConfig {
    fn default() -> Self {
        // More than can be decoded: a recording in a format that is not read must be reported, not passed over.
        let extensions = "wav wave mp3 flac ogg oga opus m4a m4b mp4 mov 3gp aac aif aiff aifc caf mka mkv webm wma amr gsm \
                          au snd sph vox";
        Self {
            language: None,
            agent_channel: 0,
            require_row: false,
            crm_key: None,
            crm_key_in_calls: None,
            extensions: extensions.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

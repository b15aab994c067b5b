//! What an object's key-value metadata says of its making.

use parquet::file::metadata::KeyValue;
use schema::{Fingerprint, ModelId, SCHEMA_VERSION};
use std::collections::BTreeMap;

/// How an object came to be. Equal fingerprint: nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The stage that wrote it.
    pub stage: String,
    /// Hash of the shard's inputs, the stage's configuration, its version and its models.
    pub fingerprint: Fingerprint,
    /// The models that ran.
    pub models: Vec<ModelId>,
    /// Only of `calls`: for each call, hashes of what it was made from, by name.
    pub inputs: BTreeMap<String, BTreeMap<String, String>>,
    /// Only of `calls`: whether stages are still at work on the shard, so that `outcome` is not settled yet.
    pub open: bool,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            stage: String::new(),
            fingerprint: Fingerprint::from_hex(""),
            models: Vec::new(),
            inputs: BTreeMap::new(),
            open: false,
        }
    }
}

const VERSION: &str = "nightcall.version";
const SCHEMA: &str = "nightcall.schema_version";
const STAGE: &str = "nightcall.stage";
const FINGERPRINT: &str = "nightcall.fingerprint";
const MODELS: &str = "nightcall.models";
const INPUTS: &str = "nightcall.inputs";
const OPEN: &str = "nightcall.open";

impl Stamp {
    pub(crate) fn to_metadata(&self) -> Vec<KeyValue> {
        let json = |value: &serde_json::Value| value.to_string();
        let mut metadata = vec![
            KeyValue::new(VERSION.into(), env!("CARGO_PKG_VERSION").to_owned()),
            KeyValue::new(SCHEMA.into(), SCHEMA_VERSION.to_string()),
            KeyValue::new(STAGE.into(), self.stage.clone()),
            KeyValue::new(FINGERPRINT.into(), self.fingerprint.to_string()),
            KeyValue::new(MODELS.into(), json(&serde_json::json!(self.models))),
        ];
        if !self.inputs.is_empty() {
            metadata.push(KeyValue::new(INPUTS.into(), json(&serde_json::json!(self.inputs))));
        }
        if self.open {
            metadata.push(KeyValue::new(OPEN.into(), "true".to_owned()));
        }
        metadata
    }

    /// `None` where the metadata is of another schema version or not ours: the object counts as not made.
    pub(crate) fn from_metadata(metadata: &[KeyValue]) -> Option<Self> {
        let get = |key: &str| metadata.iter().find(|kv| kv.key == key).and_then(|kv| kv.value.as_deref());
        if get(SCHEMA)? != SCHEMA_VERSION.to_string() {
            return None;
        }
        Some(Self {
            stage: get(STAGE)?.to_owned(),
            fingerprint: Fingerprint::from_hex(get(FINGERPRINT)?),
            models: serde_json::from_str(get(MODELS)?).ok()?,
            inputs: get(INPUTS).map_or(Some(BTreeMap::new()), |text| serde_json::from_str(text).ok())?,
            open: get(OPEN).is_some(),
        })
    }
}

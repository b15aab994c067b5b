//! Sharded Parquet over an object store.
//!
//! A [`Store`] is a folder, or a prefix of a bucket, that holds a folder a table, and in it one Parquet object a shard,
//! written whole or not at all:
//!
//! ```text
//! STORE/turns/5f0c1b2a9d3e.parquet              one object: a table of a shard
//! STORE/stage_errors/5f0c1b2a9d3e-flow.parquet  stage_errors has an object a shard and stage
//! ```
//!
//! So `STORE/TABLE/**/*.parquet` is the table and nothing else. What the runner needs to know of an object, its
//! [`Stamp`], lies in the object's own key-value metadata: there is no state beside the tables. The pipeline writes and
//! plans through this crate; report, eval and the command line read through it. Recordings lie in buckets too: [`objects`]
//! lists and finds them, and [`ObjectReader`] reads one like a file.
//!
//! ```
//! use schema::{Fingerprint, Table, to_batch, CallMetrics};
//! use store::{Key, Stamp, Store};
//!
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path().to_str().unwrap())?;
//! let key = Key::new(Table::CallMetrics, "5f0c1b2a9d3e");
//! let stamp = Stamp { stage: "flow".into(), fingerprint: Fingerprint::of([&b"inputs"[..]]), ..Stamp::default() };
//! store.write(&key, &[to_batch::<CallMetrics>(&[])?], &stamp)?;
//! assert_eq!(store.stamp(&key)?, Some(stamp));
//! assert!(store.rows::<CallMetrics>(&key)?.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod object;
pub mod objects;
mod profile;
mod reader;
mod stamp;

pub use error::StoreError;
pub use object::{Key, Store};
pub use reader::ObjectReader;
pub use stamp::Stamp;

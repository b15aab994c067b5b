//! Measures over texts and labels, each with the semantics of a published implementation.

pub mod boundaries;
pub mod labels;
pub mod phrases;
pub mod porter;
pub mod rouge;

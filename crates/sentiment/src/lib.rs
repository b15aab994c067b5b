//! How speakers feel: a sentiment per turn, and a trend per speaker over the quarters of the call.
//!
//! [`Scorer`] reads a text with the rules and the lexicon of VADER (Hutto and Gilbert, 2014) and a small lexicon of our
//! own for telephone calls; [`Label`] is what its compound score says. [`Reader`] reads texts by a head that we trained over
//! the sentence encoder, beside the lexicons or alone. [`trends`] folds a call's scored turns into one
//! [`schema::SentimentTrend`] per speaker. [`SentimentStage`] does both for a shard and is what the pipeline runs, by
//! the [`Scorer`] unless told otherwise, and `eval sentiment`, by the [`Reader`].
//!
//! ```
//! use sentiment::{Label, Scorer, SentimentConfig};
//!
//! let scorer = Scorer::new(&SentimentConfig::default())?;
//! assert_eq!(scorer.label("That is ridiculous, I am really angry."), Label::Negative);
//! assert_eq!(scorer.label("Okay, I'll send it by Friday."), Label::Neutral);
//! assert_eq!(scorer.label("Thank you so much, you were wonderful."), Label::Positive);
//! # Ok::<(), sentiment::SentimentError>(())
//! ```

mod calls;
mod config;
mod courtesy;
mod reader;
mod stage;
mod trend;
mod vader;

pub use config::{SentimentConfig, SentimentError};
pub use reader::Reader;
pub use stage::SentimentStage;
pub use trend::{ScoredTurn, trends};
pub use vader::{Label, Score, Scorer};

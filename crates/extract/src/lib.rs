//! What a call asks of people, and what it is about: follow-ups and keywords.
//!
//! [`Extract`] reads calls and turns and writes `follow_ups` and `keywords`; the pipeline runs it. [`follow_ups`] does
//! the first half over plain turns and [`keyphrases`] the heart of the second: the evaluation calls these. Both look at a
//! text through the same plain spelling (`text`), so that "I'll", "ill" and "I will", "fifteenth" and "15th" are one.
//! [`Likelihood`], a head that we trained over the sentence encoder, tells the action items of meetings, for the evaluation
//! alone.
//!
//! ```
//! use extract::{Utterance, follow_ups};
//!
//! let turns = [
//!     Utterance { turn_index: 0, role: "customer", text: "Could you send me the quote?" },
//!     Utterance { turn_index: 1, role: "agent", text: "Sure, I'll send you the revised quote by Friday." },
//! ];
//! let wednesday = "2026-03-04".parse().ok();
//! let found = follow_ups("8812", &turns, wednesday, 0.5);
//! assert_eq!(found.len(), 1);
//! assert_eq!(found[0].action, "send you the revised quote");
//! assert_eq!(found[0].owner_role.as_deref(), Some("agent"));
//! assert_eq!(found[0].due_date.map(|day| day.to_string()).as_deref(), Some("2026-03-06"));
//! assert_eq!(found[0].evidence.len(), 2);
//! ```
//!
//! # How a follow-up is found
//!
//! A sentence is searched for cues: "I will", "could you please", "let's" (`grammar`). The words after a cue up to the end of
//! its clause are the action; phrases that say when are cut out of it (`dates`) and resolved against the day of the call
//! (`calendar`, which lists its conventions). The confidence is a sum: the cue's weight (0.1 for "we could", 0.45 for "I
//! will", 0.5 for "please" and "let's"), what its verb is (a task such as "send" +0.2, a thing done while talking such as
//! "look" -0.3), a day to come +0.25, a recipient +0.1, a condition before it -0.5, an action without content -0.3. From 0.5
//! (`follow_up_min_score`) it is a row. What is asked, promised and confirmed in several turns is one row with all its
//! evidence (`merge`), unless two different days are named: then both stand.

mod action;
mod amounts;
mod calendar;
mod config;
mod dates;
mod follow_up;
mod grammar;
mod keyphrases;
mod keywords;
mod likelihood;
mod merge;
mod numbers;
mod stage;
mod text;
mod trackers;
mod word_classes;

pub use config::{ExtractConfig, ExtractError, TrackerConfig};
pub use keywords::keyphrases;
pub use likelihood::Likelihood;
pub use merge::{Utterance, follow_ups};
pub use stage::Extract;

//! What happens during a run, told to whoever draws it.

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The work is known: calls found, and how many of them lie in shards where something is to be done.
    Planned {
        /// Calls of this run.
        calls: usize,
        /// Those whose shard is up to date already.
        up_to_date: usize,
    },
    /// A stage begins on a shard. The recognizer is a shard ahead of the stages over text.
    Stage {
        /// The stage.
        stage: schema::StageName,
        /// Position of the shard in the run, from 1.
        shard: usize,
        /// Shards with work.
        shards: usize,
    },
    /// Audio went through the recognizer: milliseconds of call, counted on the first channel that is
    /// heard.
    Audio {
        /// Milliseconds.
        ms: i64,
    },
    /// A call's recording has been read to its end, or was refused or failed.
    Call,
    /// A shard is committed.
    Shard {
        /// Its calls.
        calls: usize,
        /// Its position in the run, from 1.
        shard: usize,
        /// Shards with work.
        shards: usize,
    },
}

/// Takes events; called from the run's threads.
pub trait Progress: Sync {
    /// Takes one event.
    fn event(&self, event: Event);
}

/// Draws nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn event(&self, _: Event) {}
}

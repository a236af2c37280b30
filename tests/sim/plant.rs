//! Faults that are planted to see whether a run notices them.

/// A fault of the product, or of what it relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plant {
    /// A node's log says that entries are on the disk when they are not.
    AckBeforeSync,
    /// A node does not write down for whom it voted.
    VoteNotSaved,
    /// A node's log leaves out its last entry when it is read again, and goes on.
    RecordSkipped,
    /// A sensor's disk says that it has synced and has not.
    SpoolNotSynced,
    /// A local read is called linearizable.
    StaleReads,
    /// A sensor loses a frame on its way into a batch and says nothing.
    FrameLost,
    /// What was not done is called done.
    FalseSuccess,
}

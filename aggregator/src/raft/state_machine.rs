//! What consensus drives.

use std::io;

use crate::state::command::Command;
use crate::state::receipt::Receipt;

/// The state and its store, as consensus drives them. Called from one task.
pub trait Machine: Send + Sync + 'static {
    /// Applies one committed entry (`None`: blank or a membership). It cannot fail; what cannot be
    /// written ends the process.
    fn apply(&self, index: u64, command: Option<&Command>) -> Receipt;

    /// A consistent copy of the state as of the last applied entry; cheap (copy-on-write).
    fn freeze(&self) -> Box<dyn Frozen>;

    /// Replaces the state by what a snapshot of it holds, as of a log index. Blocking.
    ///
    /// # Errors
    /// The disk's, and `InvalidData` if the bytes are no state of this build.
    fn restore(&self, index: u64, reader: &mut dyn io::Read) -> io::Result<()>;
}

/// A state that does not change any more, to be written down while the machine goes on.
pub trait Frozen: Send {
    /// Writes it. Blocking.
    ///
    /// # Errors
    /// The writer's.
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()>;
}

/// Openraft's view of a [`Machine`].
pub struct StateMachine;

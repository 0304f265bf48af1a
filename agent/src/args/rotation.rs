//! How files of documents are kept within a size, as typed.

use clap::Args;

/// How files of documents are kept within a size.
#[derive(Clone, Debug, Args)]
pub struct RotationArgs {
    /// MiB after which a file of documents is moved away, to PATH.1, PATH.2 and so on, and a new one begun, between
    /// two documents. 0: never.
    #[arg(
        long,
        env = "NAMEWARDEN_ROTATE_MIB",
        default_value_t = 100,
        value_parser = clap::value_parser!(u64).range(0..=1_048_576),
        value_name = "MIB"
    )]
    pub rotate_mib: u64,

    /// Files of documents that are kept, the one that is written to among them; then the oldest is removed, and what was in it
    /// counted.
    #[arg(
        long,
        env = "NAMEWARDEN_ROTATE_FILES",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(2..=100),
        value_name = "FILES"
    )]
    pub rotate_files: u32,
}

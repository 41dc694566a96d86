//! The settings of what one import may hold. Their defaults are the hosted
//! service's limits.

use clap::Args;
use crossbill_core::limits::{IMPORT_FILES_MAX, IMPORT_NAMESPACES_MAX};

use crate::units::ByteSize;

/// Quotas of an import. One that is over a quota fails before it reads a
/// record, and says which and by how much.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Quotas")]
pub(crate) struct QuotaArgs {
    /// Files that one import may read
    #[arg(long, env = "CROSSBILL_IMPORT_FILES_MAX", value_name = "N", hide_env_values = true,
        default_value_t = IMPORT_FILES_MAX as u64,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) import_files_max: u64,
    /// Size that one file of an import may have
    #[arg(
        long,
        env = "CROSSBILL_IMPORT_FILE_BYTES_MAX",
        value_name = "SIZE",
        hide_env_values = true,
        default_value = "10GiB"
    )]
    pub(crate) import_file_bytes_max: ByteSize,
    /// Namespaces that one import may write to
    #[arg(long, env = "CROSSBILL_IMPORT_NAMESPACES_MAX", value_name = "N", hide_env_values = true,
        default_value_t = IMPORT_NAMESPACES_MAX as u64,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) import_namespaces_max: u64,
    /// Size that the files of one namespace of an import may have together
    #[arg(
        long,
        env = "CROSSBILL_IMPORT_NAMESPACE_BYTES_MAX",
        value_name = "SIZE",
        hide_env_values = true,
        default_value = "500GiB"
    )]
    pub(crate) import_namespace_bytes_max: ByteSize,
}

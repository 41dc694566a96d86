//! The commands about backups and their schedules.

use clap::{Args, Subcommand, ValueEnum};

use crate::args::{ConnectArgs, IndexArg};

/// `crossbill backups …`
#[derive(Subcommand)]
pub(crate) enum BackupsCommand {
    /// Make a backup of an index; it copies no records and lasts until it is deleted
    #[command(after_help = "\
Examples:
  crossbill backups create --index products
  crossbill backups create --index products --name before-reindex --description 'the old model'")]
    Create {
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// A name for people
        #[arg(id = "backup_name", long = "name", value_name = "TEXT")]
        name: Option<String>,
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// List backups, newest first
    #[command(after_help = "\
Examples:
  crossbill backups list
  crossbill backups list --index products --limit 5")]
    List {
        /// Only those of this index
        #[arg(long, value_name = "NAME")]
        index: Option<String>,
        /// How many at most
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Describe a backup
    #[command(after_help = "\
Example:
  crossbill backups describe 670e8400-e29b-41d4-a716-446655440000")]
    Describe {
        /// Its id
        id: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Delete a backup; what nothing else refers to gives its space back
    #[command(after_help = "\
Example:
  crossbill backups delete 670e8400-e29b-41d4-a716-446655440000")]
    Delete {
        /// Its id
        id: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Make a new index of a backup
    #[command(after_help = "\
Example:
  crossbill backups restore 670e8400-e29b-41d4-a716-446655440000 --to products-restored")]
    Restore {
        /// The backup's id
        id: String,
        /// Name of the index to be made
        #[arg(long, value_name = "NAME")]
        to: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Have a server make backups of an index regularly
    #[command(after_help = "\
Examples:
  crossbill backups schedule nightly --index products --every day --keep-days 30
  crossbill backups schedule weekly --index products --every week --keep-days 365 --keep-last 8")]
    Schedule(Box<ScheduleArgs>),
    /// List the schedules of an index
    #[command(after_help = "Example:\n  crossbill backups schedules --index products")]
    Schedules {
        /// The index.
        #[command(flatten)]
        index: IndexArg,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
    /// Delete a schedule; its backups stay
    #[command(after_help = "\
Example:
  crossbill backups unschedule 670e8400-e29b-41d4-a716-446655440000")]
    Unschedule {
        /// The schedule's id
        id: String,
        /// Where.
        #[command(flatten)]
        connect: Box<ConnectArgs>,
    },
}

/// `crossbill backups schedule …`
#[derive(Args)]
pub(crate) struct ScheduleArgs {
    /// A name; its backups' names begin with it
    #[arg(id = "schedule_name", value_name = "NAME")]
    pub(crate) name: String,
    /// The index.
    #[command(flatten)]
    pub(crate) index: IndexArg,
    /// How often
    #[arg(long, value_enum, default_value_t = EveryArg::Day)]
    pub(crate) every: EveryArg,
    /// Days after which each backup is deleted
    #[arg(long, value_name = "DAYS")]
    pub(crate) keep_days: u32,
    /// How many backups are kept at most, the newest
    #[arg(long, value_name = "N")]
    pub(crate) keep_last: Option<u32>,
    /// Where.
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// How often a schedule runs, on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EveryArg {
    Day,
    Week,
    Month,
}

impl EveryArg {
    /// The name on the wire.
    pub(crate) fn frequency(self) -> &'static str {
        match self {
            EveryArg::Day => "daily",
            EveryArg::Week => "weekly",
            EveryArg::Month => "monthly",
        }
    }
}

impl BackupsCommand {
    /// How the command reaches its database.
    pub(crate) fn connect(&self) -> &ConnectArgs {
        match self {
            Self::Create { connect, .. }
            | Self::List { connect, .. }
            | Self::Describe { connect, .. }
            | Self::Delete { connect, .. }
            | Self::Restore { connect, .. }
            | Self::Schedules { connect, .. }
            | Self::Unschedule { connect, .. } => connect,
            Self::Schedule(args) => &args.connect,
        }
    }
}

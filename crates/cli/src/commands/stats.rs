//! `crossbill stats`: how many records an index holds, by namespace.

use crate::args::StatsArgs;
use crate::client::{self, Imports};
use crate::commands::with_hint;
use crate::error::{Exit, Result};
use crate::output;
use crate::settings::IntegrationTable;
use crate::table::{Align, Table};
use crate::units::count;

/// Asks and shows.
pub(crate) fn run(args: &StatsArgs, integrations: &[IntegrationTable]) -> Result<Exit> {
    let client = client::connect(&args.connect, integrations, Imports::Wait)?;
    let stats = client
        .stats(&args.index.name)
        .map_err(|error| with_hint(error, &args.index.name, client.as_ref()))?;
    if args.connect.json {
        output::document(&stats);
        return Ok(Exit::Success);
    }
    let mut table = Table::new(&[("namespace", Align::Left), ("records", Align::Right)]);
    for (name, summary) in &stats.namespaces {
        table.row(vec![name.clone(), count(summary.vector_count)]);
    }
    table.row(vec!["(all)".to_owned(), count(stats.total_vector_count)]);
    output::line(&table.render(output::stdout_columns()));
    Ok(Exit::Success)
}

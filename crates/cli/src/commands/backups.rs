//! `crossbill backups`: make, list, describe, delete and restore backups, and
//! have them made regularly.

use crossbill_wire::backups::{
    BackupModel, CreateBackup, CreateIndexFromBackup, CreateSchedule, Retention, ScheduleModel,
    ScheduleSpec, TIME_BASED,
};
use serde_json::json;

use crate::args::{BackupsCommand, ScheduleArgs};
use crate::client::{self, Imports};
use crate::commands::with_hint;
use crate::error::{Exit, Result};
use crate::output;
use crate::settings::IntegrationTable;
use crate::table::{Align, Table, printable};
use crate::units::{ByteSize, count};

/// Runs one of the commands.
pub(crate) fn run(command: BackupsCommand, integrations: &[IntegrationTable]) -> Result<Exit> {
    let connect = command.connect().clone();
    let client = client::connect(&connect, integrations, Imports::Wait)?;
    let hint = |index: &str| {
        let (client, index) = (client.as_ref(), index.to_owned());
        move |error| with_hint(error, &index, client)
    };
    match command {
        BackupsCommand::Create { index, name, description, .. } => {
            let request = CreateBackup { name, description };
            let made = client.create_backup(&index.name, &request);
            show(&made.map_err(hint(&index.name))?, connect.json);
        }
        BackupsCommand::List { index, limit, .. } => {
            let found = client.list_backups(index.as_deref(), limit);
            let found = match index.as_deref() {
                Some(index) => found.map_err(hint(index))?,
                None => found?,
            };
            list(&found, connect.json);
        }
        BackupsCommand::Describe { id, .. } => show(&client.describe_backup(&id)?, connect.json),
        BackupsCommand::Delete { id, .. } => {
            client.delete_backup(&id)?;
            deleted("backup", &id, connect.json);
        }
        BackupsCommand::Restore { id, to, .. } => {
            let request = CreateIndexFromBackup { name: to, ..CreateIndexFromBackup::default() };
            let job = client.restore_backup(&id, &request)?;
            match connect.json {
                true => output::document(&job),
                false => output::line(&format!("restored index {}", job.target_index_name)),
            }
        }
        BackupsCommand::Schedule(args) => {
            let made = client.create_schedule(&args.index.name, &request(&args));
            let made = made.map_err(hint(&args.index.name))?;
            if client.is_embedded() {
                output::note("a server that serves this directory will run it");
            }
            show_schedules(std::slice::from_ref(&made), connect.json);
        }
        BackupsCommand::Schedules { index, .. } => {
            let found = client.list_schedules(&index.name).map_err(hint(&index.name))?;
            show_schedules(&found, connect.json);
        }
        BackupsCommand::Unschedule { id, .. } => {
            client.delete_schedule(&id)?;
            deleted("schedule", &id, connect.json);
        }
    }
    Ok(Exit::Success)
}

fn request(args: &ScheduleArgs) -> CreateSchedule {
    CreateSchedule {
        name: args.name.clone(),
        schedule: ScheduleSpec {
            kind: TIME_BASED.to_owned(),
            frequency: args.every.frequency().to_owned(),
        },
        retention: Retention { expire_after_days: Some(args.keep_days), keep_last: args.keep_last },
    }
}

fn deleted(what: &str, id: &str, json: bool) {
    match json {
        true => output::document(&json!({"deleted": id})),
        false => output::line(&format!("deleted {what} {}", printable(id))),
    }
}

fn show(backup: &BackupModel, json: bool) {
    match json {
        true => output::document(backup),
        false => table(std::slice::from_ref(backup)),
    }
}

fn list(backups: &[BackupModel], json: bool) {
    if json {
        output::document(&json!({"data": backups}));
    } else if backups.is_empty() {
        output::note("no backups yet; make one with crossbill backups create");
    } else {
        table(backups);
    }
}

fn table(backups: &[BackupModel]) {
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("index", Align::Left),
        ("records", Align::Right),
        ("size", Align::Right),
        ("created", Align::Left),
        ("name", Align::Left),
    ]);
    for backup in backups {
        table.row(vec![
            backup.backup_id.clone(),
            backup.source_index_name.clone(),
            count(backup.record_count),
            ByteSize(backup.size_bytes).to_string(),
            backup.created_at.clone(),
            backup.name.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
}

fn show_schedules(schedules: &[ScheduleModel], json: bool) {
    if json {
        return output::document(&json!({"data": schedules}));
    }
    if schedules.is_empty() {
        return output::note("no schedules yet; make one with crossbill backups schedule");
    }
    let mut table = Table::new(&[
        ("id", Align::Left),
        ("name", Align::Left),
        ("every", Align::Left),
        ("keep days", Align::Right),
        ("keep last", Align::Right),
        ("next run", Align::Left),
    ]);
    for schedule in schedules {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.row(vec![
            schedule.schedule_id.clone(),
            schedule.name.clone(),
            schedule.frequency.clone(),
            schedule.retention_expire_after_days.to_string(),
            or_dash(schedule.retention_keep_last.map(|number| number.to_string())),
            or_dash(schedule.next_scheduled_run.clone()),
        ]);
    }
    output::line(&table.render(output::stdout_columns()));
}

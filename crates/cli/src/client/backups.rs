//! What the commands about backups need of a database, asked of a server and
//! of the engine inside this process.

use crossbill_core::limits::BACKUP_PAGE_MAX;
use crossbill_db::{BackupFilter, NewBackup};
use crossbill_server::{
    backup_model, new_schedule, restore_job_model, restore_options, root_copy_model, schedule_model,
};
use crossbill_wire::backups::{
    BackupModel, CreateBackup, CreateIndexFromBackup, CreateSchedule, DataPage, IndexFromBackup,
    RestoreJobModel, RootCopyModel, ScheduleModel, StartRootCopy,
};
use reqwest::Method;

use crate::client::remote::NO_BODY;
use crate::client::{Embedded, Remote};
use crate::error::Result;

/// Backups, wherever they are.
pub(crate) trait Backups {
    /// Makes a backup of an index.
    fn create_backup(&self, index: &str, request: &CreateBackup) -> Result<BackupModel>;
    /// At most `limit` backups, of one index or of all, newest first.
    fn list_backups(&self, index: Option<&str>, limit: usize) -> Result<Vec<BackupModel>>;
    /// One backup.
    fn describe_backup(&self, id: &str) -> Result<BackupModel>;
    /// Deletes a backup.
    fn delete_backup(&self, id: &str) -> Result<()>;
    /// Makes an index of a backup.
    fn restore_backup(&self, id: &str, request: &CreateIndexFromBackup) -> Result<RestoreJobModel>;
    /// Makes a schedule of backups of an index.
    fn create_schedule(&self, index: &str, request: &CreateSchedule) -> Result<ScheduleModel>;
    /// The schedules of an index.
    fn list_schedules(&self, index: &str) -> Result<Vec<ScheduleModel>>;
    /// Deletes a schedule.
    fn delete_schedule(&self, id: &str) -> Result<()>;
    /// Begins a copy of the whole data directory.
    fn start_root_copy(&self, request: &StartRootCopy) -> Result<RootCopyModel>;
    /// The copy that is made, or was made last.
    fn describe_root_copy(&self) -> Result<RootCopyModel>;
    /// Cancels the copy that is made.
    fn cancel_root_copy(&self) -> Result<()>;
}

impl Backups for Embedded {
    fn create_backup(&self, index: &str, request: &CreateBackup) -> Result<BackupModel> {
        let CreateBackup { name, description } = request.clone();
        Ok(backup_model(self.db.create_backup(index, NewBackup { name, description })?))
    }

    fn list_backups(&self, index: Option<&str>, limit: usize) -> Result<Vec<BackupModel>> {
        let filter = BackupFilter { index: index.map(str::to_owned), ..BackupFilter::default() };
        let (found, _more) = self.db.list_backups(&filter, None, limit)?;
        Ok(found.into_iter().map(backup_model).collect())
    }

    fn describe_backup(&self, id: &str) -> Result<BackupModel> {
        Ok(backup_model(self.db.describe_backup(id)?))
    }

    fn delete_backup(&self, id: &str) -> Result<()> {
        Ok(self.db.delete_backup(id)?)
    }

    fn restore_backup(&self, id: &str, request: &CreateIndexFromBackup) -> Result<RestoreJobModel> {
        let (job, _index) =
            self.db.restore_backup(id, restore_options(request.clone(), self.db.limits())?)?;
        Ok(restore_job_model(job))
    }

    fn create_schedule(&self, index: &str, request: &CreateSchedule) -> Result<ScheduleModel> {
        let new = new_schedule(request.clone())?;
        Ok(schedule_model(self.db.create_backup_schedule(index, new)?))
    }

    fn list_schedules(&self, index: &str) -> Result<Vec<ScheduleModel>> {
        let (found, _more) = self.db.list_backup_schedules(index, None, BACKUP_PAGE_MAX)?;
        Ok(found.into_iter().map(schedule_model).collect())
    }

    fn delete_schedule(&self, id: &str) -> Result<()> {
        Ok(self.db.delete_backup_schedule(id)?)
    }

    fn start_root_copy(&self, request: &StartRootCopy) -> Result<RootCopyModel> {
        Ok(root_copy_model(self.db.start_root_copy(&request.uri)?))
    }

    fn describe_root_copy(&self) -> Result<RootCopyModel> {
        Ok(root_copy_model(self.db.describe_root_copy()?))
    }

    fn cancel_root_copy(&self) -> Result<()> {
        self.db.cancel_root_copy();
        Ok(())
    }
}

impl Backups for Remote {
    fn start_root_copy(&self, request: &StartRootCopy) -> Result<RootCopyModel> {
        self.control(Method::POST, &["root-copy"], &[], Some(request))
    }

    fn describe_root_copy(&self) -> Result<RootCopyModel> {
        self.control(Method::GET, &["root-copy"], &[], NO_BODY)
    }

    fn cancel_root_copy(&self) -> Result<()> {
        let _: serde_json::Value = self.control(Method::DELETE, &["root-copy"], &[], NO_BODY)?;
        Ok(())
    }

    fn create_backup(&self, index: &str, request: &CreateBackup) -> Result<BackupModel> {
        self.control(Method::POST, &["indexes", index, "backups"], &[], Some(request))
    }

    fn list_backups(&self, index: Option<&str>, limit: usize) -> Result<Vec<BackupModel>> {
        let path = match index {
            Some(index) => vec!["indexes", index, "backups"],
            None => vec!["backups"],
        };
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        while found.len() < limit {
            let size = (limit - found.len()).min(BACKUP_PAGE_MAX);
            let mut query = vec![("limit", size.to_string())];
            query.extend(token.take().map(|token| ("paginationToken", token)));
            let page: DataPage<BackupModel> = self.control(Method::GET, &path, &query, NO_BODY)?;
            found.extend(page.data);
            match page.pagination {
                Some(pagination) => token = Some(pagination.next),
                None => break,
            }
        }
        Ok(found)
    }

    fn describe_backup(&self, id: &str) -> Result<BackupModel> {
        self.control(Method::GET, &["backups", id], &[], NO_BODY)
    }

    fn delete_backup(&self, id: &str) -> Result<()> {
        let path = ["backups", id];
        let _: serde::de::IgnoredAny = self.control(Method::DELETE, &path, &[], NO_BODY)?;
        Ok(())
    }

    fn restore_backup(&self, id: &str, request: &CreateIndexFromBackup) -> Result<RestoreJobModel> {
        let made: IndexFromBackup =
            self.control(Method::POST, &["backups", id, "create-index"], &[], Some(request))?;
        self.control(Method::GET, &["restore-jobs", &made.restore_job_id], &[], NO_BODY)
    }

    fn create_schedule(&self, index: &str, request: &CreateSchedule) -> Result<ScheduleModel> {
        self.control(Method::POST, &["indexes", index, "backup-schedules"], &[], Some(request))
    }

    fn list_schedules(&self, index: &str) -> Result<Vec<ScheduleModel>> {
        let query = [("limit", BACKUP_PAGE_MAX.to_string())];
        let path = ["indexes", index, "backup-schedules"];
        let page: DataPage<ScheduleModel> = self.control(Method::GET, &path, &query, NO_BODY)?;
        Ok(page.data)
    }

    fn delete_schedule(&self, id: &str) -> Result<()> {
        let path = ["backup-schedules", id];
        let _: serde::de::IgnoredAny = self.control(Method::DELETE, &path, &[], NO_BODY)?;
        Ok(())
    }
}

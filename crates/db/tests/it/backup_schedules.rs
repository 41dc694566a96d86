//! Backup schedules: when they run, what they keep, and how long they last.

use std::sync::Arc;
use std::time::Duration;

use crossbill_core::{Clock as _, ErrorKind, ManualClock, Timestamp};
use crossbill_db::{
    BackupFilter, BackupInfo, Database, DatabaseOptions, Frequency, NewSchedule, ScheduleChange,
};

use crate::backups::put;
use crate::fixtures::{Place, index, plane};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn daily(keep_last: Option<u32>) -> NewSchedule {
    NewSchedule {
        name: "nightly".into(),
        frequency: Frequency::Daily,
        expire_after_days: 10,
        keep_last,
    }
}

struct Scheduled {
    place: Place,
    clock: Arc<ManualClock>,
    id: String,
}

impl Scheduled {
    fn new(keep_last: Option<u32>) -> (Self, Arc<Database>) {
        let clock = Arc::new(ManualClock::at(Timestamp(1_800_000_000_000)));
        let mut made = Self { place: Place::new(), clock, id: String::new() };
        let database = made.open();
        put(&index(&database, plane()), "x", 3);
        made.id = database.create_backup_schedule("a", daily(keep_last)).unwrap().id;
        (made, database)
    }

    fn open(&self) -> Arc<Database> {
        let clock = Arc::clone(&self.clock) as _;
        let options = self.place.options();
        Database::open(DatabaseOptions { clock, merges_at_once: 0, ..options }).unwrap()
    }

    fn history(&self, database: &Database) -> Vec<BackupInfo> {
        let filter = BackupFilter { schedule: Some(self.id.clone()), ..BackupFilter::default() };
        database.list_backups(&filter, None, 100).unwrap().0
    }
}

#[test]
fn schedules_run_by_the_clock_and_keep_what_they_are_told() {
    let (scheduled, database) = Scheduled::new(Some(3));
    let count = |database: &Database| scheduled.history(database).len();
    database.run_backup_schedules();
    assert_eq!(count(&database), 0, "the first run is a day ahead");
    for day in 1..=5 {
        scheduled.clock.advance(DAY);
        for _ in 0..2 {
            database.run_backup_schedules();
        }
        assert_eq!(count(&database), day.min(3), "day {day}");
    }
    let newest = &scheduled.history(&database)[0];
    let at = scheduled.clock.now();
    assert_eq!((newest.created_at, newest.name.clone()), (at, Some(format!("nightly-{at}"))));
    assert_eq!(newest.expires_at, Some(at.plus_days(10)));
    drop(database);
    // Missed runs are made up for by one, and the cadence stays.
    scheduled.clock.advance(DAY * 4 + DAY / 2);
    let database = scheduled.open();
    for _ in 0..2 {
        database.run_backup_schedules();
        assert_eq!(count(&database), 3);
        assert_eq!(scheduled.history(&database)[0].created_at, scheduled.clock.now());
    }
    let next = database.describe_backup_schedule(&scheduled.id).unwrap().next_run.unwrap();
    assert_eq!(next.0 - scheduled.clock.now().0, DAY.as_millis() as i64 / 2);
}

#[test]
fn scheduled_backups_expire_but_for_the_newest() {
    let (scheduled, database) = Scheduled::new(None);
    for _ in 0..12 {
        scheduled.clock.advance(DAY);
        database.run_backup_schedules();
    }
    assert_eq!(scheduled.history(&database).len(), 10);
    let change = ScheduleChange { expire_after_days: Some(4), ..ScheduleChange::default() };
    database.change_backup_schedule(&scheduled.id, change).unwrap();
    database.run_backup_schedules();
    assert_eq!(scheduled.history(&database).len(), 4);
    let off = ScheduleChange { enabled: Some(false), ..ScheduleChange::default() };
    let changed = database.change_backup_schedule(&scheduled.id, off).unwrap();
    assert_eq!((changed.next_run, changed.is_enabled()), (None, false));
    scheduled.clock.advance(DAY * 100);
    database.run_backup_schedules();
    let left = scheduled.history(&database);
    assert_eq!(left.len(), 1, "the newest is kept, and none was made");
    let on = ScheduleChange { enabled: Some(true), ..ScheduleChange::default() };
    let changed = database.change_backup_schedule(&scheduled.id, on).unwrap();
    assert_eq!(changed.next_run, Some(scheduled.clock.now().plus_days(1)));
    database.delete_backup_schedule(&scheduled.id).unwrap();
    assert_eq!(database.describe_backup(&left[0].id).unwrap().expires_at, None);
    scheduled.clock.advance(DAY * 100);
    database.run_backup_schedules();
    assert!(database.describe_backup(&left[0].id).is_ok());
}

#[test]
fn one_schedule_of_an_index_is_enabled_and_it_goes_with_the_index() {
    let (scheduled, database) = Scheduled::new(None);
    let refused = database.create_backup_schedule("a", daily(None)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let off = ScheduleChange { enabled: Some(false), ..ScheduleChange::default() };
    database.change_backup_schedule(&scheduled.id, off).unwrap();
    database.create_backup_schedule("a", daily(None)).unwrap();
    let on = ScheduleChange { enabled: Some(true), ..ScheduleChange::default() };
    let refused = database.change_backup_schedule(&scheduled.id, on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(database.list_backup_schedules("a", None, 10).unwrap().0.len(), 2);
    for bad in [
        NewSchedule { expire_after_days: 0, ..daily(None) },
        NewSchedule { name: String::new(), ..daily(None) },
    ] {
        let refused = database.create_backup_schedule("a", bad).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    scheduled.clock.advance(DAY);
    database.run_backup_schedules();
    let (all, _) = database.list_backups(&BackupFilter::default(), None, 10).unwrap();
    assert_eq!(all.len(), 1);
    database.delete_index("a").unwrap();
    assert!(database.describe_backup_schedule(&scheduled.id).is_err());
    scheduled.clock.advance(DAY * 100);
    database.run_backup_schedules();
    assert_eq!(database.describe_backup(&all[0].id).unwrap().expires_at, None);
}

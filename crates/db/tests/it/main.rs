//! The database through its public calls, one directory a test.

mod crash;
mod fixtures;
mod imports;
mod indexes;
mod records;

//! Injected faults, decided by a seed, for tests and the simulator: a plan of
//! what may go wrong where, and an object store decorator that follows it.

/// PLACEHOLDER
#[derive(Debug)]
pub struct FaultPlan;
/// PLACEHOLDER
#[derive(Debug)]
pub struct FaultRule;
/// PLACEHOLDER
#[derive(Debug)]
pub enum Fault {}
/// PLACEHOLDER
#[derive(Debug)]
pub enum FaultOp {}
/// PLACEHOLDER
#[derive(Debug)]
pub struct FaultStore;

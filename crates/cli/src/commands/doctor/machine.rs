//! The machine: what its processor can do, and whether the memory that is
//! allowed is there.

use super::check::Report;
use crate::args::ServeArgs;
use crate::units::ByteSize;
use crate::{machine, options};

/// Part of the machine's memory, in percent, that the server may be allowed
/// without a word: files in use need the rest.
const MEMORY_PERCENT: u64 = 75;

/// Checks processor and memory.
pub(super) fn check(args: &ServeArgs, report: &mut Report) {
    let instructions = crossbill_db::doctor::instructions();
    let (threads, processors) = (options::threads(&args.engine), machine::processors());
    let found = format!("{instructions} kernels, {threads} threads on {processors} processors");
    if instructions == "scalar" {
        report.warning(
            "processor",
            found,
            "searches are several times slower than with AVX2 or NEON",
        );
    } else if threads > processors * 2 {
        report.warning("processor", found, "set --threads to the processors that there are");
    } else {
        report.ok("processor", found);
    }
    memory(args, report);
}

fn memory(args: &ServeArgs, report: &mut Report) {
    // A wrong setting is the settings' own finding.
    let Ok(allowed) = options::memory_bytes(&args.engine) else { return };
    let Some(there) = machine::memory_bytes() else {
        report
            .ok("memory", format!("{} allowed; how much there is is not known", ByteSize(allowed)));
        return;
    };
    let found = format!("{} allowed of {}", ByteSize(allowed), ByteSize(there));
    if allowed > there {
        report.problem(
            "memory",
            found,
            "the system would end the server under load: lower --memory-limit or give it more",
        );
    } else if allowed / 100 > there / 100 * MEMORY_PERCENT / 100 {
        report.warning("memory", found, "leave a quarter for files in use: lower --memory-limit");
    } else {
        report.ok("memory", found);
    }
}

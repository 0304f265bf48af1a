//! The object -> programs and maps in the kernel, with the settings in them. Nothing is attached here.

use std::path::{Path, PathBuf};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{Program, ProgramError},
};
use aya_log::EbpfLogger;
use namewarden_agent_common::settings::WINDOWS_PER_SECOND;

use super::{
    error::{KernelError, explain, shorten},
    figures::Figures,
    ports::Ports,
    settings::KernelSettings,
    watch::{Logger, ToTracing},
};
use crate::pipeline::capture::Ring;

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/namewarden-ebpf"));

/// User space is woken when 64 KiB (as a power of two) wait, or a quarter of a smaller ring.
const WAKE_SHIFT_MAX: u32 = 16;

/// Of the log's ring buffer: as small as can be while nothing is logged.
const LOG_BYTES_OFF: u32 = 4 << 10;
const LOG_BYTES_ON: u32 = 128 << 10;

/// Log levels of the kernel half.
const LOG_OFF: u8 = 0;
const LOG_ALL: u8 = 5;

/// Programs and maps in the kernel, attached to nothing.
pub struct Loaded {
    pub(super) programs: Ebpf,
    pub(super) ring: Ring,
    pub(super) figures: Figures,
    pub(super) ports: Ports,
    pub(super) cgroup_root: PathBuf,
    pub(super) logger: Option<Logger>,
    thread_names: bool,
}

impl Loaded {
    /// The cgroup2 directory that the hooks will be attached to.
    pub fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// Whether records carry the names of threads; without `CAP_PERFMON` newer kernels do not tell them.
    pub fn has_thread_names(&self) -> bool {
        self.thread_names
    }
}

/// The constants of the kernel half, as its `maps` has them.
struct Constants {
    server_side: u8,
    thread_names: u8,
    wake_shift: u64,
    look_shift: u64,
    pressure_bytes: u64,
    budget_records: u64,
    budget_bytes: u64,
    gate_records: u64,
    gate_bytes: u64,
    log_level: u8,
}

impl Constants {
    fn new(settings: &KernelSettings, cpus: u64) -> Self {
        let cpus = cpus.max(1);
        let ring = u64::from(settings.ring_bytes);
        let wake_shift = WAKE_SHIFT_MAX.min((ring / 4).ilog2());
        let budget_records = settings.budgets.records_per_second / WINDOWS_PER_SECOND;
        let budget_bytes = settings.budgets.bytes_per_second / WINDOWS_PER_SECOND;
        Self {
            server_side: settings.server_side.into(),
            thread_names: 1,
            wake_shift: wake_shift.into(),
            look_shift: ((1 << wake_shift) / cpus).max(1).ilog2().into(),
            pressure_bytes: ring / 2,
            budget_records,
            budget_bytes,
            gate_records: budget_records / cpus,
            gate_bytes: budget_bytes / cpus,
            log_level: if settings.log { LOG_ALL } else { LOG_OFF },
        }
    }
}

/// Which of the packet hooks' two forms: the one of most machines, or the one that old kernels (5.10; 6.12 no longer) want
/// of a loader without `CAP_PERFMON`: headers through the helper only, and no log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Usual,
    Plain,
}

impl Form {
    /// Whether a program belongs to it; hooks other than those of packets have one form.
    fn has(self, program: &str) -> bool {
        match program {
            "packet_out" | "packet_in" => self == Self::Usual,
            "packet_out_plain" | "packet_in_plain" => self == Self::Plain,
            _ => true,
        }
    }
}

/// Loads every program and map.
///
/// Newer kernels offer the name of a thread only to a loader with `CAP_PERFMON`, older ones headers in place: without
/// it the agent goes without. User space then reads the name of the process from `/proc`.
pub fn load(settings: &KernelSettings, cgroup_root: PathBuf) -> Result<Loaded, KernelError> {
    let mut constants =
        Constants::new(settings, aya::util::online_cpus().map_or(1, |cpus| cpus.len() as u64));
    // What to go without, most wanted first.
    let mut programs = load_object(settings, &constants, Form::Usual);
    for (thread_names, form) in [(0, Form::Usual), (1, Form::Plain), (0, Form::Plain)] {
        if matches!(programs, Err(KernelError::Refused { .. })) {
            constants = Constants { thread_names, ..constants };
            programs = load_object(settings, &constants, form);
            if form == Form::Plain && programs.is_ok() {
                tracing::info!(
                    "this kernel gives the quick form of the packet hooks to CAP_PERFMON only; the plain form, which costs more \
                     a packet, is used"
                );
            }
        }
    }
    let mut programs = programs?;
    let ports = Ports::take(&mut programs, &settings.ports)?;
    let ring = Ring::new(take(&mut programs, "RING")?)?;
    let figures = Figures::take(&mut programs)?;
    let logger = if settings.log { Some(logger(&mut programs)?) } else { None };
    Ok(Loaded {
        programs,
        ring,
        figures,
        ports,
        cgroup_root,
        logger,
        thread_names: constants.thread_names != 0,
    })
}

fn load_object(settings: &KernelSettings, constants: &Constants, form: Form) -> Result<Ebpf, KernelError> {
    let mut programs = EbpfLoader::new()
        .override_global("SERVER_SIDE", &constants.server_side, true)
        .override_global("THREAD_NAMES", &constants.thread_names, true)
        .override_global("WAKE_SHIFT", &constants.wake_shift, true)
        .override_global("LOOK_SHIFT", &constants.look_shift, true)
        .override_global("PRESSURE_BYTES", &constants.pressure_bytes, true)
        .override_global("BUDGET_RECORDS", &constants.budget_records, true)
        .override_global("BUDGET_BYTES", &constants.budget_bytes, true)
        .override_global("GATE_RECORDS", &constants.gate_records, true)
        .override_global("GATE_BYTES", &constants.gate_bytes, true)
        .override_global("AYA_LOG_LEVEL", &constants.log_level, true)
        .map_max_entries("RING", settings.ring_bytes)
        .map_max_entries("AYA_LOGS", if settings.log { LOG_BYTES_ON } else { LOG_BYTES_OFF })
        .load(OBJECT)
        .map_err(|error| KernelError::Refused {
            what: "the agent's maps".to_owned(),
            reason: explain(&error),
        })?;
    for (name, program) in programs.programs_mut().filter(|(name, _)| form.has(name)) {
        load_program(program).map_err(|error| KernelError::Refused {
            what: format!("program {name}"),
            reason: refusal(&error),
        })?;
    }
    Ok(programs)
}

fn load_program(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::CgroupSkb(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

fn refusal(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => shorten(&format!("{io_error}\n{verifier_log}")),
        other => explain(other),
    }
}

fn logger(programs: &mut Ebpf) -> Result<Logger, KernelError> {
    EbpfLogger::init_with_logger(programs, ToTracing).map_err(|error| refused("AYA_LOGS", &error))
}

/// A map of the object, by name.
pub fn take(programs: &mut Ebpf, name: &str) -> Result<aya::maps::Map, KernelError> {
    programs.take_map(name).ok_or_else(|| KernelError::Refused {
        what: format!("map {name}"),
        reason: "the object does not have it; build it again with cargo xtask build-ebpf".to_owned(),
    })
}

/// A map as its type.
pub fn typed<T>(map: aya::maps::Map, name: &str) -> Result<T, KernelError>
where
    T: TryFrom<aya::maps::Map, Error = aya::maps::MapError>,
{
    T::try_from(map).map_err(|error| refused(name, &error))
}

/// The kernel's answer to something that was tried with a map.
pub fn refused(map: &str, error: &dyn std::error::Error) -> KernelError {
    KernelError::Refused { what: format!("map {map}"), reason: explain(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_ring_wakes_its_reader_at_a_quarter() {
        let settings = KernelSettings { ring_bytes: 64 << 10, ..KernelSettings::default() };
        assert_eq!(1 << Constants::new(&settings, 2).wake_shift, 16 << 10);
        assert_eq!(1 << Constants::new(&KernelSettings::default(), 2).wake_shift, 64 << 10);
    }

    #[test]
    fn what_all_cpus_write_between_two_looks_wakes_the_reader_once() {
        for cpus in [1, 2, 7, 256, 100_000] {
            let constants = Constants::new(&KernelSettings::default(), cpus);
            assert!((cpus << constants.look_shift) <= (1 << constants.wake_shift).max(cpus));
        }
        assert_eq!(Constants::new(&KernelSettings::default(), 2).look_shift, 15);
    }

    #[test]
    fn a_cgroup_over_its_budget_opens_the_gate_of_one_cpu_at_least() {
        let constants = Constants::new(&KernelSettings::default(), 7);
        assert!(constants.gate_records * 7 <= constants.budget_records);
        assert!(constants.gate_bytes * 7 <= constants.budget_bytes);
    }
}

//! Which functions processes run through: a breakpoint at the beginning of each, in every process that runs the binary.
//!
//! ```text
//! script ── seized ──> fork, exec: another program: goes on, followed
//!                            exec: the binary: breakpoints ── int3 ──> noted once; the byte is put back; goes on
//! ```
//!
//! Children have a copy of their parent's memory, breakpoints included, and are followed as it was, into namespaces and
//! cgroups, until the script has ended.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::map::LinkMap;

/// The instruction for a breakpoint.
const INT3: u8 = 0xcc;

/// Follows a process and all that come of it.
pub(crate) struct Tracer {
    /// Device and inode of the binary: it is executed by several names, and by none.
    file: (u64, u64),
    /// Where code begins, and the code with breakpoints.
    start: u64,
    broken: Vec<u8>,
    /// What was where a breakpoint is.
    former: HashMap<u64, u8>,
    seen: HashSet<u64>,
    touched: Vec<u64>,
}

impl Tracer {
    /// For a binary and the map of it, of which the addresses are those in memory: it is not position-independent.
    pub(crate) fn new(binary: &Path, map: &LinkMap) -> Result<Self> {
        let metadata = fs::metadata(binary).with_context(|| format!("look at {}", binary.display()))?;
        let code = map.code();
        let mut broken = code_of(binary, &code)?;
        let mut former = HashMap::new();
        for address in map.functions() {
            let place = &mut broken[(address - code.start) as usize];
            former.entry(address).or_insert_with(|| std::mem::replace(place, INT3));
        }
        let file = (metadata.dev(), metadata.ino());
        Ok(Self { file, start: code.start, broken, former, seen: HashSet::new(), touched: Vec::new() })
    }

    /// Runs a program to its end, which must be a good one. Returns where functions begin that its processes ran through,
    /// in the order of their first call.
    pub(crate) fn run(mut self, program: &Path, arguments: &[OsString]) -> Result<Vec<u64>> {
        let mut held = Command::new("/bin/sh");
        held.args(["-c", r#"read -r go; exec "$0" "$@" </dev/null"#]).arg(program).args(arguments);
        let mut child =
            held.stdin(Stdio::piped()).spawn().with_context(|| format!("start {}", program.display()))?;
        let script = Pid::from_raw(child.id() as i32);
        let options = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(script, options).context("trace the script")?;
        child
            .stdin
            .take()
            .context("the script has no input")?
            .write_all(b"go\n")
            .context("let the script go")?;
        let code = self.follow(script)?;
        ensure!(code == 0, "{} ended with status {code}", program.display());
        Ok(self.touched)
    }

    fn follow(&mut self, script: Pid) -> Result<i32> {
        loop {
            match waitpid(None, Some(WaitPidFlag::__WALL)).context("wait for what is traced")? {
                WaitStatus::Exited(pid, code) if pid == script => return Ok(code),
                WaitStatus::Signaled(pid, signal, _) if pid == script => return Ok(128 + signal as i32),
                WaitStatus::PtraceEvent(pid, _, event) => {
                    if event == ptrace::Event::PTRACE_EVENT_EXEC as i32 && self.is_ours(pid) {
                        self.break_in(pid)?;
                    }
                    go_on(pid, None);
                }
                WaitStatus::Stopped(pid, Signal::SIGTRAP) if self.pass(pid) => go_on(pid, None),
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
                _ => {}
            }
        }
    }

    fn is_ours(&self, pid: Pid) -> bool {
        let file = fs::metadata(format!("/proc/{pid}/exe"));
        file.is_ok_and(|file| (file.dev(), file.ino()) == self.file)
    }

    fn break_in(&self, pid: Pid) -> Result<()> {
        memory(pid)?.write_all_at(&self.broken, self.start).context("set breakpoints")
    }

    /// False if it did not stop at a breakpoint. One that another thread has just taken away is one still.
    fn pass(&mut self, pid: Pid) -> bool {
        let Ok(mut registers) = ptrace::getregs(pid) else { return true };
        let address = registers.rip.wrapping_sub(1);
        let Some(byte) = self.former.get(&address) else { return false };
        registers.rip = address;
        // Who has been killed meanwhile needs neither.
        let _ = memory(pid).map(|memory| memory.write_all_at(&[*byte], address));
        let _ = ptrace::setregs(pid, registers);
        if self.seen.insert(address) {
            self.touched.push(address);
        }
        true
    }
}

fn memory(pid: Pid) -> Result<File> {
    let file = format!("/proc/{pid}/mem");
    File::options().write(true).open(&file).with_context(|| format!("open {file}"))
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    // Gone is fine.
    let _ = ptrace::cont(pid, signal);
}

/// A range of addresses of an ELF file for 64 bits, which lies in one segment (System V ABI, "Program Header").
fn code_of(binary: &Path, range: &std::ops::Range<u64>) -> Result<Vec<u8>> {
    let bytes = fs::read(binary).with_context(|| format!("read {}", binary.display()))?;
    let word = |at: usize, length: usize| {
        let field = bytes.get(at..at + length).unwrap_or_default();
        field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    let (headers, size, count) = (word(0x20, 8), word(0x36, 2), word(0x38, 2));
    for number in 0..count {
        let header = (headers + number * size) as usize;
        let (offset, address, length) = (word(header + 8, 8), word(header + 16, 8), word(header + 32, 8));
        if word(header, 4) == 1 && (address..address + length).contains(&range.start) {
            let start = (range.start - address + offset) as usize;
            let code = bytes.get(start..start + (range.end - range.start) as usize);
            return code.map(<[u8]>::to_vec).context("the file is shorter than its header says");
        }
    }
    anyhow::bail!("{} has no segment at {:#x}", binary.display(), range.start)
}

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

/// Follows a script and all that come of it.
pub(crate) struct Tracer<'a> {
    binary: &'a Path,
    /// Its device and inode: it is executed by several names, and by none.
    file: (u64, u64),
    map: &'a LinkMap,
    /// The code with breakpoints, from when it has been seen for the first time, and what was where they are.
    broken: Vec<u8>,
    former: HashMap<u64, u8>,
    seen: HashSet<u64>,
    touched: Vec<u64>,
}

impl<'a> Tracer<'a> {
    /// For a binary and the map of it, of which the addresses are those in memory: it is not position-independent.
    pub(crate) fn new(binary: &'a Path, map: &'a LinkMap) -> Result<Self> {
        let metadata = fs::metadata(binary).with_context(|| format!("look at {}", binary.display()))?;
        let file = (metadata.dev(), metadata.ino());
        let (broken, former, seen, touched) = Default::default();
        Ok(Self { binary, file, map, broken, former, seen, touched })
    }

    /// Gives the binary to a script and runs it to its end, which must be a good one. Returns where functions begin that
    /// its processes ran through, in the order of their first call.
    pub(crate) fn run(mut self, script: &Path) -> Result<Vec<u64>> {
        let mut held = Command::new("/bin/sh");
        held.args(["-c", r#"read -r go; exec "$0" "$1" </dev/null"#]).arg(script).arg(self.binary);
        let mut child = held.stdin(Stdio::piped()).spawn().context("start a shell")?;
        let pid = Pid::from_raw(child.id() as i32);
        let options = Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(pid, options).context("trace the script")?;
        let mut input = child.stdin.take().context("the shell has no input")?;
        input.write_all(b"go\n").context("let the script go")?;
        let code = self.follow(pid)?;
        ensure!(code == 0, "it ended with status {code}");
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

    fn break_in(&mut self, pid: Pid) -> Result<()> {
        let (memory, code) = (memory(pid)?, self.map.code());
        if self.broken.is_empty() {
            self.broken = vec![0; (code.end - code.start) as usize];
            memory.read_exact_at(&mut self.broken, code.start).context("read the code")?;
            for address in self.map.functions() {
                let place = &mut self.broken[(address - code.start) as usize];
                self.former.entry(address).or_insert_with(|| std::mem::replace(place, INT3));
            }
        }
        memory.write_all_at(&self.broken, code.start).context("set breakpoints")
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
    File::options().read(true).write(true).open(&file).with_context(|| format!("open {file}"))
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    // Gone is fine.
    let _ = ptrace::cont(pid, signal);
}

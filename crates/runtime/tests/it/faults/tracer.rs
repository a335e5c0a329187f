//! Runs a command and makes one of its system calls go wrong: the tracer of ptrace(2) that the walks need.
//!
//! ```text
//! sh waits ── seized ──> exec: the command ── clone ──> children, until they run a program of their own
//!                        calls are counted             calls are counted apart
//! ```
//!
//! At the chosen call of the chosen side the caller is killed, or another process, or the call is not made and fails.
//! What the command leaves running is let go when it has ended. x86-64 alone: registers are what they are there.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::bundle::Outcome;

/// Whose calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The command itself.
    Runtime,
    /// Its children: the container's init, or the process that is added to a container.
    Child,
}

/// What is done to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails with this.
    Error(Errno),
    Kill,
    /// Somebody else is killed.
    KillOther(Pid),
}

/// One fault: at the call with this number among those of the side that count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Injection {
    pub(crate) side: Side,
    pub(crate) fault: Fault,
    pub(crate) at: usize,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Traced {
    pub(crate) outcome: Outcome,
    /// The system call that went wrong, if there were so many.
    pub(crate) call: Option<Call>,
}

/// A system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Whose it is.
    pub(crate) pid: i32,
    number: i64,
    /// The path that it names or its descriptor has, as far as one can tell.
    #[allow(dead_code, reason = "for the words of a failure")]
    object: String,
}

impl Call {
    pub(crate) fn is_poll(&self) -> bool {
        self.number == nix::libc::SYS_poll
    }

    /// The wait of a container's init for its start.
    pub(crate) fn is_wait_for_start(&self) -> bool {
        self.number == nix::libc::SYS_read && self.object.ends_with("exec.fifo")
    }

    /// Of a process that stands at its entry.
    fn of(pid: Pid, registers: &nix::libc::user_regs_struct) -> Self {
        let text = |address| path_at(pid, address).filter(|text| !text.is_empty());
        let link = || fs::read_link(format!("/proc/{pid}/fd/{}", registers.rdi as u32)).ok();
        let link = || link()?.to_str().map(str::to_owned);
        let number = registers.orig_rax as i64;
        // What there is where a read will put something says nothing.
        let object = match number {
            nix::libc::SYS_read => link(),
            _ => text(registers.rdi).or_else(|| text(registers.rsi)).or_else(link),
        };
        Self { pid: pid.as_raw(), number, object: object.unwrap_or_default() }
    }
}

/// A text in a process' memory that may be a path.
fn path_at(pid: Pid, address: u64) -> Option<String> {
    let mut bytes = [0; 256];
    let length = File::open(format!("/proc/{pid}/mem")).ok()?.read_at(&mut bytes, address).ok()?;
    let text = bytes[..length].split(|byte| *byte == 0).next()?;
    text.is_ascii().then(|| String::from_utf8_lossy(text).into_owned()).filter(|text| text.contains('/'))
}

/// No command of the runtime takes a tenth of this, traced and on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command with one fault. Panics if it does not come to an end.
pub(crate) fn run(command: &Command, directory: &Path, injection: Injection) -> Traced {
    let (told, hear) = mpsc::channel();
    let program = command.get_program().to_owned();
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let outputs = ["traced.out", "traced.err"].map(|name| directory.join(name));
    let files = outputs.clone().map(|path| File::create(path).unwrap());
    // A thread of its own: what it still traces at its end goes on untraced.
    let tracer = std::thread::spawn(move || {
        let [stdout, stderr] = files;
        let mut held = Command::new("sh");
        held.args(["-c", r#"read -r go; exec "$0" "$@" </dev/null"#]).arg(&program).args(arguments);
        #[expect(clippy::zombie_processes, reason = "its tracer waits for it")]
        let mut child = held.stdin(Stdio::piped()).stdout(stdout).stderr(stderr).spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        told.send(pid).unwrap();
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK;
        ptrace::seize(pid, options).unwrap();
        ptrace::interrupt(pid).unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let name = Path::new(&program).file_name().unwrap().to_owned();
        let mut tracer = Tracer {
            command: pid,
            program: name,
            injection,
            counts: false,
            count: 0,
            hit: None,
            failing: HashSet::new(),
        };
        let code = tracer.follow();
        (code, tracer.hit)
    });
    let pid = hear.recv().unwrap();
    // The sender goes with the thread.
    if hear.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        let _ = kill(pid, Signal::SIGKILL);
        let (_, call) = tracer.join().unwrap();
        panic!("it hangs after {injection:?}, call {call:?}");
    }
    let (code, call) = tracer.join().unwrap();
    let [stdout, stderr] = outputs.map(|path| fs::read_to_string(path).unwrap());
    Traced { outcome: Outcome { code, stdout, stderr }, call }
}

struct Tracer {
    command: Pid,
    /// The name of its file.
    program: OsString,
    injection: Injection,
    /// False until the shell has become the command.
    counts: bool,
    count: usize,
    hit: Option<Call>,
    /// Those whose present call was not made and has to fail.
    failing: HashSet<Pid>,
}

impl Tracer {
    /// Until the command has ended: its code, or 128 and the signal.
    fn follow(&mut self) -> i32 {
        let any = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            match waitpid(None, Some(any)).unwrap() {
                WaitStatus::Exited(pid, code) if pid == self.command => return code,
                WaitStatus::Signaled(pid, signal, _) if pid == self.command => return 128 + signal as i32,
                WaitStatus::PtraceSyscall(pid) => {
                    self.call(pid);
                    go_on(pid, None);
                }
                WaitStatus::PtraceEvent(pid, _, event) => {
                    let exec = event == ptrace::Event::PTRACE_EVENT_EXEC as i32;
                    self.counts |= exec && self.runs_it(pid);
                    if exec && pid != self.command {
                        // It is no part of the runtime any more.
                        let _ = ptrace::detach(pid, None);
                    } else {
                        go_on(pid, None);
                    }
                }
                WaitStatus::Stopped(pid, signal) => go_on(pid, Some(signal)),
                _ => {}
            }
        }
    }

    /// The shell is traced too, and it may be so early that its own beginning is seen.
    fn runs_it(&self, pid: Pid) -> bool {
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
        program.as_deref().and_then(Path::file_name) == Some(&self.program)
    }

    fn call(&mut self, pid: Pid) {
        // Who has been killed meanwhile has neither calls nor registers.
        let (Ok(info), Ok(mut registers)) = (ptrace::syscall_info(pid), ptrace::getregs(pid)) else { return };
        if info.op == nix::libc::PTRACE_SYSCALL_INFO_EXIT {
            if let (true, Fault::Error(errno)) = (self.failing.remove(&pid), self.injection.fault) {
                registers.rax = -i64::from(errno as i32) as u64;
                let _ = ptrace::setregs(pid, registers);
            }
            return;
        }
        let side = if pid == self.command { Side::Runtime } else { Side::Child };
        let number = registers.orig_rax;
        let counted = self.counts && side == self.injection.side && self.injection.fault.is_for(number);
        if !counted || self.hit.is_some() {
            return;
        }
        if self.count == self.injection.at {
            self.hit = Some(Call::of(pid, &registers));
            match self.injection.fault {
                Fault::Kill => drop(kill(pid, Signal::SIGKILL)),
                Fault::KillOther(other) => drop(kill(other, Signal::SIGKILL)),
                Fault::Error(_) => {
                    registers.orig_rax = u64::MAX;
                    let _ = ptrace::setregs(pid, registers);
                    self.failing.insert(pid);
                }
            }
        }
        self.count += 1;
    }
}

fn go_on(pid: Pid, signal: Option<Signal>) {
    // Gone is fine.
    let _ = ptrace::syscall(pid, signal);
}

impl Fault {
    /// Everybody can be killed anywhere. Left out of the calls that fail: those that can't (of whose failure no program
    /// could know), and those for memory, without which there is nobody to say so.
    fn is_for(self, number: u64) -> bool {
        use nix::libc as c;
        const SPARED: [i64; 29] = [
            c::SYS_mmap,
            c::SYS_munmap,
            c::SYS_mremap,
            c::SYS_mprotect,
            c::SYS_madvise,
            c::SYS_brk,
            c::SYS_close,
            c::SYS_exit,
            c::SYS_exit_group,
            c::SYS_rt_sigreturn,
            c::SYS_rt_sigaction,
            c::SYS_rt_sigprocmask,
            c::SYS_sigaltstack,
            c::SYS_arch_prctl,
            c::SYS_set_tid_address,
            c::SYS_set_robust_list,
            c::SYS_rseq,
            c::SYS_getpid,
            c::SYS_getuid,
            c::SYS_geteuid,
            c::SYS_getgid,
            c::SYS_getegid,
            c::SYS_umask,
            c::SYS_gettid,
            c::SYS_futex,
            c::SYS_sched_getaffinity,
            c::SYS_getrandom,
            c::SYS_restart_syscall,
            c::SYS_clock_nanosleep,
        ];
        !matches!(self, Self::Error(_)) || !SPARED.contains(&(number as i64))
    }
}

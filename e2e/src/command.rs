//! Running a command and saying what it did.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a finished command said.
#[derive(Debug)]
pub struct Outcome {
    /// The command line, for messages.
    pub command: String,
    /// Exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
}

impl Outcome {
    /// The trimmed standard output of a command that must succeed.
    ///
    /// # Panics
    /// When it did not, with everything it said.
    #[track_caller]
    #[must_use = "use `ok` to only check for success"]
    pub fn text(&self) -> String {
        self.ok();
        self.stdout.trim_end().to_owned()
    }

    /// Checks that the command succeeded.
    ///
    /// # Panics
    /// When it did not, with everything it said.
    #[track_caller]
    pub fn ok(&self) -> &Self {
        assert!(
            self.code == 0,
            "{} ended with {}\n{}\n{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Checks that the command failed with this code and that its standard error has this text.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn fails(&self, code: i32, text: &str) -> &Self {
        assert!(
            self.code == code && self.stderr.contains(text),
            "{} ended with {} (wanted {code}), and its error lacks {text:?}:\n{}\n{}",
            self.command,
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// Runs a command to its end with `input` on its standard input.
///
/// # Panics
/// When it can't be started or runs for more than two minutes.
#[track_caller]
pub fn run(command: &mut Command, input: &[u8]) -> Outcome {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {shown}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin was piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that doesn't read its input closes the pipe: that is its right.
        let _ = stdin.write_all(&input);
    });
    let pid = child.id();
    let (done, finished) = std::sync::mpsc::channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let expired = finished.recv_timeout(Duration::from_secs(120)).is_err();
        if expired {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        expired
    });
    let output = child.wait_with_output().unwrap_or_else(|error| panic!("wait for {shown}: {error}"));
    let _ = done.send(());
    writer.join().expect("the writer does not panic");
    let expired = watchdog.join().expect("the watchdog does not panic");
    let outcome = Outcome {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!expired, "{} hung\n{}\n{}", outcome.command, outcome.stdout, outcome.stderr);
    outcome
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it doesn't within 20 seconds.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

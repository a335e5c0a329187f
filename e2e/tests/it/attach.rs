//! `attach`, terminals and detach keys, through a pseudo-terminal made by util-linux's `script`.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use barge_e2e::{Client, Daemon, wait_until};

/// A command line on a terminal of its own.
struct Terminal {
    child: Child,
    seen: std::sync::Arc<std::sync::Mutex<String>>,
}

impl Terminal {
    fn open(command: &Command) -> Terminal {
        let mut line = command.get_program().to_string_lossy().into_owned();
        for argument in command.get_args() {
            line += &format!(" '{}'", argument.to_string_lossy().replace('\'', r"'\''"));
        }
        let mut script = Command::new("script");
        script.args(["-qefc", &line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let mut child = script.spawn().expect("start script");
        let mut output = child.stdout.take().expect("stdout was piped");
        let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let sink = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                sink.lock().expect("lock").push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Terminal { child, seen }
    }

    fn send(&mut self, keys: &str) {
        self.child.stdin.as_mut().expect("stdin was piped").write_all(keys.as_bytes()).expect("type");
    }

    #[track_caller]
    fn expect(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.seen.lock().expect("lock").contains(text) {
            assert!(
                Instant::now() < deadline,
                "waited for {text:?}, saw {:?}",
                self.seen.lock().expect("lock")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn code(mut self) -> i32 {
        wait_until("the command line ends", || self.child.try_wait().expect("wait").is_some());
        self.child.wait().expect("wait").code().unwrap_or(-1)
    }
}

#[test]
fn a_shell_on_a_terminal() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let mut terminal = Terminal::open(&daemon.command(client, &["run", "-it", "--rm", "busybox", "sh"]));
        terminal.send("tty; echo $TERM\n");
        terminal.expect("/dev/pts/0\r\nxterm\r\n");
        terminal.send("exit 6\n");
        assert_eq!(terminal.code(), 6, "{client:?}");
    }
}

#[test]
fn control_c_reaches_the_foreground_process() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let mut terminal = Terminal::open(&daemon.command(
            client,
            &[
                "run",
                "-it",
                "--rm",
                "busybox",
                "sh",
                "-c",
                "trap 'echo caught; exit 8' INT; echo ready; while :; do sleep 0.05; done",
            ],
        ));
        terminal.expect("ready");
        terminal.send("\x03");
        terminal.expect("caught");
        assert_eq!(terminal.code(), 8);
    }
}

#[test]
fn detach_keys_leave_the_container_running() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let mut terminal =
            Terminal::open(&daemon.command(client, &["run", "-it", "--name", "box", "busybox", "sh"]));
        terminal.send("echo first-$((1+1))\n");
        terminal.expect("first-2");
        terminal.send("\x10\x11");
        assert_eq!(terminal.code(), 0, "{client:?}");
        assert_eq!(daemon.inspect("box", "{{.State.Running}}"), "true");
        let mut again =
            Terminal::open(&daemon.command(client, &["attach", "--detach-keys", "ctrl-x,q", "box"]));
        again.send("echo second-$((1+2))\n");
        again.expect("second-3");
        again.send("\x18q");
        again.code();
        assert_eq!(daemon.inspect("box", "{{.State.Running}}"), "true");
        daemon.docker(&["rm", "-f", "box"]).ok();
    }
}

#[test]
fn several_clients_see_the_same_output() {
    let daemon = Daemon::start();
    daemon
        .docker(&["run", "-di", "--name", "box", "busybox", "sh", "-c", "read go; seq 1 1000; exit 3"])
        .ok();
    let clients: Vec<_> = (0..3)
        .map(|number| {
            let client = Client::BOTH[number % 2];
            daemon
                .command(client, &["attach", "--no-stdin", "box"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("attach")
        })
        .collect();
    // Each holds two connections: its streams, and the wait for the end. Those of passers-by don't last.
    let lasting = || std::iter::repeat_with(|| daemon.connections()).take(20);
    wait_until("all are attached", || lasting().all(|count| count >= 6));
    daemon.with_input(Client::Docker, &["attach", "box"], b"go\n");
    for client in clients {
        let output = client.wait_with_output().expect("wait");
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1000);
    }
}

#[test]
fn signals_are_proxied_to_the_container() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let mut child = daemon
            .command(
                client,
                &[
                    "run",
                    "--rm",
                    "--name",
                    "box",
                    "busybox",
                    "sh",
                    "-c",
                    "trap 'exit 11' TERM; echo up; while :; do sleep 0.05; done",
                ],
            )
            .stdout(Stdio::piped())
            .spawn()
            .expect("run");
        let mut up = [0; 3];
        child.stdout.as_mut().expect("stdout was piped").read_exact(&mut up).expect("read");
        Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill");
        assert_eq!(child.wait().expect("wait").code(), Some(11), "{client:?}");
    }
}

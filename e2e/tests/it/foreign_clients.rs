//! Clients written for Docker that know nothing of Barge: docker-py and bollard.

use std::path::PathBuf;
use std::process::Command;

use barge_e2e::{Daemon, run};
use futures_util::StreamExt;

/// What docker-py does in many programs, with its own assertions.
const PYTHON: &str = r#"
import docker, io, tarfile
client = docker.from_env()
assert client.ping()
assert client.version()["ApiVersion"]
assert client.info()["Images"] == 1
out = client.containers.run("busybox", ["echo", "from python"], remove=True)
assert out == b"from python\n", out
container = client.containers.run("busybox", "sleep 600", detach=True, name="py", labels={"k": "v"},
    environment={"A": "1"}, ports={"80/tcp": ("127.0.0.1", None)}, mem_limit="64m", volumes={"pydata": {"bind": "/d", "mode": "rw"}})
container.reload()
assert container.status == "running", container.status
assert container.attrs["HostConfig"]["Memory"] == 64 * 1024 * 1024
assert container.ports["80/tcp"][0]["HostIp"] == "127.0.0.1"
code, output = container.exec_run(["sh", "-c", "echo $A; exit 3"])
assert (code, output) == (3, b"1\n"), (code, output)
code, (stdout, stderr) = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
assert (stdout, stderr) == (b"out\n", b"err\n")
assert [c.name for c in client.containers.list(filters={"label": "k=v"})] == ["py"]
assert "sleep 600" in str(container.top())
container.pause(); container.reload(); assert container.status == "paused"; container.unpause()
container.rename("py2"); container.stop(timeout=0); assert container.wait()["StatusCode"] == 137
container.start(); container.kill(); container.remove(force=True, v=True)
try:
    client.containers.get("py2")
    raise SystemExit("found what was removed")
except docker.errors.NotFound:
    pass
try:
    client.containers.run("busybox", "no-such-program")
    raise SystemExit("ran what is not there")
except docker.errors.APIError as error:
    assert "executable file not found" in str(error), error
for name in ("pycontainer",):
    c = client.containers.create("busybox", "sh -c 'echo a; echo b >&2'", name=name)
    c.start(); c.wait()
    assert c.logs(stdout=True, stderr=False) == b"a\n"
    assert b"".join(c.logs(stream=True, follow=True)) in (b"a\nb\n", b"b\na\n")
    c.remove()
for c in client.containers.list(all=True): c.remove(force=True)
volume = client.volumes.get("pydata"); volume.remove()
image = client.images.get("busybox"); image.tag("copy", "1")
assert "copy:1" in client.images.get("copy:1").tags
client.images.remove("copy:1")
events = list(client.events(since=0, until=__import__("time").time(), decode=True, filters={"type": "container"}))
assert any(event["Action"] == "die" for event in events)
print("all well")
"#;

fn python() -> PathBuf {
    let directory = barge_e2e::binary()
        .ancestors()
        .nth(2)
        .map_or_else(std::env::temp_dir, |target| target.join("e2e-python"));
    let interpreter = directory.join("bin/python3");
    if !directory.join("ready").exists() {
        let script = format!(
            "python3 -m venv {0} && {0}/bin/pip install -q docker && touch {0}/ready",
            directory.display()
        );
        run(Command::new("sh").args(["-c", &script]), b"").ok();
    }
    interpreter
}

#[test]
fn docker_py_can_not_tell_the_difference() {
    let daemon = Daemon::start();
    let outcome = run(Command::new(python()).env("DOCKER_HOST", daemon.host()).args(["-c", PYTHON]), b"");
    assert_eq!(outcome.text(), "all well");
}

#[tokio::test]
async fn bollard_accepts_our_answers() {
    use bollard::models::ContainerCreateBody;
    use bollard::query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, WaitContainerOptions,
    };
    let daemon = Daemon::start();
    let socket = daemon.path("sock").to_string_lossy().into_owned();
    let docker =
        bollard::Docker::connect_with_unix(&socket, 20, bollard::API_DEFAULT_VERSION).expect("connect");
    let docker = docker.negotiate_version().await.expect("negotiate");
    assert!(docker.info().await.expect("info").images.is_some());
    let body = ContainerCreateBody {
        image: Some("busybox".into()),
        cmd: Some(vec!["sh".into(), "-c".into(), "echo from bollard; exit 5".into()]),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name("bo").build();
    docker.create_container(Some(options), body).await.expect("create");
    docker.start_container("bo", None).await.expect("start");
    let waited = docker.wait_container("bo", None::<WaitContainerOptions>).next().await.expect("an answer");
    match waited {
        Err(bollard::errors::Error::DockerContainerWaitError { code, .. }) => assert_eq!(code, 5),
        other => panic!("wait said {other:?}"),
    }
    let inspected = docker.inspect_container("bo", None::<InspectContainerOptions>).await.expect("inspect");
    assert_eq!(inspected.state.expect("a state").exit_code, Some(5));
    let logs = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
    let line = docker.logs("bo", Some(logs)).next().await.expect("a line").expect("no error").to_string();
    assert_eq!(line, "from bollard\n");
    let all = ListContainersOptionsBuilder::default().all(true).build();
    assert_eq!(docker.list_containers(Some(all)).await.expect("list").len(), 1);
    docker
        .remove_container("bo", Some(RemoveContainerOptionsBuilder::default().force(true).build()))
        .await
        .expect("remove");
    assert!(docker.version().await.expect("version").api_version.is_some());
    assert_eq!(
        docker.list_images(None::<bollard::query_parameters::ListImagesOptions>).await.expect("images").len(),
        1
    );
}

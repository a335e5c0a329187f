//! What instructions make of a config.

use super::*;

fn changed(changes: &[&str]) -> Result<ContainerDefaults> {
    let mut config = ContainerDefaults { cmd: Some(vec!["old".to_owned()]), ..ContainerDefaults::default() };
    let changes: Vec<String> = changes.iter().map(|line| (*line).to_owned()).collect();
    Changes::parse(&changes)?.apply(&mut config)?;
    Ok(config)
}

#[test]
fn each_instruction_sets_its_field() {
    let config = changed(&[
        "ENV A=1 B=\"two words\"\nENV C three words",
        "env A=$C",
        "LABEL x=y",
        "EXPOSE 80 8000-8001/udp",
        "USER me",
        "VOLUME [\"/data\"]",
        "VOLUME /a /b",
        "WORKDIR /srv",
        "WORKDIR app/../www",
        "STOPSIGNAL SIGINT",
        "ONBUILD RUN make",
        "ENTRYPOINT [\"/bin/app\", \"-x\"]",
    ])
    .unwrap();
    assert_eq!(config.env, ["A=three words", "B=two words", "C=three words"]);
    assert_eq!(config.labels["x"], "y");
    assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "8000/udp", "8001/udp"]);
    assert_eq!(config.user, "me");
    assert_eq!(config.volumes.keys().collect::<Vec<_>>(), ["/a", "/b", "/data"]);
    assert_eq!(config.working_dir, "/srv/www");
    assert_eq!(config.stop_signal, "SIGINT");
    assert_eq!(config.on_build, ["RUN make"]);
    assert_eq!(config.entrypoint.unwrap(), ["/bin/app", "-x"]);
    assert_eq!(config.cmd, None);
}

#[test]
fn commands_have_two_forms() {
    let config = changed(&["CMD echo $HOME", "ENTRYPOINT [\"/init\"]"]).unwrap();
    assert_eq!(config.cmd.unwrap(), ["/bin/sh", "-c", "echo $HOME"]);
    assert_eq!(config.entrypoint.unwrap(), ["/init"]);
}

#[test]
fn health_checks_have_options() {
    let check = changed(&["HEALTHCHECK --interval=5m --timeout=3s --retries=2 CMD curl -f x || exit 1"]);
    let check = check.unwrap().healthcheck.unwrap();
    assert_eq!(check.test, ["CMD-SHELL", "curl -f x || exit 1"]);
    assert_eq!((check.interval, check.timeout, check.retries), (300_000_000_000, 3_000_000_000, 2));
    assert_eq!(changed(&["HEALTHCHECK NONE"]).unwrap().healthcheck.unwrap().test, ["NONE"]);
    assert_eq!(changed(&["HEALTHCHECK CMD [\"a\"]"]).unwrap().healthcheck.unwrap().test, ["CMD", "a"]);
}

#[test]
fn what_a_config_can_not_hold_is_refused() {
    for line in [
        "RUN make",
        "COPY a b",
        "FROM scratch",
        "ENV",
        "ENV A",
        "ENV =b",
        "ENV a=b c",
        "EXPOSE 99999",
        "EXPOSE 80/icmp",
        "HEALTHCHECK --every=1s CMD x",
        "HEALTHCHECK CMD",
        "HEALTHCHECK curl",
    ] {
        assert_eq!(changed(&[line]).unwrap_err().kind(), crate::Kind::InvalidParameter, "{line}");
    }
}

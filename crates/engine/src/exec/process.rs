//! The OCI process of an exec: the container's, changed by what the exec asks for. Pure.

use barge_api::exec::ExecConfig;
use barge_oci::runtime_spec::Process;

use crate::containers::document::Document;
use crate::containers::spec::{capabilities, process, security};
use crate::error::Result;

/// Builds the process.
///
/// # Errors
/// Invalid, for a capability or option that is none; they were checked when the container was made.
pub(super) fn oci(document: &Document, exec: &ExecConfig, no_new_privileges: bool) -> Result<Process> {
    let host_config = &document.host_config;
    let mut config = document.config.clone();
    config.tty = exec.tty;
    config.entrypoint = None;
    config.cmd.clone_from(&exec.cmd);
    if !exec.working_dir.is_empty() {
        config.working_dir.clone_from(&exec.working_dir);
    }
    let privileged = host_config.privileged || exec.privileged;
    let capabilities = capabilities::effective(&host_config.cap_add, &host_config.cap_drop, privileged)?;
    let security = security::parse(&host_config.security_opt, no_new_privileges)?;
    let mut process = process::oci(&config, host_config, &capabilities, security.no_new_privileges)?;
    let mut env = process::environment(&config);
    process::apply_env(&mut env, &exec.env);
    process
        .set_env(Some(env))
        .set_console_size(exec.tty.then(|| exec.console_size.and_then(process::console_size)).flatten());
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_takes_over_what_it_does_not_change() {
        let mut document = Document::sample("abc");
        document.config.env = vec!["A=1".to_owned()];
        document.config.working_dir = "/srv".to_owned();
        document.config.entrypoint = Some(vec!["/entry".to_owned()]);
        let exec = ExecConfig {
            cmd: Some(vec!["id".to_owned()]),
            env: vec!["A=2".to_owned()],
            tty: true,
            console_size: Some([24, 80]),
            ..ExecConfig::default()
        };
        let process = oci(&document, &exec, false).unwrap();
        assert_eq!(process.args().as_deref(), Some(&["id".to_owned()][..]));
        assert_eq!(process.cwd().to_str(), Some("/srv"));
        let env = process.env().clone().unwrap();
        assert!(env.contains(&"A=2".to_owned()) && env.contains(&"TERM=xterm".to_owned()));
        assert_eq!(process.console_size().map(|size| (size.height(), size.width())), Some((24, 80)));
    }
}

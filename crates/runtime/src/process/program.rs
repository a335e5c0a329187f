//! Finding a program as a shell would, and becoming it.
//!
//! The words of the errors are runc's, which Docker's clients know.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// The file to execute for `name`, looked for in the `PATH` of `environment` unless it has a slash.
///
/// Called as the user who will run it, so that what is found can also be executed.
pub(crate) fn find(name: &CStr, environment: &[CString]) -> Result<CString> {
    let text = || name.to_string_lossy().into_owned();
    if name.to_bytes().contains(&b'/') {
        return match executable(name) {
            Ok(()) => Ok(name.to_owned()),
            Err(Errno::NOENT) => Err(Error::ExecutableMissing { path: text() }),
            Err(Errno::ACCESS) => Err(Error::ExecutablePermission { path: text() }),
            Err(Errno::ISDIR) => Err(Error::ExecutableIsDirectory { path: text() }),
            Err(errno) => Err(Error::ExecutableStat { path: text(), source: errno.into() }),
        };
    }
    let path = environment.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    for directory in path.unwrap_or_default().split(|byte| *byte == b':') {
        // An empty element is the working directory, where no program should be found by accident.
        if directory.is_empty() || name.is_empty() {
            continue;
        }
        let candidate = [directory, b"/", name.to_bytes()].concat();
        if let Ok(candidate) = CString::new(candidate)
            && executable(&candidate).is_ok()
        {
            return Ok(candidate);
        }
    }
    Err(Error::ExecutableNotInPath { name: text() })
}

fn executable(path: &CStr) -> rustix::io::Result<()> {
    let stat = rustix::fs::statat(CWD, path, AtFlags::empty())?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        return Err(Errno::ISDIR);
    }
    match rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS) {
        // An older seccomp profile knows no faccessat2. Whether it can be executed is seen when it is.
        Err(Errno::PERM | Errno::NOSYS) if stat.st_mode & 0o111 != 0 => Ok(()),
        result => result,
    }
}

/// Becomes the program. Returns only when that fails.
pub(crate) fn become_it(file: &CStr, arguments: &[CString], environment: &[CString]) -> Error {
    let arguments: Vec<&CStr> = arguments.iter().map(CString::as_c_str).collect();
    let environment: Vec<&CStr> = environment.iter().map(CString::as_c_str).collect();
    let source = barge_sys::process::execve(file, &arguments, &environment).into();
    Error::Exec { path: OsStr::from_bytes(file.to_bytes()).to_string_lossy().into_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        let environment = [c"X=1".to_owned(), c"PATH=/nonexistent::/bin:/usr/bin".to_owned()];
        let cases: [(&CStr, Result<&CStr, &str>); 7] = [
            (c"sh", Ok(c"/bin/sh")),
            (c"/bin/sh", Ok(c"/bin/sh")),
            (c"no-such-program", Err(r#"exec: "no-such-program": executable file not found in $PATH"#)),
            (c"", Err(r#"exec: "": executable file not found in $PATH"#)),
            (c"/no/such", Err(r#"exec: "/no/such": stat /no/such: no such file or directory"#)),
            (c"/etc", Err(r#"exec: "/etc": is a directory"#)),
            (c"/etc/passwd", Err(r#"exec: "/etc/passwd": permission denied"#)),
        ];
        for (name, expected) in cases {
            let found = find(name, &environment);
            match expected {
                Ok(path) => assert_eq!(found.unwrap().as_c_str(), path),
                Err(words) => assert_eq!(found.unwrap_err().to_string(), words),
            }
        }
        assert!(find(c"sh", &[]).is_err());
    }
}

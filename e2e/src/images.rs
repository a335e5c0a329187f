//! The images that all tests of a run share: built once, kept under the target directory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A root filesystem of Debian's static busybox with a link for each applet, as a tar archive.
///
/// # Panics
/// When it can't be made.
#[must_use]
pub fn busybox_archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        built_once("busybox-3.tar", |archive| {
            shell(&format!(
                "root=$(mktemp -d) && trap 'rm -rf $root' EXIT && chmod 755 $root && cd $root && \
                 mkdir -p bin etc dev proc sys tmp root home usr/sbin var/www && chmod 1777 tmp && \
                 cp $(command -v busybox) bin/busybox && \
                 for applet in $(bin/busybox --list); do [ $applet = busybox ] || ln -s busybox bin/$applet; done && \
                 printf 'root:x:0:0:root:/root:/bin/sh\\nwww-data:x:33:33:www-data:/var/www:/bin/sh\\n' >etc/passwd && \
                 printf 'root:x:0:\\nstaff:x:50:www-data\\nwww-data:x:33:\\n' >etc/group && \
                 tar --numeric-owner --owner=0 --group=0 -cf {} .",
                archive.display()
            ));
        })
    })
}

/// A minimal Debian, by debootstrap from the package mirror that this machine is set up with.
///
/// # Panics
/// When it can't be made.
#[must_use]
pub fn debian_archive() -> &'static Path {
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    ARCHIVE.get_or_init(|| {
        built_once("debian-bookworm-2.tar", |archive| {
            shell(&format!(
                "root=$(mktemp -d -p /var/tmp) && trap 'rm -rf $root' EXIT && chmod 755 $root && \
                 mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -n 1) && \
                 debootstrap --variant=minbase bookworm $root $mirror >/dev/null && \
                 rm -f $root/etc/apt/sources.list && cp -a /etc/apt/sources.list* /etc/apt/apt.conf.d $root/etc/apt/ 2>/dev/null; \
                 rm -rf $root/var/cache/apt/archives/*.deb $root/var/lib/apt/lists/* && \
                 tar --numeric-owner --one-file-system --xattrs -C $root -cf {} .",
                archive.display()
            ));
        })
    })
}

/// Builds `name` unless an earlier test, or an earlier run, has.
fn built_once(name: &str, build: impl FnOnce(&Path)) -> PathBuf {
    let directory = crate::binary()
        .ancestors()
        .nth(2)
        .map_or_else(std::env::temp_dir, |target| target.join("e2e-images"));
    std::fs::create_dir_all(&directory).expect("make the directory of the images");
    let wanted = directory.join(name);
    let lock = File::create(directory.join(format!("{name}.lock"))).expect("open the lock");
    lock.lock().expect("lock the image");
    if !wanted.is_file() {
        let staged = directory.join(format!("{name}.new"));
        build(&staged);
        std::fs::rename(&staged, &wanted).expect("publish the image");
    }
    wanted
}

#[track_caller]
fn shell(script: &str) {
    let output =
        Command::new("bash").args(["-e", "-o", "pipefail", "-c", script]).output().expect("start bash");
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
}

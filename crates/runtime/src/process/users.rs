//! Who a process is, from a container's passwd and group files. Pure, but for [`Databases::read`].
//!
//! The text is Docker's: `name|uid[:group|gid]`. A name must be found. A number is never a name, whatever the files call
//! by it (CVE-2016-3697), and one that is in no file stands for itself.
//! Without a group the user's own and every group that lists the user hold; with one, only that.
//! The files are the container's, so hostile: reading is bounded, and only regular files are read.

use std::fs::File;
use std::io::Read;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// The longest file that is read.
const LARGEST: u64 = 8 << 20;

/// The two files.
#[derive(Debug, Default)]
pub(crate) struct Databases {
    passwd: String,
    group: String,
}

/// Who a process will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

struct Passwd<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl Databases {
    /// Reads both files of the present root. A missing file is an empty one.
    pub(crate) fn read() -> Result<Self> {
        Ok(Self { passwd: read("/etc/passwd")?, group: read("/etc/group")? })
    }

    /// The files by their contents.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn of(passwd: String, group: String) -> Self {
        Self { passwd, group }
    }

    /// Who `text` means.
    pub(crate) fn look_up(&self, text: &str) -> Result<Identity> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, group),
            None => (text, ""),
        };
        let user_number = number("uid", user)?;
        let entry = self.users().find(|entry| match (user, user_number) {
            ("", _) => entry.uid == 0,
            (_, Some(number)) => entry.uid == number,
            (name, None) => entry.name == name,
        });
        let (uid, mut gid, home) = match (&entry, user_number) {
            (Some(entry), _) => (entry.uid, entry.gid, entry.home),
            (None, Some(uid)) => (uid, 0, "/"),
            (None, None) if user.is_empty() => (0, 0, "/"),
            (None, None) => return Err(Error::UserUnknown { user: user.into() }),
        };
        let mut groups = Vec::new();
        if group.is_empty() {
            if let Some(name) = entry.map(|entry| entry.name) {
                groups
                    .extend(self.groups().filter(|g| g.members.split(',').any(|m| m == name)).map(|g| g.gid));
            }
        } else {
            gid = self.group(group)?;
        }
        let home = if home.is_empty() { "/" } else { home };
        Ok(Identity { uid, gid, groups, home: home.to_owned() })
    }

    /// The number of the group that `text`, a name or a number, means.
    pub(crate) fn group(&self, text: &str) -> Result<u32> {
        let number = number("gid", text)?;
        let named = || self.groups().find(|group| group.name == text).map(|group| group.gid);
        number.or_else(named).ok_or_else(|| Error::GroupUnknown { group: text.into() })
    }

    /// The home directory of a number.
    pub(crate) fn home(&self, uid: u32) -> String {
        let entry = self.users().find(|entry| entry.uid == uid);
        entry.map(|entry| entry.home).filter(|home| !home.is_empty()).unwrap_or("/").to_owned()
    }

    fn users(&self) -> impl Iterator<Item = Passwd<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, uid, gid, _, home) = (
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next()?,
                fields.next(),
                fields.next(),
            );
            let named = !name.is_empty() && !name.starts_with(['#', '+', '-']);
            named.then_some(())?;
            Some(Passwd { name, uid: id(uid)?, gid: id(gid)?, home: home.unwrap_or("") })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, _, gid) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Group { name, gid: id(gid)?, members: fields.next().unwrap_or("") })
        })
    }
}

/// An id of a file. The kernel takes the largest number for "no change": whoever has it would stay root.
fn id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().filter(|id| i32::try_from(*id).is_ok())
}

/// A text as an id: `None` if it is a name.
fn number(what: &str, text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<i32>() {
        Ok(id) => Ok(Some(id as u32)),
        Err(_) => Err(Error::UserInvalid {
            text: text.into(),
            reason: format!("{what}s must be in range 0-2147483647"),
        }),
    }
}

fn read(path: &str) -> Result<String> {
    let failed = |source: Errno| Error::UserDatabase { path: path.into(), source: source.into() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    // A link of the container's procfs could lead to what this process has open.
    let fd = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(fd) => fd,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(String::new()),
        Err(errno) => return Err(failed(errno)),
    };
    let stat = rustix::fs::fstat(&fd).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        // What hides a file: nobody is in it.
        FileType::CharacterDevice if stat.st_rdev == rustix::fs::makedev(1, 3) => return Ok(String::new()),
        _ => return Err(failed(Errno::INVAL)),
    }
    let mut bytes = Vec::new();
    File::from(fd)
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::UserDatabase { path: path.into(), source: error.into() })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn databases() -> Databases {
        Databases {
            passwd: "# comment\nroot:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/bin/false\n\
                     app:x:1000:1001:App:/home/app:/bin/sh\n1234:x:77:78::/odd:\nshort:x:5\nbad:x:x:1::/:\n\
                     nohome:x:9:9\nstays:x:4294967295:5::/:\nalso:x:5:4294967295::/:\n"
                .into(),
            group: "root:x:0:\nwheel:x:10:root,app\naudio:x:63:app\nstaff:x:50:\n99:x:0:\nbroken\n".into(),
        }
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        // text, (uid, gid, groups, home) or the error's words
        type Found = Result<(u32, u32, &'static [u32], &'static str), &'static str>;
        let cases: [(&str, Found); 18] = [
            ("", Ok((0, 0, &[10], "/root"))),
            ("root", Ok((0, 0, &[10], "/root"))),
            ("0", Ok((0, 0, &[10], "/root"))),
            ("app", Ok((1000, 1001, &[10, 63], "/home/app"))),
            ("1000", Ok((1000, 1001, &[10, 63], "/home/app"))),
            ("app:staff", Ok((1000, 50, &[], "/home/app"))),
            ("app:7", Ok((1000, 7, &[], "/home/app"))),
            ("4242", Ok((4242, 0, &[], "/"))),
            ("4242:wheel", Ok((4242, 10, &[], "/"))),
            (":wheel", Ok((0, 10, &[], "/root"))),
            ("1234", Ok((1234, 0, &[], "/"))),
            ("4242:99", Ok((4242, 99, &[], "/"))),
            ("stays", Err("unable to find user stays: no matching entries in passwd file")),
            ("also", Err("unable to find user also: no matching entries in passwd file")),
            ("nohome", Ok((9, 9, &[], "/"))),
            ("nobody", Err("unable to find user nobody: no matching entries in passwd file")),
            ("app:nogroup", Err("unable to find group nogroup: no matching entries in group file")),
            ("4294967295", Err("user \"4294967295\": uids must be in range 0-2147483647")),
        ];
        for (text, expected) in cases {
            let found = databases().look_up(text);
            match expected {
                Ok((uid, gid, groups, home)) => {
                    let identity = Identity { uid, gid, groups: groups.to_vec(), home: home.into() };
                    assert_eq!(found.unwrap(), identity, "{text}");
                }
                Err(words) => assert_eq!(found.unwrap_err().to_string(), words, "{text}"),
            }
        }
    }

    #[test]
    fn without_files_numbers_and_root_still_work() {
        let empty = Databases::default();
        for (text, uid) in [("", 0), ("12", 12), ("0:0", 0)] {
            assert_eq!(empty.look_up(text).unwrap().uid, uid);
        }
        assert!(empty.look_up("root").is_err());
        assert_eq!(databases().home(1000), "/home/app");
        assert_eq!(databases().home(5555), "/");
    }
}

//! What is said between CRIU and whoever uses it: the messages of its `rpc.proto`, as far as a runtime needs them.
//!
//! ```text
//! us                                   criu swrk FD
//!  ├── Request { kind, options } ──────────>│
//!  │<──────────── Response { kind: Notify } ─┤   any number of times, sometimes with a descriptor
//!  ├── Request { kind: Notify, success } ──>│
//!  │<──────────── Response { kind, success } ┤
//! ```
//!
//! One packet is one message. Numbers and names are those of the file; fields that nobody here sets are left out,
//! which the format allows. <https://github.com/checkpoint-restore/criu/blob/criu-dev/images/rpc.proto>

/// What is asked for, or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Kind {
    Empty = 0,
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    Notify = 6,
    FeatureCheck = 9,
    Version = 10,
}

impl Kind {
    /// The name in `rpc.proto`, which tools look for in errors.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "EMPTY",
            Self::Dump => "DUMP",
            Self::Restore => "RESTORE",
            Self::PreDump => "PRE_DUMP",
            Self::Notify => "NOTIFY",
            Self::FeatureCheck => "FEATURE_CHECK",
            Self::Version => "VERSION",
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(enumeration = "Kind", required, tag = "1")]
    pub(super) kind: i32,
    #[prost(message, optional, boxed, tag = "2")]
    pub(super) options: Option<Box<CriuOptions>>,
    #[prost(bool, optional, tag = "3")]
    pub(super) notify_success: Option<bool>,
    #[prost(message, optional, tag = "5")]
    pub(super) features: Option<Features>,
}

impl Request {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    #[prost(enumeration = "Kind", required, tag = "1")]
    pub(super) kind: i32,
    #[prost(bool, required, tag = "2")]
    pub(super) success: bool,
    #[prost(message, optional, tag = "4")]
    pub(super) restore: Option<Restored>,
    #[prost(message, optional, tag = "5")]
    pub(super) notify: Option<Notice>,
    #[prost(int32, optional, tag = "7")]
    pub(super) errno: Option<i32>,
    #[prost(message, optional, tag = "8")]
    pub(super) features: Option<Features>,
    #[prost(string, optional, tag = "9")]
    pub(super) message: Option<String>,
    #[prost(message, optional, tag = "10")]
    pub(super) version: Option<Version>,
}

/// The options of a dump or a restore, named as on CRIU's command line.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CriuOptions {
    /// A descriptor of ours, which CRIU looks up in our `/proc` directory.
    #[prost(int32, required, tag = "1")]
    pub(super) images_dir_fd: i32,
    #[prost(int32, optional, tag = "2")]
    pub(super) pid: Option<i32>,
    #[prost(bool, optional, tag = "3")]
    pub(super) leave_running: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(super) ext_unix_sk: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(super) tcp_established: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(super) evasive_devices: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    pub(super) shell_job: Option<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(super) file_locks: Option<bool>,
    #[prost(int32, optional, tag = "9")]
    pub(super) log_level: Option<i32>,
    #[prost(string, optional, tag = "10")]
    pub(super) log_file: Option<String>,
    #[prost(message, optional, tag = "11")]
    pub(super) page_server: Option<PageServer>,
    #[prost(bool, optional, tag = "12")]
    pub(super) notify_scripts: Option<bool>,
    #[prost(string, optional, tag = "13")]
    pub(super) root: Option<String>,
    #[prost(string, optional, tag = "14")]
    pub(super) parent_img: Option<String>,
    #[prost(bool, optional, tag = "15")]
    pub(super) track_mem: Option<bool>,
    #[prost(bool, optional, tag = "16")]
    pub(super) auto_dedup: Option<bool>,
    /// As `images_dir_fd`.
    #[prost(int32, optional, tag = "17")]
    pub(super) work_dir_fd: Option<i32>,
    #[prost(bool, optional, tag = "18")]
    pub(super) link_remap: Option<bool>,
    #[prost(message, repeated, tag = "23")]
    pub(super) ext_mnt: Vec<ExternalMount>,
    #[prost(bool, optional, tag = "24")]
    pub(super) manage_cgroups: Option<bool>,
    #[prost(message, repeated, tag = "25")]
    pub(super) cg_root: Vec<CgroupRoot>,
    #[prost(bool, optional, tag = "26")]
    pub(super) rst_sibling: Option<bool>,
    /// Descriptors of CRIU's own.
    #[prost(message, repeated, tag = "27")]
    pub(super) inherit_fd: Vec<InheritedFd>,
    #[prost(enumeration = "CgroupMode", optional, tag = "34")]
    pub(super) manage_cgroups_mode: Option<i32>,
    #[prost(string, repeated, tag = "37")]
    pub(super) external: Vec<String>,
    /// `CLONE_NEW*` of namespaces to make without what was in them.
    #[prost(uint32, optional, tag = "38")]
    pub(super) empty_ns: Option<u32>,
    #[prost(message, repeated, tag = "39")]
    pub(super) join_ns: Vec<JoinedNamespace>,
    #[prost(string, optional, tag = "44")]
    pub(super) freeze_cgroup: Option<String>,
    #[prost(bool, optional, tag = "46")]
    pub(super) tcp_skip_in_flight: Option<bool>,
    #[prost(bool, optional, tag = "48")]
    pub(super) lazy_pages: Option<bool>,
    #[prost(int32, optional, tag = "49")]
    pub(super) status_fd: Option<i32>,
    #[prost(bool, optional, tag = "50")]
    pub(super) orphan_pts_master: Option<bool>,
    #[prost(string, optional, tag = "51")]
    pub(super) config_file: Option<String>,
    #[prost(string, optional, tag = "53")]
    pub(super) lsm_profile: Option<String>,
    #[prost(string, optional, tag = "63")]
    pub(super) lsm_mount_context: Option<String>,
}

/// How CRIU saves and restores control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum CgroupMode {
    Ignore = 0,
    None = 1,
    Props = 2,
    Soft = 3,
    Full = 4,
    Strict = 5,
    Default = 6,
}

/// Where memory pages go instead of into files.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct PageServer {
    #[prost(string, optional, tag = "1")]
    pub(super) address: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(super) port: Option<i32>,
}

/// A mount whose source is not part of the image. A dump maps mount points to names, a restore names to sources.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct ExternalMount {
    #[prost(string, required, tag = "1")]
    pub(super) key: String,
    #[prost(string, required, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct CgroupRoot {
    #[prost(string, optional, tag = "1")]
    pub(super) controller: Option<String>,
    #[prost(string, required, tag = "2")]
    pub(super) path: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct InheritedFd {
    #[prost(string, required, tag = "1")]
    pub(super) key: String,
    #[prost(int32, required, tag = "2")]
    pub(super) fd: i32,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct JoinedNamespace {
    #[prost(string, required, tag = "1")]
    pub(super) kind: String,
    #[prost(string, required, tag = "2")]
    pub(super) file: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Features {
    #[prost(bool, optional, tag = "1")]
    pub(super) mem_track: Option<bool>,
    #[prost(bool, optional, tag = "2")]
    pub(super) lazy_pages: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Restored {
    #[prost(int32, required, tag = "1")]
    pub(super) pid: i32,
}

/// A point that CRIU has reached; it waits for our word.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct Notice {
    #[prost(string, optional, tag = "1")]
    pub(super) script: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(super) pid: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Version {
    #[prost(int32, required, tag = "1")]
    pub(super) major: i32,
    #[prost(int32, required, tag = "2")]
    pub(super) minor: i32,
    #[prost(int32, optional, tag = "4")]
    pub(super) sublevel: Option<i32>,
}

impl Version {
    /// As CRIU counts: 3.17.1 is 31701. A development version counts as the next minor one.
    pub(super) fn number(self) -> i32 {
        self.major * 10_000 + self.minor * 100 + self.sublevel.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn messages_are_bytes_as_the_format_has_them() {
        let request = Request {
            options: Some(Box::new(CriuOptions {
                images_dir_fd: 5,
                pid: Some(300),
                config_file: Some("x".into()),
                ext_mnt: vec![ExternalMount { key: "/a".into(), value: "b".into() }],
                ..CriuOptions::default()
            })),
            ..Request::new(Kind::Dump)
        };
        let mount = b"\xba\x01\x07\x0a\x02/a\x12\x01b";
        let options = [b"\x08\x05\x10\xac\x02".as_slice(), mount, b"\x9a\x03\x01x"].concat();
        let expected = [b"\x08\x01\x12".as_slice(), &[options.len() as u8], &options].concat();
        assert_eq!(request.encode_to_vec(), expected);
    }

    #[test]
    fn responses_may_say_more_than_is_known() {
        let bytes = b"\x08\x06\x10\x01\x2a\x0e\x0a\x09post-dump\x10\x85\x02\x58\x01";
        let response = Response::decode(bytes.as_slice()).unwrap();
        assert_eq!(response.kind(), Kind::Notify);
        let notice = response.notify.unwrap();
        assert_eq!((notice.script(), notice.pid()), ("post-dump", 261));
    }

    #[test]
    fn versions_have_an_order() {
        let number = |major, minor, sublevel| Version { major, minor, sublevel }.number();
        assert_eq!(number(3, 17, Some(1)), 31701);
        assert!(number(4, 0, None) > number(3, 19, None));
    }
}

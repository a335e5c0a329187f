//! What a mount of the specification means: its kind, attributes, propagation and the filesystem's own options. Pure.
//!
//! The words are those of mount(8) and of the runtime specification's "Linux mount options"; `r…` forms reach the
//! whole tree below a bind.

use std::path::{Component, Path, PathBuf};

use barge_oci::runtime_spec::{LinuxIdMapping, Mount};
use barge_sys::mount::{Change, attr, flag};

use super::{IdMaps, Propagation, invalid};
use crate::error::Result;

/// The words of the runtime specification's table, all of which are understood.
#[rustfmt::skip]
pub(crate) const OPTIONS: [&str; 62] = [
    "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime",
    "loud", "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand",
    "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime",
    "relatime", "remount", "rexec", "ridmap", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime",
    "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared",
    "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared", "silent", "slave",
    "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable",
];

/// One mount, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountPlan {
    /// Absolute, without `.` and `..`; symbolic links in it are the root filesystem's and stay inside.
    pub(crate) destination: PathBuf,
    pub(crate) kind: MountKind,
    /// Attributes of the mount itself.
    pub(crate) own: Change,
    /// Attributes of the whole tree.
    pub(crate) tree: Change,
    pub(crate) propagation: Vec<Propagation>,
    /// The contents of the place are copied into the new filesystem.
    pub(crate) copy_up: bool,
    pub(crate) id_map: Option<IdMapPlan>,
}

/// Which ids the files of a mount are shown with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdMapPlan {
    /// The mount's own mapping; without it that of the container.
    pub(crate) own: Option<IdMaps>,
    pub(crate) recursive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind {
        source: PathBuf,
        recursive: bool,
    },
    /// The container's part of the cgroup hierarchies, whichever version the host has.
    Cgroup,
    Filesystem {
        kind: String,
        source: String,
        options: Vec<String>,
    },
    /// No new mount: what is mounted there already is changed as the words say.
    Again {
        options: Vec<String>,
    },
}

/// A word's effect on attributes.
enum Effect {
    Set(u64),
    Clear(u64),
    /// One of the exclusive access time settings.
    Atime(u64),
}

impl Effect {
    /// The attributes that it is about.
    fn bits(&self) -> u64 {
        match self {
            Self::Set(bit) | Self::Clear(bit) => *bit,
            Self::Atime(_) => attr::ATIME,
        }
    }
}

impl MountPlan {
    pub(crate) fn of(mount: &Mount) -> Result<Self> {
        let destination = clean(mount.destination())?;
        let mut words = Words::default();
        for option in mount.options().iter().flatten() {
            words.take(option);
        }
        let kind = match (words.bind, mount.typ().as_deref()) {
            (bind, _) if words.again => {
                MountKind::Again { options: if bind.is_some() { Vec::new() } else { words.options() } }
            }
            (Some(recursive), _) => bind(mount, recursive)?,
            (None, Some("bind")) => bind(mount, false)?,
            (None, Some("cgroup" | "cgroup2")) => MountKind::Cgroup,
            (None, Some(kind)) if !kind.is_empty() && kind != "none" => MountKind::Filesystem {
                kind: kind.to_owned(),
                source: mount.source().as_deref().map_or(kind, |s| s.to_str().unwrap_or(kind)).to_owned(),
                options: words.options(),
            },
            _ => return Err(invalid("mounts", format!("{} has no type", destination.display()))),
        };
        let kind = kind.read_only_if(words.attributes() & attr::RDONLY != 0);
        if !words.data.is_empty() && !matches!(kind, MountKind::Cgroup) {
            let unknown = words.data.join(",");
            return Err(invalid("mounts", format!("{}: unknown options {unknown}", destination.display())));
        }
        let id_map = id_map(mount, words.id_map)?;
        if id_map.is_some() && !matches!(kind, MountKind::Bind { .. }) {
            return Err(invalid("mounts", "id-mapped mounts are only supported for bind-mounts"));
        }
        let is_tmpfs = matches!(&kind, MountKind::Filesystem { kind, .. } if kind == "tmpfs");
        if words.copy_up && !is_tmpfs {
            return Err(invalid("mounts", format!("{}: tmpcopyup is for tmpfs", destination.display())));
        }
        Ok(Self {
            destination,
            kind,
            own: words.own,
            tree: words.tree,
            propagation: words.propagation,
            copy_up: words.copy_up,
            id_map,
        })
    }

    /// The attributes of a mount that has nothing below it yet.
    pub(crate) fn attributes(&self) -> u64 {
        together(self.own, self.tree)
    }

    /// Whether it is mounted read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.attributes() & attr::RDONLY != 0
    }

    /// Leaves a new `/dev` writable for as long as there are files to be made in it. Whether it was to be read-only.
    pub(crate) fn put_off_read_only(&mut self) -> bool {
        let own = matches!(&self.kind, MountKind::Filesystem { kind, .. } if kind == "tmpfs");
        let asked = own && self.destination == Path::new("/dev") && self.is_read_only();
        if asked {
            self.own.set &= !attr::RDONLY;
            self.tree.set &= !attr::RDONLY;
        }
        asked
    }

    /// The source of a bind starts at the bundle if it is no absolute path.
    pub(crate) fn in_bundle(mut self, bundle: &Path) -> Self {
        if let MountKind::Bind { source, .. } = &mut self.kind {
            *source = bundle.join(&*source);
        }
        self
    }

    /// Gives the files of a new filesystem an SELinux label. The kernel's own filesystems have theirs by policy.
    pub(crate) fn label(mut self, label: Option<&str>) -> Self {
        let label = label.filter(|label| !label.is_empty());
        if let (Some(label), MountKind::Filesystem { kind, options, .. }) = (label, &mut self.kind)
            && !matches!(kind.as_str(), "proc" | "sysfs")
        {
            options.push(format!("context={label}"));
        }
        self
    }
}

impl MountKind {
    /// A device must not be written to, not even a journal, where nothing but its mount would be read-only.
    fn read_only_if(mut self, read_only: bool) -> Self {
        if let Self::Filesystem { source, options, .. } = &mut self
            && read_only
            && source.starts_with('/')
        {
            options.push("ro".to_owned());
        }
        self
    }
}

/// What holds for a mount by its own words and by those for its tree.
fn together(own: Change, tree: Change) -> u64 {
    (tree.set & !own.clear) | own.set
}

/// `recursive` is what the words `idmap` and `ridmap` say, if there is one.
fn id_map(mount: &Mount, recursive: Option<bool>) -> Result<Option<IdMapPlan>> {
    let mapping = |list: &Option<Vec<LinuxIdMapping>>| list.clone().filter(|list| !list.is_empty());
    let own = match (mapping(mount.uid_mappings()), mapping(mount.gid_mappings())) {
        (Some(uids), Some(gids)) => Some(IdMaps::of(Some(&uids), Some(&gids))),
        (None, None) => None,
        _ => {
            let reason = "uidMappings and gidMappings of a mount must be specified together";
            return Err(invalid("mounts", reason));
        }
    };
    if own.is_none() && recursive.is_none() {
        return Ok(None);
    }
    Ok(Some(IdMapPlan { own, recursive: recursive.unwrap_or(false) }))
}

fn bind(mount: &Mount, recursive: bool) -> Result<MountKind> {
    let source = mount.source().clone().filter(|source| !source.as_os_str().is_empty());
    let source = source
        .ok_or_else(|| invalid("mounts", format!("bind {} has no source", mount.destination().display())))?;
    Ok(MountKind::Bind { source, recursive })
}

/// A destination as an absolute path without tricks. `..` is refused rather than resolved: nobody needs it, and what
/// it means depends on symbolic links that a container can change.
fn clean(path: &Path) -> Result<PathBuf> {
    let mut out = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(invalid("mounts", format!("destination {} contains ..", path.display())));
            }
        }
    }
    if out == Path::new("/") {
        return Err(invalid("mounts", "a mount can't replace the root"));
    }
    Ok(out)
}

#[derive(Default)]
struct Words {
    bind: Option<bool>,
    again: bool,
    own: Change,
    tree: Change,
    propagation: Vec<Propagation>,
    copy_up: bool,
    id_map: Option<bool>,
    /// Flags of a whole filesystem, which a bind can't change.
    shared: Vec<String>,
    data: Vec<String>,
}

impl Words {
    /// Those that are for the filesystem.
    fn options(&mut self) -> Vec<String> {
        self.shared.drain(..).chain(self.data.drain(..)).collect()
    }

    fn attributes(&self) -> u64 {
        together(self.own, self.tree)
    }

    fn all_of(&mut self, words: &[&str]) {
        words.iter().for_each(|word| self.take(word));
    }

    /// A word about the mount itself.
    fn one(&mut self, effect: Effect) {
        apply(&mut self.own, effect);
    }

    /// A word about the whole tree, which takes back what was said of the mount itself.
    fn every(&mut self, effect: Effect) {
        let bits = effect.bits();
        self.own.set &= !bits;
        self.own.clear &= !bits;
        apply(&mut self.tree, effect);
    }

    fn take(&mut self, word: &str) {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.again = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.id_map = Some(self.id_map.unwrap_or(false)),
            "ridmap" => self.id_map = Some(true),
            // What the kernel does anyway, what only user space tools keep, and what only filesystems themselves
            // decide today (versions of inodes).
            "" | "defaults" | "auto" | "noauto" | "nouser" | "nofail" | "_netdev" | "loud" | "silent"
            | "norelatime" | "iversion" | "noiversion" => {}
            _ if word.starts_with("x-") || word.starts_with("X-") => {}
            "nostrictatime" if self.own.set & attr::STRICTATIME == 0 => {}
            "nostrictatime" => self.one(Effect::Atime(attr::RELATIME)),
            "user" | "users" => self.all_of(&["noexec", "nosuid", "nodev"]),
            "owner" | "group" => self.all_of(&["nosuid", "nodev"]),
            "sync" | "async" | "dirsync" | "lazytime" | "nolazytime" | "mand" | "nomand" => {
                self.shared.push(word.to_owned());
            }
            "rnorelatime" | "rnostrictatime" => self.every(Effect::Atime(attr::RELATIME)),
            _ => {
                if let Some(propagation) = propagation(word) {
                    self.propagation.push(propagation);
                } else if let Some(effect) = effect(word) {
                    self.one(effect);
                } else if let Some(effect) = word.strip_prefix('r').and_then(effect) {
                    self.every(effect);
                } else {
                    self.data.extend(apart(word).map(str::to_owned));
                }
            }
        }
    }
}

/// Options of a filesystem that are written as one: mount(2) takes them all so. Labels and what is escaped have commas of
/// their own.
fn apart(word: &str) -> impl Iterator<Item = &str> {
    let whole =
        word.contains(['\\', '"']) || word.split('=').next().is_some_and(|key| key.ends_with("context"));
    let parts = word.split(move |letter| letter == ',' && !whole);
    parts.filter(|part| !part.is_empty())
}

fn effect(word: &str) -> Option<Effect> {
    Some(match word {
        "ro" => Effect::Set(attr::RDONLY),
        "rw" => Effect::Clear(attr::RDONLY),
        "nosuid" => Effect::Set(attr::NOSUID),
        "suid" => Effect::Clear(attr::NOSUID),
        "nodev" => Effect::Set(attr::NODEV),
        "dev" => Effect::Clear(attr::NODEV),
        "noexec" => Effect::Set(attr::NOEXEC),
        "exec" => Effect::Clear(attr::NOEXEC),
        "nodiratime" => Effect::Set(attr::NODIRATIME),
        "diratime" => Effect::Clear(attr::NODIRATIME),
        "nosymfollow" => Effect::Set(attr::NOSYMFOLLOW),
        "symfollow" => Effect::Clear(attr::NOSYMFOLLOW),
        "relatime" | "atime" => Effect::Atime(attr::RELATIME),
        "noatime" => Effect::Atime(attr::NOATIME),
        "strictatime" => Effect::Atime(attr::STRICTATIME),
        _ => return None,
    })
}

/// The last word about an attribute wins.
fn apply(change: &mut Change, effect: Effect) {
    match effect {
        Effect::Set(bit) => {
            change.set |= bit;
            change.clear &= !bit;
        }
        Effect::Clear(bit) => {
            change.clear |= bit;
            change.set &= !bit;
        }
        Effect::Atime(setting) => {
            change.set = (change.set & !attr::ATIME) | setting;
            // mount_setattr wants the whole field cleared to change it.
            change.clear |= attr::ATIME;
        }
    }
}

/// A word of propagation, `None` for other words.
pub(crate) fn propagation(word: &str) -> Option<Propagation> {
    let (name, recursive) = match word.strip_prefix('r') {
        Some(name) => (name, true),
        None => (word, false),
    };
    let kind = match name {
        "private" => flag::PRIVATE,
        "shared" => flag::SHARED,
        "slave" => flag::SLAVE,
        "unbindable" => flag::UNBINDABLE,
        _ => return None,
    };
    Some(Propagation { kind, recursive })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<MountPlan> {
        MountPlan::of(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn options_become_attributes_propagation_and_data() {
        let tmpfs = plan(
            r#"{"destination":"/dev","type":"tmpfs","source":"tmpfs",
                "options":["nosuid","strictatime","mode=755","size=65536k","ro","rw"]}"#,
        )
        .unwrap();
        assert_eq!(tmpfs.own.set, attr::NOSUID | attr::STRICTATIME);
        assert_eq!(tmpfs.own.clear, attr::ATIME | attr::RDONLY);
        let options = vec!["mode=755".to_owned(), "size=65536k".to_owned()];
        let kind = MountKind::Filesystem { kind: "tmpfs".into(), source: "tmpfs".into(), options };
        assert_eq!(tmpfs.kind, kind);

        let bind = plan(
            r#"{"destination":"/data/./x","source":"/srv","options":["rbind","rro","noexec","rslave"]}"#,
        )
        .unwrap();
        assert_eq!(bind.destination, Path::new("/data/x"));
        assert_eq!(bind.kind, MountKind::Bind { source: "/srv".into(), recursive: true });
        assert_eq!((bind.own.set, bind.tree.set), (attr::NOEXEC, attr::RDONLY));
        assert_eq!(bind.propagation, [Propagation { kind: flag::SLAVE, recursive: true }]);
    }

    #[test]
    fn flags_of_a_filesystem_are_its_options_and_mean_nothing_to_a_bind() {
        let options = r#"["sync","lazytime","silent","loud","iversion","nomand","mode=700"]"#;
        let json = format!(r#"{{"destination":"/a","type":"tmpfs","options":{options}}}"#);
        let MountKind::Filesystem { options, .. } = plan(&json).unwrap().kind else { panic!("a filesystem") };
        assert_eq!(options, ["sync", "lazytime", "nomand", "mode=700"]);
        let json = r#"{"destination":"/a","source":"/b","options":["bind","sync","rnostrictatime"]}"#;
        let bind = plan(json).unwrap();
        assert_eq!(bind.tree, Change { set: attr::RELATIME, clear: attr::ATIME, propagation: 0 });
    }

    #[test]
    fn the_last_word_about_an_attribute_wins_whatever_its_reach() {
        let of = |options: &str| {
            plan(&format!(r#"{{"destination":"/a","type":"tmpfs","options":{options}}}"#)).unwrap()
        };
        for (options, expected) in [
            (r#"["rro"]"#, attr::RDONLY),
            (r#"["rro","rw"]"#, 0),
            (r#"["rw","rro"]"#, attr::RDONLY),
            (r#"["noatime","rstrictatime"]"#, attr::STRICTATIME),
            (r#"["rnoatime","strictatime"]"#, attr::STRICTATIME),
            (r#"["strictatime","nostrictatime"]"#, attr::RELATIME),
            (r#"["noatime","nostrictatime"]"#, attr::NOATIME),
        ] {
            assert_eq!(of(options).attributes(), expected, "{options}");
        }
        let bind = plan(r#"{"destination":"/a","source":"/b","options":["rbind","rw","rro"]}"#).unwrap();
        assert_eq!((bind.own, bind.tree.set), (Change::default(), attr::RDONLY));
    }

    #[test]
    fn every_word_of_the_specification_is_understood() {
        for word in OPTIONS {
            let mut words = Words::default();
            words.take(word);
            assert!(words.data.is_empty(), "{word}");
        }
    }

    #[test]
    fn words_for_other_programs_are_not_the_kernels() {
        let json = r#"{"destination":"/a","type":"tmpfs","options":
            ["noauto","auto","nouser","nofail","_netdev","x-systemd.automount","X-mount.mkdir","user","exec","size=1"]}"#;
        let plan = plan(json).unwrap();
        assert_eq!(plan.attributes(), attr::NOSUID | attr::NODEV);
        let kind = MountKind::Filesystem {
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options: vec!["size=1".into()],
        };
        assert_eq!(plan.kind, kind);
    }

    #[test]
    fn options_in_one_word_are_several() {
        for (word, expected) in [
            ("mode=755,size=1,", &["mode=755", "size=1"][..]),
            ("context=u:r:t:s0:c1,c2", &["context=u:r:t:s0:c1,c2"]),
            (r"lowerdir=/a\,b", &[r"lowerdir=/a\,b"]),
        ] {
            assert_eq!(apart(word).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn devices_can_be_made_before_their_place_is_read_only() {
        for (destination, kind, option, expected) in [
            ("/dev", "tmpfs", "ro", true),
            ("/dev/", "tmpfs", "rro", true),
            ("/dev", "tmpfs", "rw", false),
            ("/dev", "bind", "ro", false),
            ("/dev/shm", "tmpfs", "ro", false),
        ] {
            let mut mount = Mount::default();
            mount.set_destination(destination.into()).set_typ(Some(kind.into()));
            mount.set_source(Some("/x".into())).set_options(Some(vec![option.into()]));
            let mut plan = MountPlan::of(&mount).unwrap();
            let before = plan.is_read_only();
            assert_eq!(plan.put_off_read_only(), expected, "{destination} {kind} {option}");
            assert_eq!(plan.is_read_only(), before && !expected, "{destination} {kind} {option}");
        }
    }

    #[test]
    fn a_device_itself_is_read_only() {
        for (source, words, expected) in [
            ("/dev/sda", r#"["ro","noload"]"#, &["noload", "ro"][..]),
            ("/dev/sda", r#"["ro","rw"]"#, &[]),
            ("tmpfs", r#"["ro"]"#, &[]),
        ] {
            let json =
                format!(r#"{{"destination":"/a","type":"ext4","source":"{source}","options":{words}}}"#);
            let MountKind::Filesystem { options, .. } = plan(&json).unwrap().kind else {
                panic!("a filesystem")
            };
            assert_eq!(options, expected, "{json}");
        }
    }

    #[test]
    fn sources_of_binds_start_at_the_bundle_and_labels_are_not_empty() {
        let source = |source: &str| {
            let json = format!(r#"{{"destination":"/a","type":"bind","source":"{source}"}}"#);
            match plan(&json).unwrap().in_bundle(Path::new("/bundle")).kind {
                MountKind::Bind { source, .. } => source,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(source("data/x"), Path::new("/bundle/data/x"));
        assert_eq!(source("/data"), Path::new("/data"));
        let tmpfs = plan(r#"{"destination":"/a","type":"tmpfs"}"#).unwrap();
        assert_eq!(tmpfs.clone().label(Some("")), tmpfs);
    }

    #[test]
    fn what_is_mounted_already_can_be_changed() {
        let again = plan(r#"{"destination":"/a","options":["remount","nosuid","size=9","sync"]}"#).unwrap();
        assert_eq!(again.kind, MountKind::Again { options: vec!["sync".into(), "size=9".into()] });
        assert_eq!(again.own.set, attr::NOSUID);
        let json = r#"{"destination":"/a","source":"/b","type":"none","options":["remount","bind","ro"]}"#;
        assert_eq!(plan(json).unwrap().kind, MountKind::Again { options: Vec::new() });
        assert!(plan(r#"{"destination":"/a","options":["remount","bind","size=9"]}"#).is_err());
    }

    #[test]
    fn ids_are_mapped_by_words_or_by_a_mapping() {
        let of = |more: &str| {
            let json = format!(r#"{{"destination":"/a","type":"bind","source":"/b",{more}}}"#);
            plan(&json).unwrap().id_map
        };
        assert_eq!(of(r#""options":["rbind"]"#), None);
        assert_eq!(of(r#""options":["idmap"]"#), Some(IdMapPlan { own: None, recursive: false }));
        assert_eq!(of(r#""options":["ridmap"]"#), Some(IdMapPlan { own: None, recursive: true }));
        let map = r#"[{"containerID":0,"hostID":5,"size":9}]"#;
        let own = IdMaps { uids: "0 5 9\n".into(), gids: "0 5 9\n".into() };
        let mapped = of(&format!(r#""uidMappings":{map},"gidMappings":{map}"#));
        assert_eq!(mapped, Some(IdMapPlan { own: Some(own), recursive: false }));
    }

    #[test]
    fn cgroups_are_one_kind_whatever_the_host_has() {
        for kind in ["cgroup", "cgroup2"] {
            let json = format!(r#"{{"destination":"/sys/fs/cgroup","type":"{kind}","options":["ro"]}}"#);
            assert_eq!(plan(&json).unwrap().kind, MountKind::Cgroup);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            r#"{"destination":"/a/../../etc","type":"tmpfs"}"#,
            r#"{"destination":"/","type":"tmpfs"}"#,
            r#"{"destination":"/a"}"#,
            r#"{"destination":"/a","type":"bind"}"#,
            r#"{"destination":"/a","type":"bind","source":"/b","options":["bind","size=1"]}"#,
            r#"{"destination":"/a","type":"tmpfs","options":["idmap"]}"#,
            r#"{"destination":"/a","type":"bind","source":"/b","options":["tmpcopyup"]}"#,
            r#"{"destination":"/a","type":"bind","source":"/b",
                "uidMappings":[{"containerID":0,"hostID":1,"size":1}]}"#,
        ] {
            assert!(plan(json).is_err(), "{json}");
        }
    }
}

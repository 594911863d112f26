//! Groups of processes (cgroups) that get a share of a core, as Lambda gives one to a function. This bench and its endpoint
//! stay outside. A group is removed when it is dropped.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::Fault;

/// Where the kernel has its groups.
const ROOT: &str = "/sys/fs/cgroup";

/// The beginning of a group's name. The bench's process id and the memory follow.
const NAME: &str = "orderflow-bench";

/// A group gets its share anew in each period. Lambda's period is 20 ms too.
const PERIOD: Duration = Duration::from_millis(20);

/// With so much memory, a function gets one core, and with less proportionally less (Lambda developer guide, "Configure
/// Lambda function memory").
const MB_OF_A_CORE: u64 = 1_769;

/// How much of a processor a program gets.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Share {
    /// As much as there is.
    Free,
    /// What Lambda gives to a function with so many MB.
    OfMemory(u64),
}

/// The shares that are measured.
pub const SHARES: [Share; 3] = [Share::Free, Share::OfMemory(256), Share::OfMemory(128)];

impl Share {
    /// Its thousandths of a core, if it is limited.
    pub fn thousandths(self) -> Option<u64> {
        match self {
            Self::Free => None,
            Self::OfMemory(mb) => Some((mb * 1_000 + MB_OF_A_CORE / 2) / MB_OF_A_CORE),
        }
    }

    /// The time on a core in each period, in microseconds.
    fn quota_us(self) -> Option<u128> {
        match self {
            Self::Free => None,
            Self::OfMemory(mb) => Some(PERIOD.as_micros() * u128::from(mb) / u128::from(MB_OF_A_CORE)),
        }
    }
}

/// A group with a share.
#[derive(Debug)]
pub struct Group {
    share: Share,
    folder: Option<PathBuf>,
}

impl Group {
    /// Makes a group. Only root can make one whose share is limited.
    pub fn make(share: Share) -> Result<Self, Fault> {
        let Some(quota_us) = share.quota_us() else { return Ok(Self { share, folder: None }) };
        let cannot = |error: io::Error| Fault::new(format!("no group of processes can be made: {error}"));
        let kind = Kind::here(Path::new(ROOT));
        let parent = kind.parent();
        remove_left_over(&parent);
        let folder = parent.join(format!("{NAME}-{}-{quota_us}", std::process::id()));
        fs::create_dir(&folder).map_err(cannot)?;
        // From here on, an error drops the group, which removes it.
        let group = Self { share, folder: Some(folder.clone()) };
        for (path, text) in kind.settings(&folder, quota_us) {
            fs::write(&path, text)
                .map_err(|error| Fault::new(format!("no share can be given: {}: {error}", path.display())))?;
        }
        Ok(group)
    }

    /// Its share.
    pub fn share(&self) -> Share {
        self.share
    }

    /// A process enters the group by writing its id here.
    pub(crate) fn entrance(&self) -> PathBuf {
        self.folder.as_deref().map_or_else(|| "/dev/null".into(), |folder| folder.join("cgroup.procs"))
    }

    /// Waits until the group has its whole share again.
    pub(crate) async fn rest(&self) {
        tokio::time::sleep(PERIOD).await;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        // The kernel may need a moment until a process that ended has left.
        for _ in 0..50 {
            match fs::remove_dir(folder) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => thread::sleep(PERIOD),
                Ok(()) | Err(_) => return,
            }
        }
    }
}

/// The two kinds of cgroups. Their files differ.
#[derive(Debug)]
enum Kind {
    First(PathBuf),
    Second(PathBuf),
}

impl Kind {
    fn here(root: &Path) -> Self {
        let cpu = root.join("cpu");
        if cpu.join("cpu.cfs_quota_us").exists() { Self::First(cpu) } else { Self::Second(root.to_owned()) }
    }

    fn parent(&self) -> PathBuf {
        let (Self::First(parent) | Self::Second(parent)) = self;
        parent.clone()
    }

    /// What is written where, in this order, to limit a group.
    fn settings(&self, folder: &Path, quota_us: u128) -> Vec<(PathBuf, String)> {
        let period_us = PERIOD.as_micros();
        match self {
            Self::First(_) => vec![
                (folder.join("cpu.cfs_period_us"), period_us.to_string()),
                (folder.join("cpu.cfs_quota_us"), quota_us.to_string()),
            ],
            Self::Second(parent) => vec![
                (parent.join("cgroup.subtree_control"), "+cpu".to_owned()),
                (folder.join("cpu.max"), format!("{quota_us} {period_us}")),
            ],
        }
    }
}

/// Removes the groups of a bench that was killed.
fn remove_left_over(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(NAME)?.split('-').nth(1));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            // The kernel refuses if a process is still in it.
            drop(fs::remove_dir(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Kind, Share, remove_left_over};

    #[test]
    fn a_share_is_proportional_to_the_memory() {
        assert_eq!(Share::Free.quota_us(), None);
        assert_eq!(Share::OfMemory(128).quota_us(), Some(1_447));
        assert_eq!(Share::OfMemory(1_769).quota_us(), Some(20_000));
        assert_eq!([128, 256].map(|mb| Share::OfMemory(mb).thousandths()), [Some(72), Some(145)]);
    }

    #[test]
    fn each_kind_of_group_has_its_own_files() {
        let root = tempfile::tempdir().expect("a folder");
        let settings = |kind: &Kind| -> Vec<String> {
            let settings = kind.settings(Path::new("/group"), 1_447);
            settings.into_iter().map(|(path, text)| format!("{}: {text}", path.display())).collect()
        };
        let second = Kind::here(root.path());
        assert_eq!(second.parent(), root.path());
        let of_the_second = settings(&second);
        assert!(of_the_second[0].ends_with("/cgroup.subtree_control: +cpu"));
        assert_eq!(of_the_second[1], "/group/cpu.max: 1447 20000");

        fs::create_dir(root.path().join("cpu")).expect("a folder");
        fs::write(root.path().join("cpu/cpu.cfs_quota_us"), "-1").expect("written");
        let first = Kind::here(root.path());
        assert_eq!(first.parent(), root.path().join("cpu"));
        assert_eq!(settings(&first), ["/group/cpu.cfs_period_us: 20000", "/group/cpu.cfs_quota_us: 1447"]);
    }

    #[test]
    fn only_a_group_whose_bench_ended_is_left_over() {
        let root = tempfile::tempdir().expect("a folder");
        let own = format!("orderflow-bench-{}-1447", std::process::id());
        // No process has so high an id.
        let names = [own.as_str(), "orderflow-bench-4194305-1447", "system.slice"];
        for name in names {
            fs::create_dir(root.path().join(name)).expect("a folder");
        }
        remove_left_over(root.path());
        assert_eq!(names.map(|name| root.path().join(name).exists()), [true, false, true]);
    }
}

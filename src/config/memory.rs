//! The memory that this process may use, as its cgroup limits it.

use std::path::Path;

/// What requests may hold if the configuration does not say.
const USUAL_INFLIGHT_BYTES: usize = 128 << 20;
/// The default is at most this share of the memory limit: models and the runtime need the rest.
const SHARE: usize = 16;

/// The default of `max_inflight_bytes`.
pub fn default_inflight_bytes() -> usize {
    inflight_bytes(cgroup_limit(Path::new("/")))
}

fn inflight_bytes(limit: Option<usize>) -> usize {
    limit.map_or(USUAL_INFLIGHT_BYTES, |limit| {
        (limit / SHARE).min(USUAL_INFLIGHT_BYTES)
    })
}

/// The least memory limit of this process's cgroup and its parents, in version 2 or 1, or `None` without one. `root` is
/// the root of the file system.
fn cgroup_limit(root: &Path) -> Option<usize> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    groups.lines().filter_map(|line| limit_of(root, line)).min()
}

/// The limit that a line of `/proc/self/cgroup`, `ID:CONTROLLERS:PATH`, leads to.
fn limit_of(root: &Path, line: &str) -> Option<usize> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (mount, file) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ("sys/fs/cgroup/memory", "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // In a container the path may be that on the host, of which only the mount's root is visible.
    let groups = Path::new(path.trim_start_matches('/')).ancestors();
    let limit = |group: &Path| {
        let text = std::fs::read_to_string(root.join(mount).join(group).join(file)).ok()?;
        // `max` means no limit. Version 1 has a number of nearly 2^63 instead, which no minimum takes.
        text.trim().parse().ok()
    };
    groups.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of a file system with these files.
    fn limit(files: &[(&str, &str)]) -> Option<usize> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        cgroup_limit(root.path())
    }

    #[test]
    fn the_least_limit_of_a_group_and_its_parents_counts() {
        assert_eq!(limit(&[]), None);
        let group = ("proc/self/cgroup", "0::/a/b\n");
        assert_eq!(limit(&[group]), None);
        let unlimited = ("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(limit(&[group, unlimited]), None);
        let parent = ("sys/fs/cgroup/a/memory.max", "1000\n");
        assert_eq!(limit(&[group, unlimited, parent]), Some(1000));
        let own = ("sys/fs/cgroup/a/b/memory.max", "700\n");
        assert_eq!(limit(&[group, own, parent]), Some(700));
        // A container sees its own group at the root.
        let container = ("sys/fs/cgroup/memory.max", "500\n");
        assert_eq!(limit(&[group, container]), Some(500));
    }

    #[test]
    fn version_1_is_read_too() {
        let groups = ("proc/self/cgroup", "5:cpu:/x\n4:hugetlb,memory:/pod\n");
        let cpu = ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
        let memory = ("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "900\n");
        assert_eq!(limit(&[groups, cpu, memory]), Some(900));
    }

    #[test]
    fn small_limits_lower_the_default() {
        assert_eq!(inflight_bytes(None), 128 << 20);
        assert_eq!(inflight_bytes(Some(512 << 20)), 32 << 20);
        assert_eq!(inflight_bytes(Some(usize::MAX)), 128 << 20);
    }
}

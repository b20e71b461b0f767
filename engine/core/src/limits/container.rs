//! The memory limit of the container this process runs in.

use std::fs;

/// What cgroup v1 reports when nothing is limited: a page-aligned number near 2^63.
const NO_LIMIT_BYTES: u64 = 1 << 60;

/// The smallest of cgroup v2's `memory.max`, cgroup v1's `memory.limit_in_bytes` and the machine's
/// memory, in bytes. `None` where none of them can be read.
pub fn container_memory_bytes() -> Option<u64> {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| machine_bytes(&text));
    candidate_files(&cgroup)
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .filter_map(|text| limit_bytes(&text))
        .chain(machine)
        .min()
}

/// The files that may hold this process's limit. Inside a container the own group is mounted as the
/// root, outside it is found by the path in `/proc/self/cgroup`.
fn candidate_files(cgroup: &str) -> Vec<String> {
    let mut files =
        vec!["/sys/fs/cgroup/memory.max".to_owned(), "/sys/fs/cgroup/memory/memory.limit_in_bytes".to_owned()];
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if controllers.is_empty() {
            files.push(format!("/sys/fs/cgroup{path}/memory.max"));
        } else if controllers.split(',').any(|name| name == "memory") {
            files.push(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"));
        }
    }
    files
}

fn limit_bytes(text: &str) -> Option<u64> {
    // cgroup v2 writes "max" for no limit, which does not parse.
    text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT_BYTES)
}

fn machine_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions_are_read() {
        assert_eq!(limit_bytes("536870912\n"), Some(512 << 20));
        assert_eq!(limit_bytes("max\n"), None);
        assert_eq!(limit_bytes("9223372036854771712\n"), None);
        assert_eq!(machine_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
    }

    #[test]
    fn both_hierarchies_are_looked_up() {
        let files = candidate_files("0::/kubepods/pod1\n4:memory:/docker/abc\n");
        assert!(files.contains(&"/sys/fs/cgroup/kubepods/pod1/memory.max".to_owned()));
        assert!(files.contains(&"/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes".to_owned()));
    }

    #[test]
    fn this_machine_has_a_limit() {
        assert!(container_memory_bytes().is_some_and(|bytes| bytes > 64 << 20));
    }
}

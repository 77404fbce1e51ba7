//! How many connections the process's file descriptors allow.

/// Descriptors for everything else: 16 connections reserved for health checks, 16 that give way and are not closed yet,
/// and what models, the runtime and downloads open.
const OTHERS: usize = 80;

/// Returns `wanted`, or less if the process may not open as many files. Raises the soft limit where that helps.
#[cfg(unix)]
pub fn allowed(wanted: usize) -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let needed = u64::try_from(wanted.saturating_add(OTHERS)).unwrap_or(u64::MAX);
    let mut current = limit.current;
    if current.is_some_and(|current| current < needed) {
        let raised = limit.maximum.map_or(needed, |most| most.min(needed));
        let wish = Rlimit {
            current: Some(raised),
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, wish).is_ok() {
            current = Some(raised);
        }
    }
    let allowed = within(wanted, current);
    if allowed < wanted {
        tracing::warn!(
            max_connections = wanted,
            open_files = current,
            using = allowed,
            "max_connections is lowered to what `ulimit -n` allows: raise the limit of open files"
        );
    }
    allowed
}

#[cfg(not(unix))]
pub fn allowed(wanted: usize) -> usize {
    within(wanted, None)
}

/// `wanted`, or what a limit of open files leaves.
fn within(wanted: usize, open_files: Option<u64>) -> usize {
    let Some(limit) = open_files.and_then(|limit| usize::try_from(limit).ok()) else {
        return wanted;
    };
    let left = limit.saturating_sub(OTHERS).max(limit / 4);
    wanted.min(left).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        for (wanted, open_files, expected) in [
            (4096, None, 4096),
            (4096, Some(20_000), 4096),
            (4096, Some(1024), 944),
            (10, Some(1024), 10),
            (4096, Some(64), 16),
            (4096, Some(0), 1),
        ] {
            assert_eq!(within(wanted, open_files), expected, "{open_files:?}");
        }
    }
}

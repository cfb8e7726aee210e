//! What the figures were taken on.

use std::fs;

use super::system::Ground;

/// One line: cores, processor, memory, kernel, brokers, build.
pub(super) fn line(ground: &Ground) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processor = after(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned());
    let memory = after(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let gib = memory.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / (1 << 20);
    let system = after(&read("/etc/os-release").replace('=', ":"), "PRETTY_NAME").unwrap_or_default();
    let (rabbitmq, redis) = ground.brokers.versions();
    format!(
        "{cores} cores ({processor}), {gib} GiB, {}, kernel {}; {rabbitmq}, {redis}; {} build; load average {}",
        system.trim_matches('"'),
        read("/proc/sys/kernel/osrelease").trim(),
        if cfg!(debug_assertions) { "debug" } else { "release" },
        load(),
    )
}

/// The load average of the last minute.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn after(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::after;

    #[test]
    fn a_value_is_read_after_its_key_and_colon() {
        assert_eq!(after("a : 1\nmodel name\t: Some CPU\n", "model name").as_deref(), Some("Some CPU"));
        assert_eq!(after("a : 1\n", "b"), None);
    }
}

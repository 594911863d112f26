//! Reads how much memory a process held.

use std::fs;

use crate::Fault;

/// The most memory that a running process held at once, in bytes. The kernel counts pages that it shares with others too.
pub fn peak_bytes(process: u32) -> Result<u64, Fault> {
    let path = format!("/proc/{process}/status");
    let status = fs::read_to_string(&path).map_err(|error| Fault::new(format!("{path}: {error}")))?;
    peak_in(&status).ok_or_else(|| Fault::new(format!("{path} does not say how much memory was held")))
}

/// The peak in the text of `/proc/<id>/status`, which gives it in units of 1,024 bytes (proc(5), `VmHWM`).
fn peak_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::{peak_bytes, peak_in};

    #[test]
    fn the_peak_is_read_in_bytes() {
        let status = "Name:\tbootstrap\nVmPeak:\t  99999 kB\nVmHWM:\t    8200 kB\nVmRSS:\t    8000 kB\n";
        assert_eq!(peak_in(status), Some(8_396_800));
        assert_eq!(peak_in("Name:\tbootstrap\n"), None);
        assert_eq!(peak_in("VmHWM:\tmuch\n"), None);
    }

    #[test]
    fn this_process_held_some_memory() {
        assert!(peak_bytes(std::process::id()).expect("a peak") > 0);
    }
}

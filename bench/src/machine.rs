//! The machine that measures. A time means nothing without it.

use std::{collections::BTreeSet, fs};

use time::OffsetDateTime;

/// One sentence about the day and the processor.
pub fn measured_here() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    sentence(&OffsetDateTime::now_utc().date().to_string(), &models(&about), cores)
}

fn sentence(date: &str, models: &str, cores: usize) -> String {
    let cores = if cores == 1 { "1 core".to_owned() } else { format!("{cores} cores") };
    format!("Measured on {date}, on {cores} of this processor: {models}.\n")
}

/// The processor's model in the text of `/proc/cpuinfo`.
fn models(about: &str) -> String {
    let lines = about.lines().filter_map(|line| line.split_once(':'));
    let models: BTreeSet<&str> =
        lines.filter(|(name, _)| name.trim() == "model name").map(|(_, model)| model.trim()).collect();
    if models.is_empty() { "unknown".to_owned() } else { Vec::from_iter(models).join(", ") }
}

#[cfg(test)]
mod tests {
    use super::{models, sentence};

    #[test]
    fn the_model_of_the_processor_is_named_once() {
        let about = "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(models(about), "AMD EPYC");
        assert_eq!(models("Features : fp asimd\n"), "unknown");
        assert_eq!(
            sentence("2026-03-01", "AMD EPYC", 2),
            "Measured on 2026-03-01, on 2 cores of this processor: AMD EPYC.\n"
        );
    }
}

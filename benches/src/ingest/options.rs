//! What the `ingest` bench is asked for.

use anyhow::{Context, bail};

/// What the `ingest` bench is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Events in each run.
    pub events: u64,
    /// Runs; medians are reported.
    pub runs: usize,
    /// Sensors, each at a site of its own.
    pub sensors: usize,
    /// Devices that all sensors together see, before new ones come up.
    pub devices: u64,
    /// Batches of a sensor that may be unanswered; the product's uplink has 32.
    pub window: usize,
    /// Events per second that are offered; 0 for as many as are taken.
    pub rate: u64,
    /// Events in a batch.
    pub batch: usize,
    /// Whether sensors connect to all nodes in turn; else to the leader, as a welcome tells them.
    pub spread: bool,
    /// The product alone, without the bare pipeline and the machine's limits.
    pub product_only: bool,
    /// The bare pipeline and the limits alone.
    pub bare_only: bool,
    /// Seconds that the nodes are left running after a run, for a look at them.
    pub linger: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            events: 2_500_000,
            runs: 3,
            sensors: 6,
            devices: 12_000,
            window: 32,
            rate: 0,
            batch: 512,
            spread: false,
            product_only: false,
            bare_only: false,
            linger: 0,
        }
    }
}

impl Options {
    /// Reads the arguments of the process; `--json` is the report's.
    ///
    /// # Errors
    /// Names the argument that is none.
    pub fn parse(arguments: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let mut number = || -> anyhow::Result<u64> {
                let text =
                    arguments.next().with_context(|| format!("{argument} wants a number"))?;
                text.replace('_', "").parse().with_context(|| format!("{argument} {text}"))
            };
            match argument.as_str() {
                "--events" => options.events = number()?.max(1),
                "--runs" => options.runs = number()?.max(1) as usize,
                "--sensors" => options.sensors = number()?.clamp(1, 64) as usize,
                "--devices" => options.devices = number()?.max(1),
                "--window" => options.window = number()?.clamp(1, 1_024) as usize,
                "--rate" => options.rate = number()?,
                "--batch" => options.batch = number()?.clamp(1, 512) as usize,
                "--linger" => options.linger = number()?,
                "--spread" => options.spread = true,
                "--product-only" => options.product_only = true,
                "--bare-only" => options.bare_only = true,
                "--json" => {}
                other => bail!(
                    "'{other}' is no option; there are --events, --runs, --sensors, --devices, \
                     --window, --rate, --batch, --linger (a number each), --spread, \
                     --product-only, --bare-only and --json"
                ),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn parse(text: &str) -> anyhow::Result<Options> {
        Options::parse(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_or_named() {
        let expected = Options { events: 1_000_000, spread: true, ..Options::default() };
        assert_eq!(parse("--events 1_000_000 --json --spread").unwrap(), expected);
        for wrong in ["--events", "--events many", "--sped"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}

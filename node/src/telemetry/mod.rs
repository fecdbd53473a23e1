//! What the process says of itself: log lines on standard error and metrics for Prometheus.
//!
//! Every room may write log lines and count under the names of [`names`]; only this one decides where they go. It knows no HTTP: whoever
//! serves `/metrics` asks for the text.

mod logs;
pub mod names;

pub use logs::{LogFormat, LogSettings, check_level};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// How often samples of histograms are folded into their buckets when nobody scrapes; between two folds they take memory.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Buckets of histograms that measure a time, seconds.
const SECONDS_BUCKETS: &[f64] = &[0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Buckets of histograms that count things.
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 4096.0];

/// The recorder is the process's: the crate `metrics` has one for all.
static RECORDER: OnceLock<Result<PrometheusHandle, TelemetryError>> = OnceLock::new();

/// Why nothing can be recorded.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Another recorder or a broken set of buckets.
    #[error("the metrics recorder cannot be installed: {0}")]
    Recorder(String),
    /// The operating system gives no thread.
    #[error("no thread for the upkeep of metrics: {0}")]
    Thread(String),
    /// The level of the log settings is malformed.
    #[error("log.level: {0}")]
    Level(String),
}

type Refresh = Box<dyn Fn() + Send + Sync>;

/// The metrics of this process. Clones are the same.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
    refreshes: Arc<Mutex<Vec<Refresh>>>,
}

impl Telemetry {
    /// Sends log lines to standard error as the settings say, and starts to record metrics. Once per process; a later call keeps what the
    /// first one set up.
    ///
    /// # Errors
    /// The level is malformed, or the process already has a recorder of somebody else.
    pub fn install(settings: &LogSettings) -> Result<Self, TelemetryError> {
        logs::install(settings).map_err(TelemetryError::Level)?;
        Self::metrics_only()
    }

    /// Starts to record metrics and leaves the log lines alone.
    ///
    /// # Errors
    /// The process already has a recorder of somebody else.
    pub fn metrics_only() -> Result<Self, TelemetryError> {
        let handle = RECORDER.get_or_init(install_recorder).clone()?;
        Ok(Self { handle, refreshes: Arc::default() })
    }

    /// Has `refresh` called before each scrape: it sets the gauges and absolute counters that nobody keeps up to date in between.
    pub fn on_scrape(&self, refresh: impl Fn() + Send + Sync + 'static) {
        self.refreshes.lock().expect("no refresh panics").push(Box::new(refresh));
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        for refresh in self.refreshes.lock().expect("no refresh panics").iter() {
            refresh();
        }
        self.handle.render()
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry(..)")
    }
}

fn install_recorder() -> Result<PrometheusHandle, TelemetryError> {
    let broken = |error: &dyn fmt::Display| TelemetryError::Recorder(error.to_string());
    let mut builder = PrometheusBuilder::new();
    for metric in names::ALL.iter().filter(|metric| metric.kind == names::Kind::Histogram) {
        let buckets = if metric.name.ends_with("_seconds") { SECONDS_BUCKETS } else { COUNT_BUCKETS };
        builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets).map_err(|error| broken(&error))?;
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| broken(&error))?;
    names::describe();
    metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    start_upkeep(handle.clone())?;
    Ok(handle)
}

/// Without it, samples of histograms would pile up for as long as nobody scrapes.
fn start_upkeep(handle: PrometheusHandle) -> Result<(), TelemetryError> {
    let fold = move || {
        loop {
            std::thread::sleep(UPKEEP_INTERVAL);
            handle.run_upkeep();
        }
    };
    let started = std::thread::Builder::new().name("metrics-upkeep".to_owned()).spawn(fold);
    started.map(drop).map_err(|error| TelemetryError::Thread(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_rendered_with_its_help() {
        let telemetry = Telemetry::metrics_only().unwrap();
        telemetry.on_scrape(|| metrics::gauge!(names::FEED_SUBSCRIBERS).set(17.0));
        metrics::counter!(names::HTTP_REQUESTS_TOTAL, "listener" => "api", "route" => "/v1/sessions", "method" => "POST", "status" => "201")
            .increment(1);
        metrics::histogram!(names::HTTP_REQUEST_DURATION_SECONDS, "listener" => "api").record(0.003);
        metrics::histogram!(names::STORE_SYNC_ENTRIES).record(17.0);
        let text = telemetry.render();
        for needle in [
            "# HELP curfew_feed_subscribers ",
            "# TYPE curfew_feed_subscribers gauge",
            "curfew_feed_subscribers 17",
            "curfew_http_requests_total{listener=\"api\",route=\"/v1/sessions\",method=\"POST\",status=\"201\"} ",
            "curfew_http_request_duration_seconds_bucket{listener=\"api\",le=\"0.005\"} 1",
            "curfew_store_sync_entries_bucket{le=\"32\"} 1",
            "curfew_build_info{version=",
        ] {
            assert!(text.contains(needle), "{needle:?} is not in\n{text}");
        }
        assert!(Telemetry::metrics_only().is_ok(), "a second node in the process shares the recorder");
    }
}

-- wrk: prints the figures of a run as one line for the benchmark:
-- requests/s, median and 99th percentile in microseconds, failures.
function done(summary, latency)
  local seconds = summary.duration / 1e6
  local errors = summary.errors
  local failures = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  io.write(string.format("FIGURES %.0f %.0f %.0f %d\n", summary.requests / seconds, latency:percentile(50),
                         latency:percentile(99), failures))
end

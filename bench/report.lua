-- How wrk tells bench.load what it saw.
function report(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "bytes": %d, "seconds": %.6f, "p50_ms": %.3f, "p95_ms": %.3f, ' ..
        '"p99_ms": %.3f, "errors": %d}\n',
        summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50) / 1e3,
        latency:percentile(95) / 1e3, latency:percentile(99) / 1e3,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end

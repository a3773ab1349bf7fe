-- GET; tells requests a second, p50 and p99 in milliseconds, and how many failed (slow ones did not).
done = function(summary, latency, requests)
    io.write(string.format("RESULT %.1f %.3f %.3f %d\n",
        summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write))
end

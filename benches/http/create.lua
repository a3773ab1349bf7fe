-- POST of a task that is due in the future: what is measured is the request, not the work.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[{"agent":"hardware-optimizer","payload":{"use_model":false},"title":"One of many","run_at":"2099-01-01T00:00:00Z"}]]
done = function(summary, latency, requests)
    io.write(string.format("RESULT %.1f %.3f %.3f %d\n",
        summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write))
end

-- Asks in turns for what the lines of a file say: a token, a path, and the body of a POST where there is one. Tells requests
-- a second, p50 and p99 in milliseconds, and how many failed (slow ones did not).
local requests, turn = {}, 0

function init(args)
    for line in io.lines(args[1]) do
        local token, path, body = line:match("^(%S+) (%S+) ?(.*)$")
        local headers = { Authorization = "Bearer " .. token }
        if body ~= "" then headers["Content-Type"] = "application/json" end
        requests[#requests + 1] = wrk.format(body ~= "" and "POST" or "GET", path, headers, body ~= "" and body or nil)
    end
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / (summary.duration / 1e6),
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, e.status + e.connect + e.read + e.write))
end

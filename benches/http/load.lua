-- Sends the requests in the lines of a file in turn: a token, a path, and the body of a POST if there is one.
-- Prints requests per second, p50 and p99 in milliseconds, and the number of failed requests, without slow
-- ones.
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

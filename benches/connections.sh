#!/usr/bin/env bash
# Opens 1,000 connections for 30 seconds with wrk, to the real server with its default limits: half of them
# request tasks with a token and half /health. Fails on any status other than 200 and 429, on any connection
# error, and if the server uses 128 MB or more afterwards. Seconds and connections are arguments:
# connections.sh 10 200.
. "$(dirname "$0")/../scripts/env.sh"
cd "$root"
seconds=${1:-30} connections=${2:-1000}
scripts/install.sh bench
say "Building"
cargo build -q --release --no-default-features --features cli --bin sutazai
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT
ulimit -n "$(ulimit -Hn)"
address=127.0.0.1:18090
DATABASE_URL=sqlite://$work/sutazai.db LOG_LEVEL=warn "$CARGO_TARGET_DIR/release/sutazai" serve --listen $address 2>"$work/log" &
server=$!
for _ in $(seq 100); do curl -sf http://$address/health >/dev/null && break; sleep 0.1; done
kill -0 "$server" || { cat "$work/log" >&2; exit 1; }
curl -sf http://$address/api/v1/auth/register -H 'content-type: application/json' \
    -d '{"username": "ada", "email": "ada@example.org", "password": "correct horse battery"}' >"$work/ada"
token=$(sed -E 's/.*"access_token":"([^"]+)".*/\1/' "$work/ada")
cat >"$work/mixed.lua" <<'LUA'
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args)
    token = args[1]
    good, limited, other, turn = 0, 0, 0, 0
end
function request()
    turn = turn + 1
    if turn % 2 == 0 then return wrk.format("GET", "/health") end
    return wrk.format("GET", "/api/v1/tasks?limit=10", { authorization = "Bearer " .. token })
end
function response(status)
    if status == 200 then good = good + 1 elseif status == 429 then limited = limited + 1 else other = other + 1 end
end
function done(summary, latency)
    local sums = { good = 0, limited = 0, other = 0 }
    for _, thread in ipairs(threads) do
        for name in pairs(sums) do sums[name] = sums[name] + thread:get(name) end
    end
    local e = summary.errors
    local broken = e.connect + e.read + e.write + e.timeout
    io.write(string.format("%d answers of 200, %d of 429, %d of others; %d broken connections\n",
        sums.good, sums.limited, sums.other, broken))
    io.write(string.format("p50 %.1f ms, p99 %.1f ms\n", latency:percentile(50) / 1000, latency:percentile(99) / 1000))
    if sums.other + broken > 0 or sums.good == 0 then io.write("FAILED\n") end
end
LUA
say "$connections connections for $seconds seconds"
wrk -t2 -c"$connections" -d"${seconds}s" --timeout 10s -s "$work/mixed.lua" http://$address -- "$token" | tee "$work/result"
kilobytes=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$server/status)
echo "memory of the server afterwards: $((kilobytes / 1024)) MB"
! grep -q FAILED "$work/result" && [ "$kilobytes" -lt $((128 * 1000)) ]

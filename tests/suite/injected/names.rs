//! Names that hold characters which steer a terminal or cannot be seen: any user may give them to a process, and a
//! container or a mounted image brings its own.

use super::Scenario;

/// Scenarios about hostile names.
pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "names that turn text around or clear the screen",
    usual: true,
    // A process, a mount point and a container of a Docker engine that this script plays have such a name, and a fault
    // for which they are named. Then the report must be plain in a pipe, on a terminal and as JSON. A terminal may get
    // the colors and lines of the report itself, which begin with an escape character.
    script: r#"
names() {
    python3 - "$PLACE" <<'END'
import json, os, socket, subprocess, sys
place = sys.argv[1]
hostile = "x\u202egpj\u200b\u2066"
mount = os.path.join(os.fsencode(place), (hostile + "\u00ad\u061c\u3164\ufeff\U000e0041\x1b[2J\n").encode())
os.mkdir(mount)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], check=True)
try:
    with open(os.path.join(mount, b"fill"), "wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
except OSError:
    pass
for _ in range(15):
    if os.fork() == 0:
        os._exit(0)
with open("/proc/self/comm", "wb") as comm:
    comm.write(hostile.encode())
container = "c0ffee" * 10 + "abcd"
answers = {
    "/containers/json?all=1": [
        {"Id": container, "Names": ["/" + hostile], "Image": hostile + "\x9b2J", "State": "running"}
    ],
    "/version": {"Version": "24.0\u202e"},
    f"/containers/{container}/json": {
        "Name": "/" + hostile + "\x1b[2J", "RestartCount": 50, "State": {"Status": "running", "Running": True}
    },
}
engine = socket.socket(socket.AF_UNIX)
engine.bind(place + "/docker.sock")
engine.listen(64)
while True:
    peer, _ = engine.accept()
    request = peer.makefile("rb")
    path = request.readline().decode().split(" ")[1]
    while request.readline().strip():
        pass
    answer = json.dumps(answers.get(path, {})).encode()
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer)
    request.close()
    peer.close()
END
}
names &
until [ -S "$PLACE/docker.sock" ]; do kill -0 $! || exit 1; sleep 0.05; done
export DOCKER_HOST=unix://$PLACE/docker.sock
"$SUTAZAI" analyze --no-model >"$PLACE/piped" 2>&1 || { cat "$PLACE/piped" >&2; exit 1; }
need script --quiet --return --command "$SUTAZAI analyze --no-model" "$PLACE/terminal"
analyze
python3 - "$PLACE" <<'END'
import sys, unicodedata
for name, steering in ("piped", True), ("terminal", False), ("report", True):
    with open(f"{sys.argv[1]}/{name}", encoding="utf-8", newline="") as file:
        text = file.read()
    if name != "report" and "gpj" not in text:
        sys.exit(f"{name} names nothing: {text}")
    for at, c in enumerate(text):
        unseen = unicodedata.category(c) in ("Cf", "Zl", "Zp") or c in "\u034f\u3164"
        cleared = text.startswith("\x1b[2J", at) or c == "\x9b"
        if unseen or cleared or steering and unicodedata.category(c) == "Cc" and c != "\n":
            sys.exit(f"{name} holds U+{ord(c):04X}: {text[max(0, at - 40):at + 40]!a}")
END
"#,
    expect: |report| {
        report.finding("zombies", &["process x_gpj__ ("])?;
        report.finding("tmpfs_space", &["/x_gpj_______", "100 %"])?;
        report.finding("container_restarting", &["Container x_gpj____", "50 times"]).map(drop)
    },
}];

"""A dashboard for a SutazAI server: sign in, measure, analyze, follow the analysis, read what it recommends.

    pip install streamlit==1.67.0
    SUTAZAI_URL=http://127.0.0.1:10010 streamlit run examples/streamlit_app.py

It uses nothing but the HTTP API (docs/http.md). The tokens stay in the memory of this program.
"""

import json
import os

import pandas as pd
import requests
import streamlit as st

SERVER = os.environ.get("SUTAZAI_URL", "http://127.0.0.1:10010")
CONNECT_AND_READ_SECONDS = (5, 60)
SIGNS = {"critical": "🛑", "warning": "⚠️", "info": "ℹ️"}
SERIES = {"host.cpu.used_percent": "Processor", "host.memory.used_percent": "Memory"}


class ApiError(Exception):
    """Response with an error: the message of the server, as it is."""


def send(method, path, retry=True, **options):
    """Sends a request with the access token. A token that has expired is renewed once."""
    tokens = st.session_state.get("tokens", {})
    headers = {"Authorization": f"Bearer {tokens['access_token']}"} if tokens else {}
    options = {"timeout": CONNECT_AND_READ_SECONDS, "headers": headers} | options
    try:
        response = requests.request(method, f"{SERVER}/api/v1{path}", **options)
    except requests.RequestException as error:
        raise ApiError(f"the server at {SERVER} cannot be reached: {error}") from error
    if response.status_code == 401 and tokens and retry:
        renew(tokens["refresh_token"])
        options.pop("headers")
        return send(method, path, retry=False, **options)
    if not response.ok:
        raise ApiError(response.json()["error"]["message"])
    return response


def call(method, path, **options):
    """Calls the API and returns the data in the envelope."""
    return send(method, path, **options).json()["data"]


def renew(refresh_token):
    del st.session_state.tokens
    try:
        st.session_state.tokens = call("POST", "/auth/refresh", json={"refresh_token": refresh_token})
    except ApiError:
        # The session has ended: the form to sign in is shown again.
        st.rerun()


def sign_in():
    with st.form("sign in"):
        login = st.text_input("User name or e-mail address")
        password = st.text_input("Password", type="password")
        if not st.form_submit_button("Sign in"):
            return
    try:
        st.session_state.tokens = call("POST", "/auth/login", json={"login": login, "password": password})
    except ApiError as error:
        st.error(str(error))
        return
    st.rerun()


@st.fragment(run_every="10s")
def measurements():
    """Current values of the machine, and the last hour of two of them."""
    try:
        host = call("GET", "/system/metrics")["host"]
        history = call("GET", "/system/metrics/history", params={"series": list(SERIES)})
    except ApiError as error:
        st.error(str(error))
        return
    if host["status"] != "present":
        st.info(f"Not measured: {host['reason']}.")
        return
    host = host["value"]
    values = {"Processor": host["cpu"]["used_percent"], "Memory": host["memory"]["used_percent"]}
    if host["disks"]:
        fullest = max(host["disks"], key=lambda disk: disk["used_percent"])
        values[f"Disk {fullest['mount']}"] = fullest["used_percent"]
    for column, (name, value) in zip(st.columns(len(values)), values.items()):
        column.metric(name, "not measured" if value is None else f"{value:.1f} %")
    lines = {SERIES[one["name"]]: {p["at"]: p["mean"] for p in one["points"]} for one in history["series"]}
    if any(lines.values()):
        table = pd.DataFrame(lines)
        table.index = pd.to_datetime(table.index, format="ISO8601")
        st.line_chart(table, y_label="%", height=220)


def analyze():
    """Submits an analysis and shows its events as they arrive; returns its id."""
    task = call("POST", "/agents/hardware-optimizer/analyze")["task_id"]
    with st.status("Waiting for a worker") as status:
        with send("GET", f"/tasks/{task}/events", stream=True) as response:
            for line in response.iter_lines(decode_unicode=True):
                if not line.startswith("data: "):
                    continue
                event = json.loads(line.removeprefix("data: "))
                if event["type"] == "progress":
                    status.update(label=f"{event['fraction']:.0%}: {event['message']}")
                    st.write(event["message"])
                elif event["type"] == "findings":
                    for finding in event["findings"]:
                        st.write(f"{SIGNS[finding['severity']]} {finding['summary']}")
                elif event["type"] == "status" and event["status"] in ("completed", "failed", "cancelled"):
                    is_done = event["status"] == "completed"
                    status.update(label=event["status"].capitalize(), state="complete" if is_done else "error")
    return task


def report(task_id):
    """An analysis: each finding with its text, what it rests on, and what may be done."""
    task = call("GET", f"/tasks/{task_id}")
    if task["status"] != "completed":
        st.error((task["error"] or {"message": f"the analysis is {task['status']}"})["message"])
        return
    result = task["result"]
    st.subheader(f"Priority {result['priority_level']}")
    st.text(result["summary"])
    for finding, advice in zip(result["findings"], result["recommendations"]):
        with st.expander(f"{SIGNS[finding['severity']]} {finding['resource']}", expanded=True):
            st.text(advice["text"])
            st.table([{key: one[key] for key in ("metric", "value", "unit", "threshold")} for one in finding["evidence"]])
            for command in advice["commands"]:
                st.code(command, language="sh")
            st.caption(f"Written by the {advice['text_by']}. Nothing is run for you.")


def history():
    """Lets the reader choose one of the latest analyses; returns its id."""
    query = {"agent": "hardware-optimizer", "status": "completed", "limit": 20}
    done = {task["id"]: task for task in call("GET", "/tasks", params=query)["items"]}
    if not done:
        st.info("Nothing has been analyzed yet.")
        return None
    latest = st.session_state.pop("latest", None)
    if latest in done:
        st.session_state.chosen = latest
    return st.selectbox(
        "Analyses",
        list(done),
        key="chosen",
        format_func=lambda id: f"{done[id]['created_at'][:16].replace('T', ' ')}: {done[id]['priority_level']}",
    )


st.set_page_config(page_title="SutazAI", layout="wide")
st.title("SutazAI")
if "tokens" not in st.session_state:
    sign_in()
    st.stop()
try:
    measurements()
    if st.button("Analyze now", type="primary"):
        st.session_state.latest = analyze()
    chosen = history()
    if chosen:
        report(chosen)
except ApiError as error:
    st.error(str(error))

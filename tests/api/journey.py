"""A user journey with the client that openapi-python-client has generated from the served document.

Usage: `journey.py <server>`, with `sutazai_client` on the path. Exits with 0 if every step succeeds.
"""

import sys
import time

from sutazai_client import AuthenticatedClient, Client
from sutazai_client.api.agents import analyze
from sutazai_client.api.auth import login, register, show_me
from sutazai_client.api.tasks import create_task, show_task
from sutazai_client.models import Analysis, Analyze, CreateTask, ErrorEnvelope, Login, Register, TaskStatus

ENDED = {TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.CANCELLED}
PASSWORD = "correct horse battery"

server = sys.argv[1]
anybody = Client(base_url=server)
registered = register.sync(
    client=anybody, body=Register(username="ada", email="ada@example.org", password=PASSWORD)
)
assert registered.data.user.username == "ada", registered

signed_in = login.sync(client=anybody, body=Login(login="ada", password=PASSWORD)).data
ada = AuthenticatedClient(base_url=server, token=signed_in.access_token)
assert show_me.sync(client=ada).data.id == registered.data.user.id

task_id = analyze.sync(client=ada, body=Analyze(use_model=False)).data.task_id
deadline = time.monotonic() + 60
while (task := show_task.sync(task_id, client=ada).data).status not in ENDED:
    assert time.monotonic() < deadline, task
    time.sleep(0.1)
assert task.status == TaskStatus.COMPLETED, task
assert isinstance(task.result, Analysis), task.result
result = task.result.to_dict()
assert result["metrics"]["host"]["status"] == "present", result
assert result["generated_by"] == "rules", result
assert len(result["recommendations"]) == len(result["findings"]), result

# Errors have a type of their own, which names the invalid field.
refused = create_task.sync(client=ada, body=CreateTask(agent="nobody"))
assert isinstance(refused, ErrorEnvelope) and refused.error.details.field == "agent", refused

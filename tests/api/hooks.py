"""Authentication for schemathesis: signs in as SUTAZAI_TEST_USER with SUTAZAI_TEST_PASSWORD, once per case.

Some operations end the session in which they are called, so a shared session would break other cases.
"""

import json
import os
import urllib.request

import schemathesis


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, context):
        body = {"login": os.environ["SUTAZAI_TEST_USER"], "password": os.environ["SUTAZAI_TEST_PASSWORD"]}
        request = urllib.request.Request(
            os.environ["SUTAZAI_TEST_SERVER"] + "/api/v1/auth/login",
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["data"]["access_token"]

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"

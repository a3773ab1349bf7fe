"""Drives examples/streamlit_app.py as a reader would, without a browser: sign in, analyze, read, choose an earlier one."""

import sys

from streamlit.testing.v1 import AppTest

example, login, password = sys.argv[1:]
app = AppTest.from_file(example, default_timeout=120)


def run():
    app.run()
    assert not app.exception, app.exception
    return app


def press(name):
    next(button for button in app.button if button.label == name).click()
    return run()


run()
app.text_input[0].input(login)
app.text_input[1].input("not the password")
press("Sign in")
assert [error.value for error in app.error] == ["the username, the e-mail or the password is wrong"], app.error

app.text_input[1].input(password)
press("Sign in")
assert not app.error, app.error
names = [metric.label for metric in app.metric]
assert names[:2] == ["Processor", "Memory"], names
assert all(metric.value.endswith("%") for metric in app.metric), app.metric
assert [info.value for info in app.info] == ["Nothing has been analyzed yet."]

press("Analyze now")
assert [status.label for status in app.status] == ["Completed"], app.status
assert app.subheader[0].value.startswith("Priority "), app.subheader
first = app.selectbox[0].value

press("Analyze now")
second = app.selectbox[0].value
assert second != first
assert len(app.selectbox[0].options) == 2
app.selectbox[0].select(first)
run()
assert app.selectbox[0].value == first
assert not app.error, app.error

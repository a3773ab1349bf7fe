"""The pages that show the OpenAPI document, in a real Chromium: complete, without errors, and without external requests."""

import json
import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="module")
def server(start):
    # The model is not called, so nothing needs to listen on this port.
    return start(MODEL_BACKENDS="openai=http://127.0.0.1:9/v1")


@pytest.fixture(scope="module")
def groups(server):
    """The groups of routes in the document."""
    with urllib.request.urlopen(f"http://{server.address}/api/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    return {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}


def requested(browser):
    """The URLs that the page has requested."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize(
    ("page", "group"),
    [("/api/docs", ".opblock-tag[data-tag='{}']"), ("/api/redoc", "[role=menuitem][data-item-id='tag/{}']")],
)
def test_page_shows_all_groups_without_external_requests(server, browser, groups, page, group):
    assert len(groups) > 5
    home = f"http://{server.address}"
    # Requests of the browser itself at its start do not count.
    browser.get("about:blank")
    requested(browser)
    browser.get(home + page)
    for name in groups:
        shown = WebDriverWait(browser, 30).until(
            lambda it: [one for one in it.find_elements(By.CSS_SELECTOR, group.format(name)) if one.is_displayed()]
        )
        assert name in shown[0].text.lower(), shown[0].text
    errors = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert errors == [], errors
    addresses = requested(browser)
    assert f"{home}/api/openapi.json" in addresses
    assert [one for one in addresses if not one.startswith((f"{home}/", "data:", "blob:"))] == []

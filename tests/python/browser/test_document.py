"""The pages that show the OpenAPI document, in a real Chromium: they are whole, without a complaint, and ask nobody else."""

import json
import urllib.request

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait


@pytest.fixture(scope="module")
def server(start):
    # No model is asked here: nothing listens there.
    return start(MODEL_BACKENDS="openai=http://127.0.0.1:9/v1")


@pytest.fixture(scope="module")
def groups(server):
    """The groups of routes, as the document has them."""
    with urllib.request.urlopen(f"http://{server.address}/api/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    return {tag for path in document["paths"].values() for operation in path.values() for tag in operation["tags"]}


def asked(browser):
    """The addresses that the page has asked for."""
    messages = (json.loads(entry["message"])["message"] for entry in browser.get_log("performance"))
    return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize(
    ("page", "group"),
    [("/api/docs", ".opblock-tag[data-tag='{}']"), ("/api/redoc", "[role=menuitem][data-item-id='tag/{}']")],
)
def test_it_shows_all_groups_of_routes_by_itself(server, browser, groups, page, group):
    assert len(groups) > 5
    home = f"http://{server.address}"
    # What the browser does by itself as it starts is none of the page's.
    browser.get("about:blank")
    asked(browser)
    browser.get(home + page)
    for name in groups:
        shown = WebDriverWait(browser, 30).until(
            lambda it: [one for one in it.find_elements(By.CSS_SELECTOR, group.format(name)) if one.is_displayed()]
        )
        assert name in shown[0].text.lower(), shown[0].text
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert complaints == [], complaints
    addresses = asked(browser)
    assert f"{home}/api/openapi.json" in addresses
    assert [one for one in addresses if not one.startswith((f"{home}/", "data:", "blob:"))] == []

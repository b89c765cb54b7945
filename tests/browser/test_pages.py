"""Every page, on a wide and on a narrow screen, light and dark: it fits, axe finds nothing, no script or style stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, CDPSession, Page, Response, expect

from tests.product.conftest import Console
from tests.testlib import pcapng

from .conftest import ADDRESS, NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
AXE_RUN = """(only) => axe.run(document, {
    resultTypes: ["violations"],
    // The text of an item of the tree holds that of everything below it, which its name rightly leaves out.
    ...(only ? {runOnly: {type: "rule", values: only}} : {rules: {"label-content-name-mismatch": {enabled: false}}}),
})"""
TAB_OUT_OF_SIGHT = """() => [...document.querySelectorAll(".tabs [aria-current]")].some((tab) => {
    const [row, box] = [tab.closest(".tabs").getBoundingClientRect(), tab.getBoundingClientRect()];
    return box.left < row.left - 1 || box.right > row.right + 1;
})"""
SQUEEZED = """() => [...document.querySelectorAll("#main :is(code, p, td, th, dd, li, a, .because)")]
    .filter((one) => one.textContent.trim().length > 40 && one.clientWidth > 0 && one.getBoundingClientRect().height > 4 * one.clientWidth)
    .map((one) => one.textContent.trim().slice(0, 60))"""
"""Texts that are far higher than they are wide: a word to a line."""
COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules of axe that look at colours. The others see no difference between light and dark."""
LOOKS = ((1440, 900, "light", None), (390, 844, "dark", None))
OTHER_LOOKS = ((1440, 900, "dark", COLOURS), (390, 844, "light", COLOURS))
Looks = tuple[tuple[int, int, str, list[str] | None], ...]
"""Width, height, light or dark, and the rules of axe that are asked (None: all)."""
TOGETHER = 6
"""Pages that one browser context looks at: what they share is loaded once."""
MOST_BYTES = 300_000
"""What the first page of all may cost over the network, everything that it loads included."""
PAGES = {
    "dashboard": "/",
    "networks": "/networks/",
    "network": "/networks/frontend/",
    "network-rules": "/networks/frontend/?tab=rules",
    "network-new": "/networks/new/",
    "network-edit": "/networks/frontend/edit/",
    "network-activity": "/networks/frontend/?tab=activity",
    "network-endpoints": "/networks/frontend/?tab=endpoints",
    "network-remove": "/networks/spare/remove/",
    "containers": "/containers/",
    "container": "/containers/web/",
    "container-endpoints": "/containers/web/?tab=endpoints",
    "container-rules": "/containers/web/?tab=rules",
    "container-files": "/containers/web/?tab=files",
    "container-logs": "/containers/web/?tab=logs",
    "container-commands": "/containers/web/?tab=exec",
    "container-terminal": "/containers/web/?tab=terminal",
    "container-connectivity": "/containers/web/?tab=connectivity&to=cache",
    "container-captures": "/containers/web/?tab=captures",
    "network-captures": "/networks/frontend/?tab=captures",
    "container-commit": "/containers/web/commit/",
    "images": "/images/",
    "image-add": "/images/add/",
    "user": "/users/admin/",
    "container-new": "/containers/new/",
    "container-rename": "/containers/web/rename/",
    "container-remove": "/containers/web/remove/",
    "container-link": "/containers/plain/link/",
    "container-connect": "/containers/web/connect/",
    "container-publish": "/containers/web/publish/",
    "container-disconnect": "/containers/web/disconnect/backend/",
    "host-drain": "/hosts/local/drain/",
    "api-docs": "/api/docs/",
    "topology": "/topology/",
    "firewall": "/firewall/",
    "trace": "/firewall/trace/?from=web&to=192.0.2.1&port=80",
    "firewall-sorted": "/firewall/?sort=-packets",
    "reachability": "/firewall/reachability/",
    "exposure": "/firewall/exposure/",
    "dump": "/firewall/dump/",
    "desired-state": "/desired-state/",
    "links": "/links/",
    "files": "/files/",
    "operations": "/operations/",
    "operation": "/operations/1/",
    "drift-repair": "/drift/repair/",
    "activity": "/activity/",
    "drift": "/drift/",
    "host": "/host/",
    "tokens": "/tokens/",
    "users": "/users/",
    "settings": "/settings/",
    "nothing-found": "/containers/?q=no-such-thing",
    "not-there": "/containers/no-such-thing/",
}


CHINESE = ("dashboard", "networks", "container", "network-new", "firewall", "settings")
OTHERS = tuple(name for name in PAGES if name not in CHINESE)


@pytest.fixture(scope="module")
def sample(console: Console) -> Console:
    """Web, cache and database on two networks, and a container of each other mode."""
    console.network("frontend", subnets=[{"subnet": "10.20.0.0/24"}], labels={"team": "shop"})
    console.network("backend", internal=True, subnets=[{"subnet": "10.21.0.0/24"}])
    console.network("spare")
    serve = ("sh", "-c", "echo ready to serve; while :; do busybox nc -ll -p 80 -e echo hello; done")
    console.run("web", *serve, network="frontend", ports=["8080:80", "127.0.0.1:8443:443"])
    console.call("POST", "networks/backend/connect", {"container": "web"})
    console.run("cache", network="backend", exposed_ports=["6379/tcp"])
    console.run("database-with-a-long-name", network="backend", env={"MODE": "primary"})
    console.run("plain")
    console.run("on-host", network="host")
    console.run("ended", "sh", "-c", "echo that was all; exit 3", network="frontend")
    return console


@pytest.mark.parametrize("part", ["sample", pytest.param("rest", marks=pytest.mark.long)])
@pytest.mark.parametrize("start", range(0, len(PAGES), TOGETHER))
def test_pages_fit_and_are_accessible(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None], start: int, part: str
) -> None:
    """The sample looks at a page on the wide or on the narrow screen, in turn; the rest is every other look."""
    page = new_page()
    for number, name in list(enumerate(PAGES))[start : start + TOGETHER]:
        sampled = LOOKS[number % 2 : number % 2 + 1]
        looks = sampled if part == "sample" else tuple(look for look in (*LOOKS, *OTHER_LOOKS) if look not in sampled)
        answer = page.goto(PAGES[name])
        page.wait_for_selector("#live[data-state=live]")
        assert answer is not None
        holds_no_script_and_no_style(answer)
        fits_and_is_accessible(page, name, shoot, looks)


def test_the_page_to_sign_in_fits_and_is_accessible(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page(signed_in=False)
    answer = page.goto("/networks/")
    assert answer is not None
    holds_no_script_and_no_style(answer)
    fits_and_is_accessible(page, "sign-in", shoot, (*LOOKS, *OTHER_LOOKS))


def test_pages_that_come_of_forms_fit_and_are_accessible(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page()

    def look(name: str) -> None:
        fits_and_is_accessible(page, name, shoot, LOOKS)
        page.set_viewport_size({"width": 1440, "height": 900})

    page.goto("/networks/new/")
    page.locator("#f-name").fill("shop")
    for step, heading in (("addressing", "Addressing"), ("behaviour", "Behaviour"), ("plan", "Plan")):
        page.get_by_role("button", name=heading).first.click()
        look(f"network-new-{step}")
    page.get_by_role("button", name="Addressing").click()
    page.get_by_label("Subnet", exact=True).fill("10.20.0.0/24")
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator("#form-error")).to_contain_text("overlaps")
    look("network-new-refused")

    page.goto("/containers/new/")
    page.locator("[name='ports.0.host_port']").fill("8080")
    for part in ("network", "names", "process", "mounts"):
        page.locator(f"#more-{part} > summary").click()
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator(".row-set .invalid-feedback")).to_contain_text("“Container port”")
    look("container-new-refused")

    page.goto("/desired-state/")
    text = page.get_by_label("YAML", exact=True)
    text.fill(text.input_value().replace("10.20.0.0/24", "10.22.0.0/24"))
    page.get_by_role("button", name="Show the plan").click()
    expect(page.locator(".object-changes")).to_contain_text("frontend")
    look("desired-state-changed")

    page.goto("/containers/")
    page.get_by_role("checkbox", name="Select ended").check()
    look("containers-picked")
    page.get_by_role("button", name="Remove…").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Remove")
    look("containers-remove")

    page.goto("/containers/web/?tab=endpoints")
    page.get_by_role("link", name="Restrict").first.click()
    look("container-restrict")
    page.goto("/containers/web/?tab=exec")
    page.get_by_label("Command", exact=True).fill("echo 'open")
    page.get_by_role("button", name="Run command").click()
    expect(page.get_by_role("alert")).to_contain_text("A quote is open")
    look("container-commands-refused")

    page.goto("/tokens/")
    page.get_by_label("Name", exact=True).fill("of a picture")
    page.get_by_role("button", name="Create token").click()
    expect(page.locator("#secret")).to_be_visible()
    look("token-made")
    page.goto("/api/docs/?q=create%20network")
    page.locator(".api-call > summary").first.click()
    look("api-docs-call")
    page.keyboard.press("Control+k")
    look("palette")
    page.keyboard.press("Escape")
    page.locator("#main").focus()
    page.keyboard.press("?")
    look("keys")


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(CHINESE, id="sample"),
        *(
            pytest.param(OTHERS[start : start + 2 * TOGETHER], id=f"rest-{start}", marks=pytest.mark.long)
            for start in range(0, len(OTHERS), 2 * TOGETHER)
        ),
    ],
)
def test_pages_in_chinese_fit(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None], names: tuple[str, ...]
) -> None:
    page = new_page(width=390, height=844, locale="zh-CN")
    for name in names:
        page.goto(PAGES[name])
        expect(page.locator("#live")).to_have_text("实时")
        expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        if name == "network-new":
            expect(page.get_by_role("button", name="下一步")).to_be_visible()  # of a step, not of a page
        shoot(page, f"{name}-390-zh")
        fits(page, f"{name} in Chinese")


def test_scripts_speak_chinese_too(sample: Console, new_page: NewPage) -> None:
    page = new_page(width=390, height=844, locale="zh-CN")
    page.goto(PAGES["settings"])
    expect(page.locator("#live")).to_have_text("实时")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("dialog", name="前往页面或对象，或执行操作")
    expect(palette.get_by_role("option", name="创建网络")).to_be_visible()
    check(page, "the palette")
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.locator("#main").focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="按键")).to_be_visible()
    check(page, "the list of keys")


def fits_and_is_accessible(page: Page, name: str, shoot: Callable[[Page, str], None], looks: Looks) -> None:
    for width, height, look, only in looks:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=look, reduced_motion="reduce")  # type: ignore[arg-type]  # one of its words
        expect(page.locator("html")).to_have_attribute("data-bs-theme", look)
        page.wait_for_timeout(100)  # nothing fades with reduced motion; the page is painted anew
        shoot(page, f"{name}-{width}" + "-dark" * (look == "dark"))
        check(page, f"{name} at {width}, {look}", only)


def fits(page: Page, name: str) -> None:
    """It is not wider than the screen, and nothing in it is squeezed or out of sight."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{name} is {wide} px too wide"
    assert not page.evaluate(TAB_OUT_OF_SIGHT), f"{name}: the open tab is out of sight"
    squeezed = page.evaluate(SQUEEZED)
    assert not squeezed, f"{name}: a word to a line: {squeezed[:3]}"


def check(page: Page, name: str, only: list[str] | None = None) -> None:
    """It fits, and axe finds nothing."""
    fits(page, name)
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = [
        f"{item['id']}: {item['help']}: {[node['html'] for node in item['nodes']][:3]}"
        for item in page.evaluate(AXE_RUN, only)["violations"]
    ]
    assert not found, f"{name}:\n" + "\n".join(found)


def holds_no_script_and_no_style(answer: Response) -> None:
    """What the policy forbids would be a complaint of the console too; this says that the policy does forbid it."""
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    text = answer.text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    for script in re.findall(r"<script[^>]*>", text):
        assert "src=" in script or 'type="application/json"' in script, script


@pytest.fixture
def first_visit(browser: Browser, session: dict[str, object]) -> Iterator[tuple[Page, CDPSession]]:
    """A page of a browser that has nothing in store, and its ear at the network."""
    context = browser.new_context(base_url=ADDRESS, storage_state=session)  # type: ignore[arg-type]  # what storage_state() gave
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    yield page, network
    context.close()


@pytest.mark.parametrize("path", ["/", "/topology/", "/containers/web/?tab=logs"])
def test_the_first_page_is_small(sample: Console, first_visit: tuple[Page, CDPSession], path: str) -> None:
    page, network = first_visit
    sizes: list[int] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(int(event["encodedDataLength"])))
    page.goto(path)
    page.wait_for_selector("#live[data-state=live]")
    page.wait_for_load_state("load")
    assert len(sizes) >= 4, "the page, a style sheet, scripts"
    assert sum(sizes) < MOST_BYTES


def test_a_terminal_is_typed_into_left_and_found_again(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page()
    page.goto("/containers/web/?tab=terminal")
    page.get_by_label("Command", exact=True).fill("sh")
    page.get_by_role("button", name="Open a terminal").click()
    state, rows = page.locator("#terminal-state"), page.locator(".xterm-rows")
    expect(state).to_have_text("Connected")
    page.keyboard.type("cd /usr; echo $((6 * 7))-$(pwd); ls --color=always -d lib bin\n")
    expect(rows).to_contain_text("42-/usr")
    page.locator(".xterm-helper-textarea").evaluate(
        """(box) => {
            const data = new DataTransfer();
            data.setData("text/plain", "echo pasted-$((1 + 1))\\n");
            box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(rows).to_contain_text("pasted-2")
    shoot(page, "container-terminal-open-1440")
    check(page, "an open terminal")
    page.keyboard.press("Control+F6")
    expect(page.locator(".xterm-helper-textarea")).not_to_be_focused()

    address = page.url
    page.close()
    narrow = new_page(width=390, height=844, dark=True)
    narrow.goto(address)
    rows = narrow.locator(".xterm-rows")
    expect(rows).to_contain_text("pasted-2")
    expect(narrow.locator("#terminal-state")).to_have_text("Connected")
    narrow.keyboard.type("pwd; stty size\n")
    expect(rows).to_contain_text("/usr")
    shoot(narrow, "container-terminal-open-390")
    check(narrow, "an open terminal on a phone")
    narrow.keyboard.type("exit 3\n")
    expect(narrow.locator("#terminal-state")).to_contain_text("exit code 3")
    expect(narrow.locator("#terminals tbody tr").first).to_contain_text("exit code 3")


def test_what_a_container_reaches_is_tried_out_on_its_page(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page()
    page.goto("/containers/web/?tab=connectivity")
    page.get_by_label("To", exact=True).fill("cache")
    page.get_by_role("button", name="Try it").click()
    verified = page.locator("#verified")
    expect(verified).to_contain_text("an answer")
    expect(verified).to_contain_text("yes")
    page.get_by_label("What", exact=True).select_option("dns")
    page.get_by_label("To", exact=True).fill("cache")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#named")).to_contain_text(sample.address("cache"))
    shoot(page, "container-connectivity-tried-1440")
    check(page, "what was tried")
    page.get_by_label("What", exact=True).select_option("tcp")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("[role=alert], .invalid-feedback").first).to_contain_text("port")


def test_packets_are_captured_watched_and_taken_along(
    sample: Console, new_page: NewPage, shoot: Callable[[Page, str], None]
) -> None:
    page = new_page()
    page.goto("/containers/web/?tab=captures")
    page.get_by_label("Endpoint").select_option("backend")
    page.get_by_label("Protocol").select_option("icmp")
    page.get_by_role("button", name="Start capture").click()
    row = page.locator("#captures tbody tr").first
    expect(row).to_contain_text("running")
    sample.inside("web", "busybox", "ping", "-c", "2", "-i", "0.2", sample.address("cache"))
    expect(row.locator("td").nth(3)).to_have_text("4")
    shoot(page, "container-captures-running-1440")
    check(page, "a capture under way")
    row.get_by_role("button", name="Stop").click()
    with page.expect_download() as download:
        page.locator("#captures tbody tr").first.get_by_role("link", name="Download").click()
    file = pcapng.read(download.value.path().read_bytes())
    assert [packet.data[23] for packet in file.packets] == [1, 1, 1, 1]

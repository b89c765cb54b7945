"""Images and what happens inside a container: sent, run, commanded, kept as a new image, taken away."""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.product.conftest import Console

from .conftest import ADDRESS, NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root filesystem with busybox and one file of its own."""
    busybox = shutil.which("busybox")
    assert busybox
    path = tmp_path_factory.mktemp("images") / "tiny.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(busybox, "bin/busybox")
        for name in ("sh", "sleep", "cat", "echo"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("etc", "proc", "sys", "dev", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        text = b"sent with a browser\n"
        entry = tarfile.TarInfo("etc/origin")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    return path


def test_an_archive_is_sent_run_commanded_and_kept_as_an_image(
    console: Console, new_page: NewPage, archive: Path, shoot: Callable[[Page, str], None]
) -> None:
    page, watcher = new_page(), new_page()
    watcher.goto("/images/")
    page.goto("/images/")
    page.get_by_role("link", name="Add image").click()
    page.get_by_label("From where").select_option("upload")
    expect(page.get_by_label("Name in the registry")).to_be_hidden()
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_label("Name here").fill("tiny")
    page.get_by_role("button", name="Add image").click()
    page.wait_for_url(f"{ADDRESS}/images/")
    row = watcher.get_by_role("row", name=re.compile("tiny:latest"))
    expect(row).to_contain_text("ready")  # the other page, without a reload

    page.goto("/images/")
    page.get_by_role("link", name="Run a container of tiny:latest").click()
    expect(page.get_by_label("Image")).to_have_value("tiny:latest")
    page.locator("#f-name").fill("box")
    page.get_by_label("Command").fill("sleep 1000")
    expect(page.locator("#plan")).to_contain_text("endpoint box on bridge")
    page.get_by_role("button", name="Run container").click()
    page.wait_for_url(f"{ADDRESS}/containers/box/")

    page.get_by_role("link", name="Commands").click()
    watcher.goto("/containers/box/?tab=exec")
    page.get_by_label("Command").fill("sh -c 'cat /etc/origin; echo kept > /tmp/note; echo trouble >&2; exit 3'")
    page.get_by_role("button", name="Run command").click()
    for looking in (page, watcher):
        run = looking.locator(".run").first
        expect(run).to_contain_text("sent with a browser")
        expect(run.locator(".stderr")).to_contain_text("trouble")
        expect(run).to_contain_text("exit code 3")
    shoot(page, "container-exec")

    page.get_by_text("More", exact=True).click()
    page.get_by_role("link", name="Make an image").click()
    page.get_by_label("Name of the image").fill("team/tiny:2")
    page.get_by_role("button", name="Make image").click()
    made = page.get_by_role("row", name="team/tiny:2")
    expect(made).to_contain_text("ready")
    shoot(page, "images")
    console.run("second", image="team/tiny:2")
    answer = console.call("POST", "containers/second/exec", {"command": ["cat", "/tmp/note"]})
    assert answer["result"]["stdout"] == "kept\n"

    page.get_by_role("link", name="Remove tiny:latest", exact=True).click()
    page.get_by_role("button", name="Remove image").click()
    expect(page.get_by_role("alert")).to_contain_text("is used by box")
    console.remove("box", "second")
    for name in ("tiny:latest", "team/tiny:2"):
        page.goto("/images/")
        page.get_by_role("link", name=f"Remove {name}", exact=True).click()
        page.get_by_role("button", name="Remove image").click()
        page.wait_for_url(f"{ADDRESS}/images/")
        expect(page.get_by_role("row", name=name)).to_have_count(0)


def test_a_fetch_that_fails_says_why_in_the_open_list_and_can_be_done_again(console: Console, page: Page) -> None:
    page.goto("/images/add/")
    page.get_by_label("Name in the registry").fill("127.0.0.1:1/nothing:1")
    page.get_by_role("button", name="Add image").click()
    row = page.get_by_role("row", name=re.compile("nothing:1"))
    expect(row).to_contain_text("could not be fetched")
    failed = console.get("operations", verb="image.import", state="failed")["results"][0]
    page.goto(f"/operations/{failed['number']}/")
    page.get_by_role("button", name="Repair").click()
    expect(page.get_by_role("heading", name=re.compile("failed"))).to_be_visible()  # and is not called done
    console.call("DELETE", "images/127.0.0.1:1/nothing:1")


def test_a_name_that_no_image_can_have_is_refused_beside_its_field(page: Page, archive: Path) -> None:
    page.goto("/images/add/")
    page.get_by_label("From where").select_option("upload")
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_label("Name here").fill("Not A Name")
    page.get_by_role("button", name="Add image").click()
    beside = page.locator(".form-row", has=page.get_by_label("Name here")).locator(".invalid-feedback")
    expect(beside).to_contain_text("is not the name of an image")

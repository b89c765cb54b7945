"""What Docker's own command line does stands in open pages without a reload, under the name of whoever called."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.engine.conftest import Docker
from tests.testlib.product import Product

from .conftest import NewPage

pytestmark = [pytest.mark.kernel, pytest.mark.browser]


def test_what_docker_does_appears_with_the_callers_name(product: Product, new_page: NewPage) -> None:
    product.serve_engine()
    cli = Docker(product)
    containers, networks, activity = new_page(), new_page(), new_page()
    for page, path in ((containers, "/containers/"), (networks, "/networks/"), (activity, "/activity/")):
        page.goto(path)
    cli.said("network", "create", "by-docker")
    expect(networks.get_by_role("row", name=re.compile("by-docker"))).to_be_visible()
    cli.said("run", "-d", "--name", "dockers-own", "--network", "by-docker", "host", "sleep", "1000")
    row = containers.get_by_role("row", name=re.compile("dockers-own"))
    expect(row).to_contain_text("running")
    said = activity.get_by_role("row", name=re.compile("dockers-own")).first
    expect(said).to_contain_text("root")
    cli.said("rm", "-f", "dockers-own")
    expect(row).to_have_count(0)
    cli.said("network", "rm", "by-docker")

"""The whole product with rules in nftables itself: by choice, where there is no iptables, and moving there."""

from __future__ import annotations

import sys

import pytest

from tests.testlib.product import Product

from .conftest import Console
from .test_start import XTABLES, Prepared, WithoutWorker, hide

pytestmark = pytest.mark.kernel


def dnat_rules(console: Console) -> list[dict[str, object]]:
    return [rule for rule in console.get("firewall/rules", page_size=500)["results"] if "-j DNAT" in rule["text"]]


def test_by_choice_a_port_is_published_fetched_and_taken_away_without_a_trace() -> None:
    with Product({"CNM_FIREWALL": "nftables"}) as product:
        console = Console(product)
        host = console.get("hosts")["results"][0]
        assert host["firewall_backend"] == "nftables"
        assert host["firewall_reason"]["text"] == "CNM_FIREWALL asks for nftables."
        assert host["firewall_warning"] is None
        before = console.bottle.dump()

        console.network("app")
        console.serve("web", 80, network="app", ports=["8080:80"])
        assert console.connects_soon("192.0.2.2", 8080) == "hello"
        assert console.connects("192.0.2.2", 8080, netns=None) == "hello"
        assert console.connects("127.0.0.1", 8080, netns=None) == "hello"
        console.bottle.run(["ip", "route", "add", f"{console.address('web')}/32", "via", "192.0.2.2"], netns="outside")
        assert console.connects(console.address("web"), 80) is None
        assert "cnm:" not in console.bottle.run(["iptables-nft-save"]).stdout

        console.call("POST", "drift/look", {})
        (rule,) = (rule for rule in dnat_rules(console) if rule["family"] == 4)
        assert rule["flavour"] == "nftables"
        assert rule["owner"]["kind"] == "port"  # type: ignore[index]
        assert "goes to port 80 of container web" in str(rule["why"])
        assert console.until(lambda: any(rule["packets"] for rule in dnat_rules(console)))

        # Somebody takes the element out by hand: it is missed, and put back on request.
        console.bottle.run(["nft", "delete element ip cnm ports { tcp . 8080 }"])
        missed = console.until(lambda: console.get("drift")["results"])
        assert ["8080" in row["text"] for row in missed] == [True]
        console.call("POST", "drift/repair", {})
        assert console.connects_soon("192.0.2.2", 8080) == "hello"

        console.remove("web")
        console.call("DELETE", "networks/app")
        assert console.connects("192.0.2.2", 8080) is None
        assert console.bottle.dump() == before

        product.kill("kernel")
        console.bottle.run([sys.executable, "-m", "worker.down"], env=product.env, timeout=60)
        assert console.bottle.run(["nft", "list", "ruleset"]).stdout == ""


@pytest.mark.long
def test_where_there_is_no_iptables_it_is_chosen_by_itself() -> None:
    with Prepared(hide(*XTABLES)) as product:
        console = Console(product)
        host = console.get("hosts")["results"][0]
        assert host["firewall_backend"] == "nftables"
        assert "No iptables is installed" in host["firewall_reason"]["text"]
        console.serve("web", 80, ports=["8080:80"])
        assert console.connects_soon("192.0.2.2", 8080) == "hello"


@pytest.mark.long
def test_with_dockers_names_it_is_refused_with_the_reason() -> None:
    with WithoutWorker([], {"CNM_FIREWALL": "nftables", "CNM_NAMES": "docker"}) as product:
        console = Console(product)
        error = console.until(lambda: console.get("hosts")["results"][0]["error"], 30)
        assert "those are written through iptables" in error["sentence"]["text"]
        assert "CNM_NAMES" in error["remedy"]["text"]


@pytest.mark.long
def test_a_switch_moves_every_rule_and_shows_the_plan() -> None:
    with Product({"CNM_FIREWALL": "iptables"}) as product:
        console = Console(product)
        console.serve("web", 80, ports=["8080:80"])
        assert console.connects_soon("192.0.2.2", 8080) == "hello"
        assert "cnm:prt:" in console.bottle.run(["iptables-save"]).stdout
        for setting, here in (("nftables", "nftables"), ("auto", "nftables"), ("iptables", "iptables-nft")):
            product.env["CNM_FIREWALL"] = setting
            product.manage("bootstrap")
            product.restart("kernel")
            assert console.get("hosts")["results"][0]["firewall_backend"] == here
            standing = {
                "iptables-nft": "cnm:prt:" in console.bottle.run(["iptables-save"]).stdout,
                "nftables": "table ip cnm" in console.bottle.run(["nft", "list", "tables"]).stdout,
            }
            assert standing == {"iptables-nft": here == "iptables-nft", "nftables": here == "nftables"}
            assert console.connects_soon("192.0.2.2", 8080) == "hello"
        moves = [row for row in console.get("operations", page_size=100)["results"] if row["verb"] == "host.start"]
        texts = [step["text"] for row in moves for step in console.get(f"operations/{row['id']}")["plan"]["steps"]]
        assert any(text.startswith("iptables-nft: iptables -t nat -A CNM") for text in texts)
        assert any(text.startswith("nftables: iptables -t nat -A CNM") for text in texts)

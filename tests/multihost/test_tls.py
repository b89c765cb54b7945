"""Hosts that join over PostgreSQL and Redis which speak TLS and want passwords: all of it works, and nothing goes by less."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.testlib.certificates import certificate
from tests.testlib.cluster import OUTSIDE, Cluster, Member

pytestmark = pytest.mark.kernel

ASK_POSTGRES = """
import os, sys, psycopg
with psycopg.connect(sys.argv[1] + sys.argv[2], connect_timeout=10) as connection:
    told = "SELECT client_addr::text, ssl FROM pg_stat_activity JOIN pg_stat_ssl USING (pid)"
    rows = connection.execute(told + " WHERE client_addr IS NOT NULL")
    print(*sorted({f"{address}:{ssl}" for address, ssl in rows}))
"""
ASK_REDIS = """
import sys, redis
print(redis.Redis.from_url(sys.argv[1], socket_timeout=10).ping())
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(2, tls=True) as made:
        yield made


def ask(member: Member, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = member.bottle.run([sys.executable, "-c", code, *words], check=False)
    return done


def test_a_host_joins_and_its_containers_are_reached(cluster: Cluster) -> None:
    told = cluster.members["h2"].env
    assert "sslmode=verify-full" in told["CNM_DATABASE_URL"]
    assert told["CNM_REDIS_URL"].startswith("rediss://:")
    cluster.call("POST", "networks", {"name": "app", "driver": "overlay"}, host="h1")
    for host in ("h1", "h2"):
        cluster.run(host, f"on-{host}", "sh", "-c", "echo spoken; exec sleep 1000", network="app")
    there = cluster.call("GET", "containers/on-h2", host="h2")["endpoints"]
    address = next(one["ipv4"] for one in there if one["network"]["name"] == "app").partition("/")[0]
    cluster.until(lambda: cluster.pings("h1", "on-h1", address), 10)
    cluster.until(lambda: "spoken" in cluster.raw("GET", "containers/on-h2/logs", host="h2").text)
    cluster.call("DELETE", "containers/on-h2", host="h2", force=1)


def test_every_connection_is_encrypted_and_one_that_is_not_is_refused(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    url, _, asked = member.env["CNM_DATABASE_URL"].partition("?")
    seen = ask(member, ASK_POSTGRES, url, f"?{asked}").stdout.split()
    assert {one.rpartition(":")[2] for one in seen} == {"True"}
    assert {one.partition("/")[0] for one in seen} >= {cluster.members["h1"].address, member.address}
    clear = ask(member, ASK_POSTGRES, url, "?sslmode=disable")
    assert clear.returncode
    assert "no encryption" in clear.stderr
    plain = member.env["CNM_REDIS_URL"].replace("rediss:", "redis:").partition("?")[0]
    assert ask(member, ASK_REDIS, plain).returncode
    assert "True" in ask(member, ASK_REDIS, member.env["CNM_REDIS_URL"]).stdout


def test_neither_a_stranger_in_their_place_nor_a_wrong_password_is_taken(cluster: Cluster) -> None:
    member = cluster.members["h2"]
    strange = certificate(cluster.certificates, "others", OUTSIDE).public
    database, redis_url = member.env["CNM_DATABASE_URL"], member.env["CNM_REDIS_URL"]
    ours = str(cluster.certificates / "ours.crt")
    refused = ask(member, ASK_POSTGRES, database.replace(ours, str(strange)), "")
    assert "certificate verify failed" in refused.stderr
    assert "CERTIFICATE_VERIFY_FAILED" in ask(member, ASK_REDIS, redis_url.replace(ours, str(strange))).stderr
    head, _, rest = database.partition("@")
    wrong = f"{head.rpartition(':')[0]}:guessed@{rest}"
    assert "authentication failed" in ask(member, ASK_POSTGRES, wrong, "").stderr

"""What nobody would send, for property tests of what reads requests. The choice is hypothesis's, from a fixed seed."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
ODD_TEXTS = (
    "", " ", "\0", "a\0b", "\ud800", "\x1b[2J", "\u202egnp", "é" * 200, "😀", "x" * 5000, "..", "../../etc", "/", "//", "%s%n",
    "{0}", "-1", "0", "00", "1e9", "NaN", "null", "true", "0x10", "١٢", "10.0.0.0/8", "::/0", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3",
    "a:b:c:d", ":", "::", "[::1]:80:80", "80/tcp/udp", "99999", "1-0", "65535-65536", "; rm -rf /", "$(id)", "`id`", "\r\nX: y", "host",
    "container:", "container:web", "none", "bridge", "x=y", "=", "http://", "docker://", "/proc/self", "cnm0", "lo",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"))
scalars = st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(ODD_TEXTS) | st.text(max_size=40)
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(ODD_TEXTS) | st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
) | st.sampled_from([[[[]]] * 50, [0] * 5000, {str(n): n for n in range(2000)}, {"a": {"b": {"c": {}}}}])

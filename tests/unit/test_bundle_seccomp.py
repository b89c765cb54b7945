"""The seccomp profile."""

from __future__ import annotations

from typing import Any

import pytest

from worker.runtime import seccomp
from worker.runtime.bundle import CAPABILITIES

FORBIDDEN = [
    "add_key",
    "bpf",
    "delete_module",
    "finit_module",
    "init_module",
    "io_uring_setup",
    "ioperm",
    "iopl",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "lookup_dcookie",
    "mount",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pivot_root",
    "quotactl",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "umount2",
    "unshare",
    "userfaultfd",
    "vm86",
]


def rules(machine: str = "x86_64", capabilities: tuple[str, ...] = CAPABILITIES) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = seccomp.profile(capabilities, machine)["syscalls"]
    return result


def allowed(**given: Any) -> set[str]:
    return {name for rule in rules(**given) if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}


def test_what_is_not_listed_is_refused() -> None:
    assert seccomp.profile(CAPABILITIES)["defaultAction"] == "SCMP_ACT_ERRNO"
    assert seccomp.profile(CAPABILITIES)["defaultErrnoRet"] == 1


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_dangerous_call_is_refused(name: str) -> None:
    assert name not in allowed()


@pytest.mark.parametrize("name", ["chroot", "ptrace", "clone", "socket", "execve", "openat2", "personality"])
def test_a_call_that_docker_allows_is_allowed(name: str) -> None:
    assert name in allowed()


def test_a_capability_brings_its_calls() -> None:
    assert "chroot" not in allowed(capabilities=())
    assert {"mount", "setns", "unshare"} <= allowed(capabilities=("CAP_SYS_ADMIN",))


def test_new_namespaces_cannot_be_made_by_clone() -> None:
    (clone,) = [rule for rule in rules() if rule["names"] == ["clone"]]
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]
    (clone3,) = [rule for rule in rules() if rule["names"] == ["clone3"]]
    assert clone3["errnoRet"] == 38


def test_only_plain_files_fifos_and_sockets_can_be_made_by_mknod() -> None:
    for name, argument in (("mknod", 1), ("mknodat", 2)):
        conditions = [rule["args"][0] for rule in rules() if rule["names"] == [name]]
        assert {condition["index"] for condition in conditions} == {argument}
        assert {condition["valueTwo"] for condition in conditions} == {0, 0o100000, 0o010000, 0o140000}


def test_no_call_is_listed_twice() -> None:
    assert len(seccomp.ALWAYS) == len(set(seccomp.ALWAYS))


def test_an_unknown_machine_gets_the_runtime_s_own_architecture() -> None:
    assert "architectures" not in seccomp.profile(CAPABILITIES, "m68k")

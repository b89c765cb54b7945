"""The edit of one chain: ours end up in the order of their ranks, and what others wrote is neither moved nor removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.firewall.edit import Edit, Put, edit_chain, in_order


def text(number: int) -> str:
    return f"-A C -m mark --mark {number:#x} -j ACCEPT"


def foreign(number: int) -> str:
    return f"-A C -s 10.0.0.{number}/32 -j DROP"


def carried_out(edit: Edit, lines: list[str]) -> tuple[str, ...]:
    """What iptables makes of the commands: -D takes the first match, -I counts from one."""
    chain = list(lines)
    for command in edit.commands:
        verb, _, rest = command.partition(" ")
        if verb == "-D":
            chain.remove(f"-A {rest}")
        elif verb == "-A":
            chain.append(f"-A {rest}")
        else:
            name, position, rule = rest.split(" ", 2)
            assert 1 <= int(position) <= len(chain) + 1
            chain.insert(int(position) - 1, f"-A {name} {rule}")
    return tuple(chain)


NUMBERS = st.integers(0, 12)
LINES = st.lists(st.one_of(NUMBERS.map(text), st.integers(100, 104).map(foreign)), max_size=16)


@given(
    lines=LINES, wanted=st.sets(NUMBERS), anchors=st.lists(st.sampled_from(["top", "end"]), min_size=13, max_size=13)
)
def test_any_chain_is_taken_to_what_is_wanted(lines: list[str], wanted: set[int], anchors: list[str]) -> None:
    ranks = {text(number): (1, number) for number in range(13)}
    puts = [Put(text(number), (1, number), anchors[number]) for number in wanted]
    drops = {text(number) for number in range(13) if number not in wanted}
    edit = edit_chain("C", lines, ranks, puts, drops)
    after = carried_out(edit, lines)
    assert after == edit.lines
    assert [line for line in after if "mark" in line] == [text(number) for number in sorted(wanted)]
    assert [line for line in after if "mark" not in line] == [line for line in lines if "mark" not in line]
    assert edit_chain("C", after, ranks, puts, drops).commands == ()


@given(lines=LINES)
def test_nothing_wanted_is_nothing_done(lines: list[str]) -> None:
    assert edit_chain("C", lines, {}, (), ()) == Edit((), tuple(lines))


def test_as_little_as_possible_is_moved() -> None:
    lines = [text(3), text(0), text(1), foreign(100), text(2)]
    ranks = {text(number): (number + 1,) for number in range(4)}
    edit = edit_chain("C", lines, ranks, [Put(text(number), (number + 1,)) for number in range(4)], ())
    assert edit.commands == (f"-D {text(3)[3:]}", f"-A {text(3)[3:]}")


def test_top_stands_right_below_our_rule_before_and_end_right_above_our_rule_after() -> None:
    lines = [text(1), foreign(100), foreign(101), text(5)]
    ranks = {text(1): (1,), text(5): (5,)}
    top = edit_chain("C", lines, ranks, [Put(text(3), (3,), "top")], ())
    assert top.lines == (text(1), text(3), foreign(100), foreign(101), text(5))
    end = edit_chain("C", lines, ranks, [Put(text(3), (3,), "end")], ())
    assert end.lines == (text(1), foreign(100), foreign(101), text(3), text(5))


def test_among_foreign_rules_alone_top_is_the_top_and_end_the_end() -> None:
    lines = [foreign(100), foreign(101)]
    edit = edit_chain("C", lines, {}, [Put(text(1), (1,), "top"), Put(text(2), (2,), "end")], ())
    assert edit.lines == (text(1), *lines, text(2))


def test_a_rule_of_unknown_rank_is_left_where_it_is() -> None:
    lines = [text(9), text(1)]
    edit = edit_chain("C", lines, {text(1): (1,)}, [Put(text(2), (2,))], ())
    assert edit.lines == (text(9), text(1), text(2))


def test_what_is_in_order_is_a_longest_rising_part() -> None:
    assert in_order([((1,), "a"), ((5,), "b"), ((2,), "c"), ((3,), "d")]) == {"a", "c", "d"}
    assert in_order([]) == set()

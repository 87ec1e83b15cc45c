"""The `.pomdp` format: round trip, the traps of files in the wild, and errors that say where."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrl.core.errors import FormatError
from orrl.problems.tabular.pomdp_format import PomdpFile, read_pomdp, write_pomdp

TIGER = """# the tiger problem
discount: 0.95
values: reward
states: tiger-left tiger-right
actions: listen open-left open-right
observations: obs-left obs-right
T:listen
identity
T : open-left
uniform
T: open-right
uniform
O:listen
0.85 0.15
0.15 0.85
O: open-left
uniform
O: open-right
uniform
R:listen : * : * : * -1
R:open-left : tiger-left : * : * -100
R: open-left : tiger-right : * : * 10
R: open-right : tiger-left : * : * 10
R: open-right : tiger-right : * : * -100
"""


def dense(matrices):
    return np.stack([m.toarray() for m in matrices])


def small(start="", t="T: * \nuniform", o="O: *\nuniform", r="", states="2", extra=""):
    head = f"discount: 0.9\nvalues: reward\nstates: {states}\nactions: a b\n"
    return head + f"observations: x y\n{start}\n{t}\n{o}\n{r}\n{extra}"


def test_tiger():
    file = read_pomdp(TIGER)
    assert file.states == ("tiger-left", "tiger-right")
    assert file.actions[1] == "open-left"
    assert file.discount == 0.95
    np.testing.assert_array_equal(dense(file.transition)[0], np.eye(2))
    np.testing.assert_array_equal(dense(file.observation)[0], [[0.85, 0.15], [0.15, 0.85]])
    np.testing.assert_array_equal(file.reward, [[-1, -100, 10], [-1, 10, -100]])
    np.testing.assert_array_equal(file.start, [0.5, 0.5])


@pytest.mark.parametrize(
    ("start", "law"),
    [
        ("start: 0.25 0.75 0", [0.25, 0.75, 0]),
        ("start: uniform", [1 / 3] * 3),
        ("start: s2", [0, 1, 0]),
        ("start: 2", [0, 0, 1]),
        ("start include: s1 2", [0.5, 0, 0.5]),
        ("start exclude: s1", [0, 0.5, 0.5]),
        ("start: start-x", [0, 0, 1]),
        ("start : 0.333333 0.333333 0.333333", [1 / 3] * 3),
        ("", [1 / 3] * 3),
    ],
)
def test_start(start, law):
    states = "s1 s2 start-x"
    np.testing.assert_allclose(read_pomdp(small(start, states=states)).start, law, atol=1e-12)


def test_matrix_row_and_entry_forms_and_the_last_statement_counts():
    text = "T: * : * : * 0.0\nT: a\nidentity\nT: a : 1\n0.25 0.75\nT: b : * : 0 1.0\nT:b:1:0 0.0\nT: b : 1 : 1 1"
    chain = dense(read_pomdp(small(t=text)).transition)
    np.testing.assert_array_equal(chain, [[[1, 0], [0.25, 0.75]], [[1, 0], [0, 1]]])


def test_reward_with_four_three_and_two_fields():
    t, o = "T: *\n0.5 0.5\n0 1", "O: *\n0.75 0.25\n0.5 0.5"
    four = read_pomdp(small(t=t, o=o, r="R: a : 0 : 1 : y 8")).reward
    np.testing.assert_allclose(four, [[8 * 0.5 * 0.5, 0], [0, 0]])
    three = read_pomdp(small(t=t, o=o, r="R: a : 0 : 1\n4 8")).reward
    np.testing.assert_allclose(three, [[0.5 * (2 + 4), 0], [0, 0]])
    two = read_pomdp(small(t=t, o=o, r="R: b : *\n1 2\n3 4")).reward
    np.testing.assert_allclose(two[:, 1], [0.5 * 1.25 + 0.5 * 3.5, 3.5])
    late = read_pomdp(small(t=t, o=o, r="R: * : * : * : * 5\nR: a : 0 : 1 : * 7\nR: a : 0 : * : x 1")).reward
    # with 0: x .75 -> 1, y .25 -> 5; with 1: x .5 -> 1, y .5 -> 7
    np.testing.assert_allclose(late, [[0.5 * (0.75 + 1.25) + 0.5 * 4, 5], [5, 5]])


def test_costs_turn_around():
    file = read_pomdp(small(r="R: a : * : * : * 3").replace("values: reward", "values: cost"))
    assert file.values == "cost"
    assert file.reward[0, 0] == 3
    assert file.tabular().reward[0, 0] == -3


def test_a_state_may_be_called_like_a_keyword():
    file = read_pomdp(small(states="T start-O", t="T: * : T : start-O 1\nT: a : start-O : T 1\nT: b : start-O\n0 1"))
    np.testing.assert_array_equal(dense(file.transition)[:, 0], [[0, 1], [0, 1]])


def test_rows_are_scaled_when_they_nearly_sum_to_one():
    file = read_pomdp(small(t="T: *\n0.333333 0.666666\n0.5 0.5"))
    np.testing.assert_allclose(np.asarray(file.transition[0].sum(axis=1)).ravel(), 1.0, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (small(t="T: a\n0.5 0.6\n0 1\nT: b\nidentity"), None, "row T: a : 0 sums to 1.1"),
        (small(t="T: a\nidentity"), None, "row T: b : 0 sums to 0"),
        (small(o="O: *\n1.5 -0.5\n0 1"), None, "negative"),
        (small(t="T: c\nidentity"), 7, "'c' is none of the 2 actions (a, b)"),
        (small(t="T: a\n0.5 0.5 1"), 8, "has 3 numbers: 4 are needed"),
        (small(t="T: a : 0\n0.5 0.5 1"), 8, "'1' follows the row of T"),
        (small(start="start: 0.5 0.2"), 6, "start sums to 0.7"),
        (small(states="x x"), 3, "'x' is named twice"),
        (small(r="R: a : 0 : 0 : z 1"), 11, "'z' is none of the 2 observations"),
        ("discount: 1.5\n", 1, "discount is 1.5"),
        ("values: reward\nstates: 2", None, "has no 'actions:'"),
        ("T: a\nidentity\n", 1, "comes before 'states:'"),
        ("hello\n", 1, "begins with 'hello'"),
    ],
)
def test_bad_files_are_named(text, line, says):
    with pytest.raises(FormatError, match=re.escape(says)) as found:
        read_pomdp(text)
    assert found.value.line == line


def test_a_file_is_named(tmp_path):
    path = tmp_path / "bad.pomdp"
    path.write_text("discount: -1\n")
    with pytest.raises(FormatError, match=r"bad\.pomdp:1"):
        read_pomdp(path)


@given(st.integers(0, 10_000))
def test_round_trip(tmp_path_factory, seed):
    rng = np.random.default_rng(seed)
    n, a, o = rng.integers(1, 5, 3).tolist()
    chain = rng.dirichlet(np.ones(n), (a, n)) * (rng.random((a, n, n)) < 0.7) + 1e-3
    seen = rng.dirichlet(np.ones(o), (a, n))
    from scipy.sparse import csr_matrix

    def law(block):
        return tuple(csr_matrix(m / m.sum(axis=1, keepdims=True)) for m in block)

    file = PomdpFile(
        states=tuple(f"s-{i}" for i in range(n)),
        actions=tuple(str(i) for i in range(a)),
        observations=tuple(f"o{i}" for i in range(o)),
        discount=0.9,
        values="cost" if seed % 2 else "reward",
        start=rng.dirichlet(np.ones(n)),
        transition=law(chain),
        observation=law(seen),
        reward=rng.normal(size=(n, a)),
    )
    path = write_pomdp(file, tmp_path_factory.mktemp("pomdp") / "x.pomdp")
    again = read_pomdp(path)
    assert (again.states, again.actions, again.observations) == (file.states, file.actions, file.observations)
    assert (again.discount, again.values) == (file.discount, file.values)
    np.testing.assert_allclose(dense(again.transition), dense(file.transition), atol=1e-15)
    np.testing.assert_allclose(dense(again.observation), dense(file.observation), atol=1e-15)
    np.testing.assert_allclose(again.reward, file.reward, atol=1e-15)
    np.testing.assert_allclose(again.start, file.start, atol=1e-15)


def test_names_that_cannot_be_written(tmp_path):
    file = read_pomdp(small(states="p q"))
    from dataclasses import replace

    with pytest.raises(FormatError, match="'p q'"):
        write_pomdp(replace(file, states=("p q", "r")), tmp_path / "x.pomdp")


@pytest.mark.parametrize(
    ("name", "shape", "discount"),
    [
        ("appl_Tiger.pomdp", (2, 3, 2), 0.95),
        ("appl_Hallway.pomdp", (60, 5, 21), 0.95),
        ("appl_Hallway2.pomdp", (92, 5, 17), 0.95),
        ("cassandra_4x3.95.POMDP", (11, 4, 6), 0.95),
        ("cassandra_aloha-10max.POMDP", (30, 9, 3), 0.999),
        ("cassandra_cheese.95.POMDP", (11, 4, 7), 0.95),
        ("cassandra_parr95.95.POMDP", (7, 3, 6), 0.95),
        ("cassandra_shuttle.95.POMDP", (8, 3, 5), 0.95),
        ("cassandra_1d.POMDP", (4, 2, 2), 0.75),
    ],
)
def test_files_in_the_wild(data_root, name, shape, discount, tmp_path):
    file = read_pomdp(data_root("pomdp") / name)
    assert (len(file.states), len(file.actions), len(file.observations)) == shape
    assert file.discount == discount
    again = read_pomdp(write_pomdp(file, tmp_path / "again.pomdp"))
    np.testing.assert_allclose(dense(again.transition), dense(file.transition), atol=1e-12)
    np.testing.assert_allclose(again.reward, file.reward, atol=1e-9)


def test_known_numbers_of_files_in_the_wild(data_root):
    maze = read_pomdp(data_root("pomdp") / "cassandra_1d.POMDP")
    np.testing.assert_array_equal(maze.reward, [[0, 0], [0, 1], [1, 0], [0, 0]])  # 1 for coming to the goal
    parr = read_pomdp(data_root("pomdp") / "cassandra_parr95.95.POMDP")
    assert parr.start[0] == 1.0
    assert parr.reward[5].tolist() == [2.0] * 3

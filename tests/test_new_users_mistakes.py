"""A new user's mistakes, over all verbs: each is one line that says what is wrong and what may have been meant."""

import pytest
from new_users_mistakes import MISTAKES, make_world, said_of, split_command

from optscale_predictor.cli.verbs import VERBS


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize(("command", "says", "meant"), MISTAKES, ids=[command for command, *_ in MISTAKES])
def test_a_mistake_is_one_line_with_what_may_have_been_meant(command, says, meant, world):
    code, out, error = said_of(split_command(command, world))
    lines = [line for line in error.splitlines() if line.strip()]
    assert code == 2 and len(lines) == 1 and not out, (code, out, error)
    assert lines[0].startswith("optscale: error: ") and says.format(**world) in lines[0]
    assert meant is None or f"did you mean '{meant}" in lines[0], lines[0]


def test_there_are_enough_of_them_and_every_verb_has_its_own():
    assert len({command for command, *_ in MISTAKES}) == len(MISTAKES) >= 99
    assert {name.split()[0] for name in VERBS} <= {command.split()[0].replace("_", "-") for command, *_ in MISTAKES}

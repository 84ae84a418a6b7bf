"""What is said of a command that was ended early: only one that can go on says that it can."""

import pytest

from optscale_predictor.cli.main import main
from optscale_predictor.cli.verbs import VERBS

GOES_ON = "; what was committed is kept, run the same command to go on"


@pytest.mark.parametrize(
    ("command", "where", "left"),
    [
        (("pool", "info", "pool"), "cli.pool_command.info", ""),
        (("replay", "pool"), "cli.replay_command.replay", ""),
        (("score", "pool"), "cli.score_command.score", GOES_ON),
        (("train_verifier", "pool"), "cli.train_verifier_command.train_verifier", GOES_ON),
    ],
)
@pytest.mark.parametrize(
    ("ended", "says", "code"),
    [(KeyboardInterrupt, "interrupted", 130), (MemoryError, "error: not enough memory", 2)],
)
def test_only_what_can_go_on_says_so(monkeypatch, capsys, command, where, left, ended, says, code):
    def end(pool: str) -> None:
        """Ends.

        Args:
            pool: A folder.
        """
        raise ended

    name, lists = " ".join(command[:-1]).replace("_", "-"), VERBS[" ".join(command[:-1]).replace("_", "-")].lists
    monkeypatch.setattr(f"optscale_predictor.{where}", end)
    if lists is not None:  # its folders come as one list, which this function does not take
        monkeypatch.setattr("optscale_predictor.cli.verb_flags.gather_list", lambda given, _: given)
    with pytest.raises(SystemExit) as stopped:
        main([*command])
    assert stopped.value.code == code and name in VERBS
    assert capsys.readouterr().err.splitlines()[-1] == f"optscale: {says}{left}"

"""``optscale train fit --config NAME``: recipes that ship are named, whatever folder a run starts in."""

from pathlib import Path

import pytest

from optscale_predictor.cli.main import main
from optscale_predictor.predictor.training.train_command import CONFIGS, with_recipes


@pytest.mark.parametrize("recipe", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_is_named(recipe: Path) -> None:
    assert with_recipes(["fit", "--config", recipe.stem]) == ["fit", "--config", str(recipe)]
    assert with_recipes(["fit", f"--config={recipe.stem}"]) == ["fit", f"--config={recipe}"]


def test_only_what_follows_config_is_a_recipe() -> None:
    given = ["fit", "--model.output", "paper", "--config", "none", "--config", "decoder/x.yaml", "--data.path=paper"]
    assert with_recipes(given) == given


def test_a_file_of_that_name_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paper").write_text("seed_everything: 3\n", encoding="utf-8")
    assert with_recipes(["fit", "--config", "paper"]) == ["fit", "--config", "paper"]


def test_usage_and_mistakes_name_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["train", "fit", "--config", "none_such"])
    error = capsys.readouterr().err
    assert ended.value.code == 2 and error.splitlines()[-1].startswith("optscale: error: ") and "Traceback" not in error
    with pytest.raises(SystemExit):
        main(["train", "fit", "--help"])
    assert "usage: optscale train " in capsys.readouterr().out

"""Publishing a trained verifier: to the hub and back by the real client, and what is refused."""

import json
import shutil

import pytest
from labelled_sums import made_up_samples
from small_predictors import refusal_of
from test_publish import hub, run  # noqa: F401 - a fixture
from training_runs import make_encoder

from optscale_predictor.backends.adapters.base_model import LOCAL_BASE
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.trained_verifier import TrainedVerifier
from optscale_predictor.backends.verifiers.training.train_verifier import train_verifier
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.cli.main import main
from optscale_predictor.questions.question import Question

QUICK = VerifierSettings(epochs=1, samples=2, validation_share=0.3, rank=2)
ANSWERED = [Answered(Question("q", "12+34="), text) for text in ("12+34=46 #### 46", "12+34=47 #### 47")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "verifier"
    train_verifier(made_up_samples(), "embedded:generator", folder, QUICK, "cpu")
    return folder


def test_its_card_is_written_and_its_files_go_to_the_hub_alone(trained, hub, tmp_path):  # noqa: F811
    folder = shutil.copytree(trained, tmp_path / "verifier")
    (folder / "notes.txt").write_text("private")
    (folder / "README.md").unlink()
    steps = {"push": ["publish", folder, "--hub", "name/verifier", "--license", "mit"]}
    (code, out, error), *_ = run(steps, hub[1], tmp_path / "home").values()
    assert code == 0, error
    assert out.splitlines() == [f"{folder / 'README.md'}: model card", f"{folder}: {hub[1]}/name/verifier"]
    there = hub[0] / "name/verifier/1"
    weights = {"adapter_config.json", "adapter_model.safetensors", "head.safetensors"}
    assert {path.name for path in there.iterdir()} == {"README.md", "optscale_verifier.json", *weights}
    card = (there / "README.md").read_text()
    assert "license: mit" in card and "AUC within a question" in card
    came, kept = TrainedVerifier(str(there)), TrainedVerifier(str(trained))
    assert came.score(ANSWERED).values.tolist() == kept.score(ANSWERED).values.tolist()
    assert came.describe() == {**kept.describe(), "model": came.describe()["model"]}


def test_without_a_hub_it_is_checked_and_its_card_written(trained, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "verifier")
    main(["publish", str(folder), "--license", "apache-2.0"])
    assert capsys.readouterr().out == f"{folder / 'README.md'}: model card\n"
    assert "license: apache-2.0" in (folder / "README.md").read_text()


def test_a_base_that_is_a_folder_gets_the_name_that_others_find_it_by(tmp_path, capsys):
    base, folder = make_encoder(tmp_path / "base"), tmp_path / "verifier"
    train_verifier(made_up_samples(), str(base), folder, QUICK, "cpu")
    assert "'base' is a folder of this machine" in refusal_of(capsys, "publish", folder, "--hub", "name/x")
    assert "another base" in refusal_of(capsys, "publish", folder, "--base_model", "embedded:generator")
    kept = TrainedVerifier(str(folder)).score(ANSWERED).values.tolist()
    moved = shutil.move(base, tmp_path / "elsewhere")
    main(["publish", str(folder), "--base_model", str(moved)])
    assert json.loads((folder / LOCAL_BASE).read_text()) == {"base_model": str(moved)}
    assert TrainedVerifier(str(folder)).score(ANSWERED).values.tolist() == kept


def test_what_is_a_predictors_alone_and_what_is_damaged_is_one_line(trained, tmp_path, capsys):
    folder = shutil.copytree(trained, tmp_path / "verifier")
    assert "--merged goes with a predictor" in refusal_of(capsys, "publish", folder, "--merged", tmp_path / "m")
    assert "--assessment goes with a predictor" in refusal_of(capsys, "publish", folder, "--assessment", "a.json")
    assert "license" in refusal_of(capsys, "publish", folder, "--license", "not a licence")
    (folder / "head.safetensors").write_bytes(b"")
    assert "head.safetensors" in refusal_of(capsys, "publish", folder)

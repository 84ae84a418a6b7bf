"""A training that ends in the middle, by a signal, a kill or its user's wish, and goes on bit for bit."""

import os
import pickle
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forked import exit_code_of_fork
from training_runs import FLAGS, flags, logged, main, make_encoder, require_equal, write_targets

from optscale_predictor._support.training_loop import last_checkpoint


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """One layer: what a training keeps of itself does not depend on how deep its base is."""
    return make_encoder(tmp_path_factory.mktemp("base") / "encoder", layers=1)


@pytest.fixture(autouse=True)
def folder(tmp_path, base, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FLAGS, "--model.base_model", base)
    write_targets(tmp_path / "targets.jsonl")
    return tmp_path


def test_killed_in_mid_epoch_it_goes_on_bit_for_bit(tmp_path):
    main(flags("whole"))
    stop = ["--trainer.callbacks+=training_runs.SignalAt", "--trainer.callbacks.step=13"]
    assert exit_code_of_fork(main, [*flags("killed"), *stop]) == -signal.SIGKILL
    main([*flags("killed"), "--ckpt_path", "last"])
    whole, resumed = (logged(Path(f"{name}_training"), "loss") for name in ("whole", "killed"))
    assert list(resumed) == list(range(10, 27))  # what was written at step 10, in the second of three epochs
    assert resumed == {step: whole[step] for step in resumed}
    for name in ("log_evidence", "r2_mean", "strength"):
        curve = logged(Path("whole_training"), name)
        assert logged(Path("killed_training"), name) == {step: curve[step] for step in (17, 26)}
    require_equal("whole", "killed")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, base):
    """A folder in which a run of two epochs of each head was not stopped, its logs beside it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(FLAGS, "--model.base_model", base)
        write_targets(folder / "targets.jsonl")
        for head in ("linear", "gaussian_process"):
            main(flags(head, trainer__max_epochs=2, model__head=head))
    return folder


@pytest.mark.parametrize(
    ("step", "number", "head"),
    [
        (8, signal.SIGINT, "linear"),
        (12, signal.SIGTERM, "linear"),
        (12, signal.SIGINT, "gaussian_process"),
        (17, signal.SIGINT, "linear"),
    ],
)
def test_stopped_by_the_user_it_writes_its_state_and_says_how_to_go_on(step, number, head, whole, capsys):
    """Also where the last step of an epoch, or of the run, is stopped, before its validation."""
    # Programs that a shell starts in the background are born with Ctrl-C ignored; what was there must be there again.
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    shared = {"trainer__max_epochs": 2, "model__head": head}
    for name in ("", "_training"):
        shutil.copytree(whole / f"{head}{name}", f"whole{name}")
    stop = ["--trainer.callbacks+=training_runs.SignalAt", f"--trainer.callbacks.step={step}"]
    stop += [f"--trainer.callbacks.number={int(number)}"]
    with pytest.raises(SystemExit) as ended:
        main([*flags("stopped", **shared), *stop])
    assert ended.value.code == 130
    said = capsys.readouterr().err
    assert "Traceback" not in said and "--model.output stopped" in said and "--ckpt_path last" in said
    before_stop = logged(Path("stopped_training"), "log_evidence")
    main([*flags("stopped", **shared), "--ckpt_path", "last"])
    losses, resumed = (logged(Path(f"{name}_training"), "loss") for name in ("whole", "stopped"))
    assert min(resumed, default=step + 1) == step + 1 and resumed == {number: losses[number] for number in resumed}
    measured = {**before_stop, **logged(Path("stopped_training"), "log_evidence")}
    assert measured == logged(Path("whole_training"), "log_evidence") and len(measured) == 2
    require_equal("whole", "stopped")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_later_signal_stops_at_once_but_never_a_state_that_is_being_written(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(last_checkpoint, "time", SimpleNamespace(monotonic=lambda: now[0]))
    state = last_checkpoint.LastCheckpoint()
    state._ask(signal.SIGTERM, None)
    now[0] = last_checkpoint.SAME_PRESS / 2
    state._ask(signal.SIGTERM, None)  # the same press, or a launcher that passes on what the terminal has sent
    now[0] = last_checkpoint.SAME_PRESS * 2
    state._writing = True
    state._ask(signal.SIGTERM, None)
    state._writing = False
    with pytest.raises(KeyboardInterrupt):
        state._ask(signal.SIGTERM, None)


def test_more_epochs_can_be_added_to_a_finished_run():
    shared = {"model__schedule": "constant", "model__warmup_share": 0}
    main(flags("out", trainer__max_epochs=1, **shared))
    main([*flags("out", trainer__max_epochs=2, **shared), "--ckpt_path", "last"])
    main(flags("whole", trainer__max_epochs=2, **shared))
    resumed = logged(Path("out_training"), "loss")
    assert list(resumed) == list(range(9, 18))
    require_equal("out", "whole")


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"model__lora.rank": 4}, "is of other settings"), ({"data__path": "other.jsonl"}, "on other targets")],
)
def test_it_does_not_go_on_from_another_runs_state(changes, says, capsys, tmp_path, whole):
    write_targets(tmp_path / "other.jsonl", seed=1)
    shutil.copytree(whole / "linear_training", "out_training")
    with pytest.raises(SystemExit):
        main([*flags("out", **changes), "--ckpt_path", "last"])
    assert says in capsys.readouterr().err


class Attack:
    def __reduce__(self):
        return (os.mkdir, ("attacked",))


def test_a_hostile_state_runs_no_code(capsys):
    Path("out_training").mkdir()
    with open("out_training/last.ckpt", "wb") as file:
        pickle.dump(Attack(), file, protocol=2)
    with pytest.raises(SystemExit) as ended:
        main([*flags("out"), "--ckpt_path", "last"])
    assert ended.value.code == 2 and not Path("attacked").exists()
    assert "Traceback" not in capsys.readouterr().err


def test_the_states_file_holds_no_base_model(whole):
    state = torch.load(whole / "linear_training" / "last.ckpt", weights_only=True)
    names = [name for name in state["state_dict"] if name.startswith("predictor.backbone.")]
    assert names and all("lora_" in name for name in names)

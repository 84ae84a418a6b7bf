"""How many threads read a batch: as many as it has work for, and as many as before once it is read."""

from functools import wraps

import pytest
import torch
from forked import exit_code_of_fork

from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.cpu_threads import reading_threads
from optscale_predictor.backends.verifiers.likelihood import LikelihoodVerifier
from optscale_predictor.questions.question import Question


def with_four_threads(test):
    """Runs a test in a fork: once a process has set torch's number of threads, its own forks may fail to set theirs."""

    def work(given):
        torch.set_num_threads(4)
        test(**given)

    @wraps(test)
    def run(**given):
        assert exit_code_of_fork(work, given) == 0

    return run


@pytest.mark.parametrize(("tokens", "threads"), [(0, 1), (1000, 1), (3000, 3), (10**6, 4)])
@with_four_threads
def test_a_batch_has_a_thread_for_each_two_billion_operations(tokens, threads):
    with reading_threads(torch.nn.Linear(1000, 1000, bias=False), tokens):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 4


@with_four_threads
def test_a_batch_that_fails_gives_the_threads_back():
    with pytest.raises(RuntimeError), reading_threads(torch.nn.Linear(2, 2), 1):
        torch.zeros(2) @ torch.zeros(3)
    assert torch.get_num_threads() == 4


@with_four_threads
def test_a_model_elsewhere_changes_nothing():
    with reading_threads(torch.nn.Linear(2, 2, device="meta"), 1):
        assert torch.get_num_threads() == 4


@with_four_threads
def test_threads_that_cannot_be_set_are_left(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: pytest.fail("it complains"))
    with reading_threads(torch.nn.Linear(2, 2), 1):
        assert torch.get_num_threads() == 4
    monkeypatch.undo()


@with_four_threads
def test_the_embedded_verifier_is_read_by_one_thread():
    verifier, seen = LikelihoodVerifier("embedded:verifier"), []
    verifier._model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    verifier.score([Answered(Question("a", "2+2="), "4") for _ in range(100)])
    assert set(seen) == {1} and torch.get_num_threads() == 4

"""Reward models behind a server: a small one and its faults in the fast tier, real vLLMs in the full one.

The full tier starts vLLM with the interpreter that ``OPTSCALE_VLLM_PYTHON`` names; without it the tests fail.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tiny_prms
from faulty_proxy import FaultyProxy
from prm_recipes import CASES, EGGS, ITEMS, STEPS, SUM, Recipe, by_hand_one_label
from served_prm import ServedPrm
from served_world import serving
from transformers import AutoTokenizer
from vllm_server import serving_vllm

from optscale_predictor.backends.options import VerifierOptions
from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.backends.verifiers.process_reward_model import ProcessRewardModel
from optscale_predictor.backends.verifiers.process_verifier import StepSettings
from optscale_predictor.backends.verifiers.reward_model import RewardModel
from optscale_predictor.backends.verifiers.served_reward_models import ServedProcessRewardModel, ServedRewardModel
from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.questions.question import Question

ODD = [Answered(SUM, ""), Answered(EGGS, "1 + 1 = 2\n\n" * 60)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    made = {name: make(tmp_path_factory.mktemp(name)) for name, (make, _, _) in CASES.items()}
    return made | {"reward_model": tiny_prms.make_reward_model(tmp_path_factory.mktemp("reward_model"))}


@contextmanager
def served(folder: str, **switches: object) -> Iterator[tuple[ServedPrm, str]]:
    server = ServedPrm(folder, **switches)  # type: ignore[arg-type]
    with serving(server.app()) as url:
        yield server, url


def settings(layout: str, aggregate: str = "mean") -> StepSettings:
    return StepSettings(layout, aggregate, "\n\n")


@pytest.mark.parametrize("name", ["qwen", "math_shepherd", "rlhflow", "skywork"])
def test_scores_are_those_by_hand(folders: dict[str, str], name: str) -> None:
    _, layout, by_hand = CASES[name]
    with served(folders[name]) as (_, url):
        verifier = ServedProcessRewardModel(f"{url}/v1", folders[name], settings(layout, "last"))
        scores = verifier.score([*ITEMS, *ODD])
    expected = [by_hand(folders[name], item.question.text, steps)[-1] for item, steps in zip(ITEMS, STEPS, strict=True)]
    np.testing.assert_allclose(scores.values[: len(ITEMS)], expected, atol=2e-6)
    assert scores.refusals.keys() == {4, 5} and "no steps" in scores.refusals[4]
    # The server's context is 200; a language model needs room for one token more.
    assert f"context is {199 if layout in ('math_shepherd', 'rlhflow') else 200}" in scores.refusals[5]
    assert (scores.tokens[:4] > 0).all() and (scores.tokens[4:] == 0).all()


def test_rewards_are_those_in_process(folders: dict[str, str]) -> None:
    here = RewardModel(folders["reward_model"], device="cpu").rewards(ITEMS)
    with served(folders["reward_model"]) as (_, url):
        there = VerifierOptions(folders["reward_model"], url=url).build()
        assert isinstance(there, ServedRewardModel)
        rewards, tokens, refusals = there.rewards([*ITEMS, Answered(EGGS, "7" * 300)])
    np.testing.assert_allclose(rewards[:4], here[0], atol=1e-5)
    assert tokens.tolist() == [*(here[1] - 1).tolist(), 0]  # without the end of the turn, which pads
    assert refusals.keys() == {4} and "context is 200" in refusals[4]
    assert np.ptp(rewards[:4]) > 0.1


def test_tokens_that_the_server_knew_are_not_counted(folders: dict[str, str]) -> None:
    folder = folders["rlhflow"]
    with served(folder, cached=7) as (_, url):
        cached = ServedProcessRewardModel(url, folder, settings("rlhflow")).score(ITEMS[:3])
    with served(folder) as (server, url):
        plain = ServedProcessRewardModel(url, folder, settings("rlhflow"), concurrency=1).score(ITEMS[:3])
        prompts = [body["prompt"] for body in server.bodies[1:]]  # after the probe
    assert plain.tokens.tolist() == [sum(map(len, one)) + len(one) for one in prompts]
    assert (plain.tokens - cached.tokens).tolist() == [7, 7, 7]


@pytest.mark.parametrize(
    ("name", "fault", "says"),
    [
        ("qwen", "always squashes", "the server gives probabilities where raw logits were asked for"),
        ("skywork", "always squashes", "the server gives probabilities"),
        ("reward_model", "always squashes", "the server gives probabilities"),
        ("qwen", "another marker", "it gave 2 numbers for .* tokens and 2 steps, where the layout reads 2 each"),
        ("qwen", "adds a token", "it read .* tokens of the .* that it was sent"),
        ("reward_model", "adds a token", "it read .* tokens of the .* that it was sent"),
        ("rlhflow", "forgets a token", "lacks the two tokens that were asked for"),
        ("rlhflow", "forgets a step", "it gave 1 answers for 2 steps"),
        ("qwen", "two models", "serves no model .*qwen.*it serves: .*, other"),
    ],
)
def test_a_server_that_does_not_give_what_is_read_is_refused(
    folders: dict[str, str], name: str, fault: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optscale_predictor.backends.verifiers.vllm_endpoint.PROBE_RETRIES", 0)
    layout = CASES[name][1] if name in CASES else "auto"
    with (
        served(folders[name], fault=fault, name="served" if fault == "two models" else None) as (_, url),
        pytest.raises(ServiceError, match=says) as raised,
    ):
        VerifierOptions(folders[name], url=url, layout=layout).build()
    assert "\n" not in str(raised.value)


def test_another_kind_of_model_is_refused(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optscale_predictor.backends.verifiers.vllm_endpoint.PROBE_RETRIES", 0)
    with (
        served(folders["skywork"]) as (_, url),
        pytest.raises(ServiceError, match="where the layout reads 2 each"),
    ):
        VerifierOptions(folders["qwen"], url=url).build()


def test_a_server_without_base64_lists_its_numbers(folders: dict[str, str]) -> None:
    with served(folders["qwen"], fault="no base64") as (_, url):
        scores = ServedProcessRewardModel(url, folders["qwen"], settings("qwen")).score(ITEMS)
    here = ProcessRewardModel(folders["qwen"], settings("qwen"), device="cpu").score(ITEMS)
    np.testing.assert_allclose(scores.values, here.values, atol=2e-6)


def test_what_the_server_refuses_is_that_sample_alone(folders: dict[str, str]) -> None:
    folder = folders["qwen"]
    (odd,) = AutoTokenizer.from_pretrained(folder)("~", add_special_tokens=False)["input_ids"]
    items = [ITEMS[0], Answered(Question("odd", "~"), "12"), ITEMS[1]]
    with served(folder, refuses=odd) as (server, url):
        verifier = ServedProcessRewardModel(url, folder, settings("qwen"))
        scores = verifier.score(items)
        reason = "the verifier's server refuses it: the server answered 400: not this one"
        assert scores.refusals == {1: reason}  # with no address in it
        assert not np.isnan(scores.values[[0, 2]]).any()
        server.refuses = -1
        with pytest.raises(ServiceError, match="not this one"):
            verifier.score(items)


def test_what_was_read_before_a_server_failed_is_kept(folders: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("optscale_predictor.backends.verifiers.served_reward_models._PART", 2)
    with served(folders["qwen"]) as (server, url):
        verifier = ServedProcessRewardModel(url, folders["qwen"], settings("qwen"), concurrency=1, max_retries=0)
        whole = verifier.score(ITEMS).values
        server.fails_after = len(server.bodies) + 3
        parts = verifier.stream(ITEMS)
        kept = [next(parts), next(parts)]
        with pytest.raises(ServiceError, match="the server answered 500: not now"):
            next(parts)
    assert [len(indices) for indices, _ in kept] == [2, 1]
    for indices, scores in kept:
        np.testing.assert_allclose(scores.values, whole[list(indices)], atol=2e-6)


def test_bad_arguments_are_one_line(folders: dict[str, str]) -> None:
    with pytest.raises(ServiceError, match="cannot connect; is the server up"):
        VerifierOptions(folders["qwen"], url="http://127.0.0.1:9").build()
    with pytest.raises(InputError, match="verifier_url is empty"):
        VerifierOptions(folders["qwen"], url=" ").build()
    with pytest.raises(InputError, match="concurrency must be >= 1, got 0"):
        VerifierOptions(folders["qwen"], url="http://127.0.0.1:9", concurrency=0).build()
    with pytest.raises(InputError, match="does not tell how it reads steps"):
        VerifierOptions(folders["rlhflow"], url="http://127.0.0.1:9").build()


def test_what_is_recorded_names_no_address(folders: dict[str, str]) -> None:
    with served(folders["qwen"], name="prm") as (_, url):
        described = VerifierOptions(folders["qwen"], url=url, aggregate="last").build().describe()
    assert url not in json.dumps(described)
    assert described["adapter"] == "served_process_reward_model" and described["served_model"] == "prm"
    assert (described["layout"], described["aggregate"], described["separator"]) == ("qwen", "last", "\n\n")


#: Models as real servers have them: how each is made, its layout and recipe, and vLLM's further flags.
REAL: dict[str, tuple[Callable[[Path], str], str, Recipe, tuple[str, ...]]] = {
    "qwen with every token": (*CASES["qwen"], ("--pooler-config", '{"tok_pooling_type": "ALL"}')),
    "qwen with markers": (*CASES["qwen"], ("--pooler-config", '{"step_tag_id": MARKER}')),
    "token_classifier": (*CASES["token_classifier"], ("--runner", "pooling")),
    "one_label": (
        lambda folder: tiny_prms.make_token_classifier(folder, labels=1, marker=False),
        "skywork",
        by_hand_one_label,
        ("--runner", "pooling"),
    ),
    "math_shepherd": (*CASES["math_shepherd"], ()),
    "rlhflow": (*CASES["rlhflow"], ("--enable-prompt-tokens-details",)),
}


@pytest.mark.full
@pytest.mark.parametrize("name", REAL)
def test_a_real_server_gives_the_scores_by_hand(name: str, tmp_path: Path) -> None:
    make, layout, by_hand, flags = REAL[name]
    folder = make(tmp_path / "model")
    marker = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids("<extra_0>")
    flags = tuple(flag.replace("MARKER", str(marker)) for flag in flags)
    with serving_vllm(tmp_path, folder, *flags, max_model_len=200) as url:
        verifier = ServedProcessRewardModel(f"{url}/v1", folder, settings(layout, "min"))
        scores = verifier.score([*ITEMS, *ODD])
        again = verifier.score([*ITEMS, *ODD])
        proxy = FaultyProxy(url, share=0.2, delay=0.1)
        with serving(proxy.app()) as through:
            many = ServedProcessRewardModel(through, folder, settings(layout, "min")).score(ITEMS * 50)
        other = "qwen" if layout == "skywork" else "skywork"
        with pytest.raises(InputError, match=r"needs '<extra_0>'|the layout reads 1 each|refuses it"):
            ServedProcessRewardModel(url, folder, settings(other), max_retries=0)
    expected = [min(by_hand(folder, item.question.text, steps)) for item, steps in zip(ITEMS, STEPS, strict=True)]
    np.testing.assert_allclose(scores.values[: len(ITEMS)], expected, atol=1e-5)
    np.testing.assert_allclose(again.values, scores.values, atol=1e-5)
    assert scores.refusals.keys() == {4, 5} and "no steps" in scores.refusals[4] and "context" in scores.refusals[5]
    assert not many.refusals and sum(proxy.faults.values()) - proxy.faults["none"] > 20
    np.testing.assert_allclose(many.values, expected * 50, atol=1e-5)
    if name == "rlhflow":  # prefixes that the server had are told and not counted
        assert (again.tokens[: len(ITEMS)] < scores.tokens[: len(ITEMS)]).any()


@pytest.mark.full
def test_a_real_server_gives_the_rewards_in_process(tmp_path: Path) -> None:
    folder = tiny_prms.make_reward_model(tmp_path / "model")
    with serving_vllm(tmp_path, folder, max_model_len=200) as url:
        verifier = VerifierOptions(folder, url=url).build()
        assert isinstance(verifier, ServedRewardModel)
        rewards, tokens, refusals = verifier.rewards([*ITEMS, Answered(EGGS, "7" * 300)])
        with pytest.raises(ServiceError, match=r"the server answered 400.*token_classify"):
            VerifierOptions(folder, url=url, layout="skywork").build()
    here, read, _ = RewardModel(folder, device="cpu").rewards(ITEMS)
    np.testing.assert_allclose(rewards[: len(ITEMS)], here, atol=1e-4)
    # This model pads with the token that ends a turn, which transformers then does not read.
    assert tokens.tolist() == [*(read - 1).tolist(), 0] and refusals.keys() == {4}

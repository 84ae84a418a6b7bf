"""The lm-eval model ``optscale``: every request is a question, answered by the full OptScale loop."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import lm_eval.models  # noqa: F401 - lm-eval fills its registry only while it is empty, so its own models come first
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import MODEL_REGISTRY, register_model

from optscale_predictor.engines import load_predictor, make_generator, make_verifier
from optscale_predictor.errors import InputError
from optscale_predictor.generators import SamplingParams, VLLMOptions
from optscale_predictor.harness.chosen_text import ChosenText
from optscale_predictor.inference import Answer, OptScale
from optscale_predictor.policies import make_policy
from optscale_predictor.questions import Question
from optscale_predictor.recorded import RecordedGenerator, RecordedVerifier

_FINGERPRINT = "optscale model_args"


class OptScaleLM(LM):
    """OptScale inference behind lm-eval's interface; its arguments are lm-eval's ``--model_args``.

    Args:
        generator: Model folder, hub id or ``embedded:generator``; with ``base_url`` the served model's name.
        verifier: Reward model or process reward model, ``judge:MODEL``, or your own as ``python:module:function``.
        verifier_url: Server of the verifier; in this process by default.
        verifier_layout: How a process reward model reads steps; ``auto`` asks its config.
        verifier_aggregate: What its steps' scores become: ``mean``, ``min``, ``product`` or ``last``.
        verifier_separator: What stands between two steps; the layout's own by default.
        policy: Name of the stopping rule; its settings (``score_min``, ``alpha`` and so on) are arguments too.
        predictor: Predictor checkpoint; without one a vague prior.
        engine: As ``engines.choose_engine`` takes it: ``auto``, ``transformers``, ``continuous``, ``vllm``, ``server``.
        vllm: Options of an in-process vLLM (``VLLMOptions``), where ``--model_args`` is JSON.
        base_url: An OpenAI-compatible server.
        chat: Whether to put prompts into the model's chat template.
        pool: A scored pool whose samples are served in place of a generator's; no generator or verifier is loaded.
        temperature: Softmax temperature, >= 0; the task's own setting, which is greedy, does not apply to samples.
        top_p: Nucleus mass, in (0, 1].
        max_tokens: Most tokens a sample may have where the task sets no ``max_gen_toks``.
        seed: Base seed, >= 0.
        concurrency: Requests under way at once at a server, >= 1.
        batch_size: Samples in one batch of an in-process model (lm-eval's ``--batch_size``).
        max_batch_size: Not used; lm-eval gives it.
        device: Not used; lm-eval gives it.
        trust_remote_code: Whether to run code that a model's repository brings.
        source: Which of the sources that the predictor has learnt; by default the one that generator and verifier are.
        unpaired: Whether the predictor may have learnt another generator's, verifier's or setting's scores.
        **settings: The policy's settings.

    Raises:
        InputError: Something named does not exist or is out of range.
    """

    def __init__(
        self,
        generator: str | None = None,
        verifier: str | None = "embedded:verifier",
        verifier_url: str | None = None,
        verifier_layout: str = "auto",
        verifier_aggregate: str = "mean",
        verifier_separator: str | None = None,
        policy: str = "optscale",
        predictor: str | None = None,
        engine: str = "auto",
        vllm: Mapping[str, Any] | None = None,
        base_url: str | None = None,
        chat: bool = False,
        pool: str | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 256,
        seed: int = 0,
        concurrency: int = 32,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        trust_remote_code: bool = False,
        source: str | None = None,
        unpaired: bool = False,
        **settings: object,
    ) -> None:
        super().__init__()
        rule = make_policy(policy, settings)
        sampling = SamplingParams(float(temperature), float(top_p), int(max_tokens), seed=int(seed))
        size = int(str(batch_size)) if str(batch_size).isdigit() and int(str(batch_size)) > 1 else 512
        self._arguments = {"generator": generator, "verifier": verifier, "predictor": predictor, "pool": pool}
        self._arguments |= {"base_url": base_url, "policy": str(rule), "sampling": repr(sampling)}
        reading = (verifier_layout, verifier_aggregate, verifier_separator)
        self._arguments |= {"verifier_url": verifier_url, "verifier_reading": repr(reading)}
        self._arguments |= {"engine": engine, "chat": str(chat)}
        if pool is not None:
            drawing: Any = RecordedGenerator(pool)
            judge: Any = RecordedVerifier(drawing)
        else:
            name = generator or (None if base_url else "embedded:generator")
            more: dict[str, Any] = {
                "engine": engine,
                "vllm": _vllm_options(vllm),
                "trust_remote_code": trust_remote_code,
            }
            drawing = make_generator(name, sampling, base_url, chat, size, int(concurrency), **more)
            judge = (
                make_verifier(verifier, 256, trust_remote_code, verifier_url, int(concurrency), None, *reading)
                if verifier
                else None
            )
        self._arguments |= {"source": source, "unpaired": str(unpaired)}
        self._scaler = OptScale(drawing, judge, load_predictor(predictor), rule, source=source, unpaired=unpaired)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers all requests, those of equal generation settings at once."""
        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(index)
        answers: dict[int, ChosenText] = {}
        for indices in groups.values():
            for index, answer in zip(indices, self._answer([requests[one] for one in indices]), strict=True):
                answers[index] = ChosenText.of(answer)
                self.cache_hook.add_partial("generate_until", requests[index].args, answers[index])
        return [answers[index] for index in range(len(requests))]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not what this model does."""
        raise InputError("model 'optscale' generates answers; tasks that ask for log-likelihoods cannot use it")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not what this model does."""
        raise InputError("model 'optscale' generates answers; tasks that ask for log-likelihoods cannot use it")

    def get_model_info(self) -> dict[str, object]:
        """What lm-eval writes into its results."""
        return {"optscale": self._arguments}

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuses a cache that another policy, seed or model filled.

        lm-eval's cache knows requests by their text alone, and would serve one model's answers as another's.
        """
        super().set_cache_hook(cache_hook)
        cache = cache_hook.dbdict
        if cache is None:
            return
        mine = json.dumps(self._arguments, sort_keys=True)
        if len(cache) and cache.get(_FINGERPRINT) != mine:
            raise InputError(
                "--use_cache: this cache holds answers of another model, policy or seed; name another file"
            )
        cache[_FINGERPRINT] = mine

    def _answer(self, requests: list[Instance]) -> list[Answer]:
        settings = requests[0].args[1]
        until = settings.get("until") or []
        sampling = replace(
            self._scaler.generator.sampling,
            stop=(until,) if isinstance(until, str) else tuple(until),
            max_tokens=int(settings.get("max_gen_toks") or self._scaler.generator.sampling.max_tokens),
        )
        scaler = OptScale(
            self._scaler.generator.with_sampling(sampling),
            self._scaler.verifier,
            self._scaler.predictor,
            self._scaler.policy,
            source=self._scaler.source,
            unpaired=self._scaler.unpaired,
        )
        questions = [_question(request) for request in requests]
        recorded = isinstance(scaler.generator, RecordedGenerator)
        return scaler.answer(questions, [one.text for one in questions] if recorded else [r.args[0] for r in requests])


def _vllm_options(given: Mapping[str, Any] | None) -> VLLMOptions | None:
    try:
        return None if given is None else VLLMOptions(**given)
    except TypeError as error:
        raise InputError(f"vllm: {error}") from error


def _question(request: Instance) -> Question:
    """The question behind a request: what verifier and predictor read, without the prompt around it."""
    text = request.doc.get("question") if isinstance(request.doc, dict) else None
    return Question(f"{request.task_name}/{request.doc_id}", text or request.args[0])


if "optscale" not in MODEL_REGISTRY:
    register_model("optscale")(OptScaleLM)

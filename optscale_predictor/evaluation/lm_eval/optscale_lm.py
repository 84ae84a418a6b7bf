"""The lm-eval model ``optscale``: every request is a question, answered by the full OptScale loop."""

import json
from collections import Counter, defaultdict
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401 - lm-eval fills its registry only while it is empty, so its own models come first
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import MODEL_REGISTRY, register_model

from optscale_predictor._support.progress import progress_bar
from optscale_predictor.backends.generators import SamplingParams, warning_at_end
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.lm_eval.chosen_text import ChosenText, read_turns, write_turns
from optscale_predictor.evaluation.lm_eval.model_args import Arguments
from optscale_predictor.evaluation.lm_eval.process_ranks import Ranks
from optscale_predictor.evaluation.lm_eval.recording import Recording, facts_of
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import require_own
from optscale_predictor.inference import OptScale
from optscale_predictor.questions.documents import document_gold, document_id, document_labels, document_question
from optscale_predictor.questions.question import Question
from optscale_predictor.replays.recorded_engines import RecordedGenerator

_FINGERPRINT = "optscale model_args"


class OptScaleLM(LM):
    """OptScale inference behind lm-eval's interface.

    Args:
        max_batch_size: Not used; lm-eval gives it.
        device: Not used; lm-eval gives it.
        **given: lm-eval's ``--model_args``: :class:`Arguments`, and the primary policy's settings.

    Raises:
        InputError: Something named does not exist or is out of range.
    """

    def __init__(self, max_batch_size: int | None = None, device: str | None = None, **given: Any) -> None:
        super().__init__()
        self._arguments = Arguments.of(given)
        self._ranks = Ranks.join()
        self._rank, self._world_size, self._device = self._ranks.rank, self._ranks.size, "cpu"
        self._scaler = self._arguments.scaler()
        self._cached = False

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers all requests, those of one task and equal generation settings at once.

        Args:
            requests: lm-eval's, of any tasks.
            disable_tqdm: Whether no progress bar is shown.

        Returns:
            The chosen texts, in the order of the requests.

        Raises:
            InputError: A cache would answer all repeats of a request with one reply, or a record holds another run.
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for index, request in enumerate(requests):
            if self._cached and request.repeats > 1:
                raise InputError("--use_cache would answer all repeats of a request with one reply; leave one of them")
            key = (str(request.task_name), json.dumps(request.args[1], sort_keys=True))
            groups.setdefault(key, []).append(index)
        for indices in groups.values():  # every record, before the first question of any is asked
            self._require_record(requests[indices[0]])
        answers: list[str] = [""] * len(requests)
        with warning_at_end(self._scaler.generator):
            for indices in groups.values():
                group = [requests[index] for index in indices]
                for index, answer in zip(indices, self._answer(group, disable_tqdm), strict=True):
                    answers[index] = answer
        return answers

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not what this model does.

        Raises:
            InputError: Always.
        """
        raise InputError("model 'optscale' generates answers; tasks that ask for log-likelihoods cannot use it")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not what this model does.

        Raises:
            InputError: Always.
        """
        raise InputError("model 'optscale' generates answers; tasks that ask for log-likelihoods cannot use it")

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The turns as one string; the engine puts them into the model's own template.

        Args:
            chat_history: Turns with ``role`` and ``content``.
            add_generation_prompt: Not used: whether a turn is gone on from follows from the last one's role.
        """
        return write_turns(chat_history)

    def chat_template(self, chat_template: bool | str = False) -> str:
        """What lm-eval writes down of the template: the engine's own.

        Raises:
            InputError: One is asked for by name.
        """
        if isinstance(chat_template, str) and chat_template:
            raise InputError("--apply_chat_template: the engine applies the model's own template; name none")
        return "the model's own" if chat_template else ""

    @property
    def tokenizer_name(self) -> str:
        """What lm-eval's cache of requests knows the template by: the turns are the same for every model."""
        return "optscale-conversation"

    def get_model_info(self) -> dict[str, object]:
        """What lm-eval writes into its results."""
        return {"optscale": self._arguments.fingerprint()}

    def all_gather(self, tensor: Any) -> Any:
        """See lm-eval's ``LM``."""
        return self._ranks.all_gather(tensor)

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        """Every process's object, at process ``dst``; None at the others.

        lm-eval looks up every metric of one process in the metrics of all. A process none of whose documents has that
        metric has no such list, so an empty one stands there.

        Args:
            obj: This process's; it can be pickled.
            dst: The rank that gets them.
        """
        gathered = self._ranks.gather_object(obj, dst)
        return gathered and [_with_missing_metrics(part) for part in gathered]

    def barrier(self) -> None:
        """See lm-eval's ``LM``."""
        self._ranks.barrier()

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuses a cache that another policy, seed or model filled, and any cache where a prior is learnt.

        lm-eval's cache knows requests by their text alone, and would serve one model's answers as another's.

        Raises:
            InputError: It is one, or a prior is learnt.
        """
        super().set_cache_hook(cache_hook)
        cache = cache_hook.dbdict
        if cache is None:
            return
        if self._arguments.options.prior is not None:
            raise InputError("--use_cache: a prior is not learnt from answers of a cache; leave one of the two")
        self._cached = True
        mine = json.dumps(self._arguments.fingerprint(), sort_keys=True)
        if len(cache) and cache.get(_FINGERPRINT) != mine:
            raise InputError(
                "--use_cache: this cache holds answers of another model, policy or seed; name another file"
            )
        cache[_FINGERPRINT] = mine

    def _answer(self, requests: list[Instance], quiet: bool) -> list[ChosenText]:
        """Answers of requests with the same settings, in their order."""
        names = _names(requests)
        asked = {name: request for name, request in zip(names, requests, strict=True)}
        questions = [_question(name, request) for name, request in asked.items()]
        scaler = self._with_sampling(requests[0].args[1])
        prompts = [self._prompt(request, question) for request, question in zip(asked.values(), questions, strict=True)]
        found: dict[str, ChosenText] = {}
        recording = self._recording(str(requests[0].task_name), scaler, questions)
        shown = not quiet and self._ranks.rank == 0
        answers = scaler.stream(
            questions,
            prompts=prompts,
            limits=self._arguments.limits(),
            pool=None if recording is None else recording.pool,
            traced=False,
            prompt_name=_template(requests[0]),
        )
        bar = progress_bar("answer", len(questions), shown=shown, unit="questions")
        with recording or nullcontext(), bar, closing(answers):
            for answer in answers:
                found[answer.question_id] = ChosenText.of(answer)
                self.cache_hook.add_partial("generate_until", asked[answer.question_id].args, found[answer.question_id])
                if recording is not None:
                    recording.add(answer)
                bar.update()
        return [found[name] for name in names]

    def _recording(self, task: str, scaler: OptScale, questions: list[Question]) -> Recording | None:
        folder = self._record_folder(task)
        return None if folder is None else Recording(folder, self._facts(task, scaler), questions)

    def _require_record(self, request: Instance) -> None:
        """Raises ``InputError`` where the record that a request's answer is to go into is that of another run."""
        task = str(request.task_name)
        folder = self._record_folder(task)
        if folder is not None:
            require_own(folder, self._facts(task, self._with_sampling(request.args[1])))

    def _record_folder(self, task: str) -> Path | None:
        if self._arguments.options.record is None:
            return None
        part = f"-rank{self._ranks.rank}" if self._ranks.size > 1 else ""
        return Path(self._arguments.options.record) / f"{task}{part}"

    def _facts(self, task: str, scaler: OptScale) -> RunFacts:
        return facts_of(task, scaler, self._arguments.options.predictor, self._arguments.generator.sampling.seed)

    def _with_sampling(self, settings: dict[str, Any]) -> OptScale:
        generator = self._scaler.generator
        return self._scaler.with_generator(
            generator.with_sampling(_sampling(generator.sampling, settings, self._arguments.max_tokens))
        )

    def _prompt(self, request: Instance, question: Question) -> str | tuple[tuple[str, str], ...]:
        if isinstance(self._scaler.generator, RecordedGenerator):
            return question.text  # a pool knows its questions by their text
        return read_turns(request.args[0]) or str(request.args[0])


def _sampling(own: SamplingParams, settings: dict[str, Any], max_tokens: int | None) -> SamplingParams:
    until = settings.get("until") or []
    stop = tuple(one for one in ([until] if isinstance(until, str) else until) if one)
    most = int(max_tokens or settings.get("max_gen_toks") or own.max_tokens)
    drawn = replace(own, stop=stop, max_tokens=most)
    if not settings.get("do_sample"):  # a task's greedy default is not for samples
        return drawn
    temperature, top_p = (settings.get(name, getattr(own, name)) for name in ("temperature", "top_p"))
    return replace(drawn, temperature=float(temperature), top_p=float(top_p))


def _names(requests: list[Instance]) -> list[str]:
    """What each request's question is called. Repeats of a document are questions of their own.

    Where lm-eval pads one process's requests to another's number, what it adds is asked once.
    """
    seen: Counter[str] = Counter()
    names = []
    for request in requests:
        name = document_id(request.doc, str(request.doc_id))
        repeat = seen[name] % max(int(request.repeats or 1), 1)
        names.append(f"{name}#{repeat}" if repeat else name)
        seen[name] += 1
    return names


def _question(name: str, request: Instance) -> Question:
    """The question behind a request: what verifier and predictor read, without the prompt around it."""
    doc = request.doc
    return Question(name, document_question(doc) or request.args[0], document_gold(doc), dict(document_labels(doc)))


def _template(request: Instance) -> str:
    """The first prompt without its question: what tells one way of prompting from another."""
    text = document_question(request.doc)
    prompt = str(request.args[0])
    return prompt.replace(text, "{question}") if text else prompt


def _with_missing_metrics(part: Any) -> Any:
    """One process's values by task and metric, where a metric that it lacks is an empty list; else as it is."""
    if not isinstance(part, dict):
        return part
    return {task: defaultdict(list, own) if isinstance(own, dict) else own for task, own in part.items()}


if "optscale" not in MODEL_REGISTRY:
    register_model("optscale")(OptScaleLM)

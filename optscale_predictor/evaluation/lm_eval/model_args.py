"""lm-eval's ``--model_args`` for the ``optscale`` model: checked, and turned into generator, verifier and policies.

The generator's and the verifier's arguments are the flags of ``optscale answer`` by the same names; all that is no
argument is a setting of the primary policy (``score_min``, ``alpha``, ``max_samples`` and so on).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from typing import Any

from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.default_verifier import verifier_for
from optscale_predictor.backends.generators import Generator
from optscale_predictor.backends.option_flags import FlagParser, flag_names, take_options
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.inference.early_rejection import EarlyRejection
from optscale_predictor.inference.policy_needs import require_before_loading
from optscale_predictor.policies import POLICIES, Policy, parse_policy
from optscale_predictor.policies.selection import require_selection
from optscale_predictor.pools import open_pool
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier
from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

_GENERATOR, _VERIFIER = GeneratorOptions(), VerifierOptions()
#: Options that change no answer: where things are served, and how fast.
_NEUTRAL_GENERATOR = ("base_url", "concurrency")
_NEUTRAL_VERIFIER = ("url", "concurrency")
_NEUTRAL_SERVER = ("timeout", "max_retries", "longest_wait", "send_seed")


@dataclass(frozen=True)
class EvaluationOptions:
    """What of an evaluation is neither generator nor verifier.

    Attributes:
        policy: The stopping rule; its settings (`score_min`, `alpha` and so on) are arguments too.
        policies: Further policies, separated by spaces, that share the samples; settings parted by `;` or `,`.
        selection: How the answer is chosen: `best_score`, `majority`, `weighted_majority`, or `confidence:FOLDER` with
            the folder of a fitted policy; by default each policy's own rule.
        predictor: Predictor checkpoint; without one a vague prior.
        prior: `learnt`, or `learnt:block=8`, in place of a predictor: each policy learns a prior from a task's
            questions, in their order, as it finishes them; each process of several learns from its own questions.
        source: Name of one of the predictor's score sources; by default the one that matches generator and verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        pool: A scored pool whose samples are served in place of a generator's; no generator or verifier is loaded.
        scores: Which of the pool's scores are served: a column, or `combined:FOLDER`.
        in_flight: Questions under way at once, >= 1.
        limit_tokens: Generated tokens of one task's run at most, >= 1.
        limit_seconds: Wall time of one task's run at most, > 0.
        question_seconds: Wall time of one question at most, > 0.
        reject: `tokens=64;risk=0.05` (parted by `;` or `,`): every so many tokens the verifier scores what there is of
            a sample, and one that will beat the best so far with a probability below `risk` is stopped; off by default.
        record: Folder for what the run leaves behind, one folder a task.
    """

    policy: str | None = None
    policies: str = ""
    selection: str | None = None
    predictor: str | None = None
    prior: str | None = None
    source: str | None = None
    allow_source_mismatch: bool = False
    pool: str | None = None
    scores: str = "score"
    in_flight: int = 1024
    limit_tokens: int | None = None
    limit_seconds: float | None = None
    question_seconds: float | None = None
    reject: str | None = None
    record: str | None = None

    def __post_init__(self) -> None:
        """Checks what belongs together."""
        if self.scores != "score" and self.pool is None:
            raise InputError("scores= chooses among a pool's scores and needs pool=")


@dataclass(frozen=True)
class Arguments:
    """What ``--model_args`` says.

    Attributes:
        generator: What draws samples. A task's own temperature, which is greedy, does not apply to samples, but where
            the task says ``do_sample``.
        verifier: What scores them.
        options: All else that has a name of its own.
        settings: Those of the primary policy.
        max_tokens: Most tokens a sample may have, where it was given; else the task's ``max_gen_toks`` holds, or the
            generator's own number where the task has none.
    """

    generator: GeneratorOptions = _GENERATOR
    verifier: VerifierOptions = _VERIFIER
    options: EvaluationOptions = field(default_factory=EvaluationOptions)
    settings: Mapping[str, object] = field(default_factory=dict)
    max_tokens: int | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Arguments":
        """The arguments among what lm-eval hands over; what is left are the primary policy's settings.

        Raises:
            InputError: A value is not of its type or out of its range.
        """
        given = _without_small_batch(given)
        flags = {*flag_names(_GENERATOR), *flag_names(_VERIFIER), *(one.name for one in fields(EvaluationOptions))}
        own = {name: value for name, value in given.items() if name.partition(".")[0] in flags}
        values = _parser().read(own)
        generator, verifier = take_options(_GENERATOR, values), take_options(_VERIFIER, values)
        settings = {name: value for name, value in given.items() if name not in own}
        limit = generator.sampling.max_tokens if "max_tokens" in own else None
        _require_settings(settings, sorted(flags), values)
        options = EvaluationOptions(**values)
        if options.pool is None:
            verifier = verifier_for(generator, verifier)
        return cls(generator, verifier, options, settings, limit)

    def check(self) -> None:
        """Checks all that can be checked while nothing is loaded.

        Raises:
            InputError: A policy, a selection or a limit is none, or there is no such pool or column of it.
        """
        self.rules()
        self.selection()
        self.limits()
        self.rejection()
        if self.options.prior is not None:
            LearntPrior.parse(self.options.prior)
        if self.options.pool is not None:
            open_pool(self.options.pool, self.options.scores)

    def rules(self) -> tuple[Policy, ...]:
        """The policies, the primary one first.

        Raises:
            InputError: One is not known, or a setting of it.
        """
        further = [parse_policy(one.replace(";", ",")) for one in self.options.policies.split()]
        if self.options.policy is None and further and not self.settings:
            return tuple(further)
        primary = parse_policy((self.options.policy or "optscale").replace(";", ","), self.settings)
        return (primary, *(one for one in further if one != primary))

    def selection(self) -> str | None:
        """How the answer is chosen, with the version of the fitted policy that it asks; None: by each policy's rule.

        Raises:
            InputError: It is unknown.
        """
        return None if self.options.selection is None else require_selection(self.options.selection)

    def rejection(self) -> EarlyRejection | None:
        """When samples are stopped early; None: never.

        Raises:
            InputError: It says something else, or a number is out of its range.
        """
        return None if self.options.reject is None else EarlyRejection.parse(self.options.reject.replace(";", ","))

    def scaler(self) -> OptScale:
        """Everything loaded.

        Raises:
            InputError: Something named does not exist or is out of range.
        """
        # It imports torch, and the other arguments are checked before that.
        from optscale_predictor.predictor import load_predictor

        rules, options = self.rules(), self.options
        selection = self.selection()
        learning = None if options.prior is None else LearntPrior.parse(options.prior)
        if options.pool is None:
            prior = options.predictor is not None or learning is not None
            require_before_loading(rules, selection, self.verifier, prior)
        generator, verifier = self._engines()
        return OptScale(
            generator,
            verifier,
            load_predictor(options.predictor),
            rules,
            prior=learning,
            selection=selection,
            source=options.source,
            allow_source_mismatch=options.allow_source_mismatch,
            in_flight=options.in_flight,
            reject=self.rejection(),
        )

    def limits(self) -> Limits:
        """On one task's run."""
        return Limits(self.options.limit_tokens, self.options.limit_seconds, self.options.question_seconds)

    def fingerprint(self) -> dict[str, object]:
        """All that answers depend on; JSON types, no secrets."""
        generator, verifier, options = asdict(self.generator), asdict(self.verifier), asdict(self.options)
        for part, neutral in (
            (generator, _NEUTRAL_GENERATOR),
            (generator["server"], _NEUTRAL_SERVER),
            (verifier, _NEUTRAL_VERIFIER),
            (options, ("policy", "policies", "record", "in_flight")),
        ):
            for name in neutral:
                del part[name]
        del generator["sampling"]["logprobs"]  # what is told of samples changes none
        named = {"generator": generator, "verifier": verifier, **options, "max_tokens": self.max_tokens}
        served = self.generator.base_url is not None
        rules = [str(rule) for rule in self.rules()]
        return {**named, "policies": rules, "selection": self.selection(), "served": served}

    def _engines(self) -> tuple[Generator, Verifier | None]:
        if self.options.pool is not None:
            recorded = RecordedGenerator(self.options.pool, self.options.scores)
            return recorded, RecordedVerifier(recorded)
        return self.generator.build(), self.verifier.build() if self.verifier.wanted else None


@cache
def _parser() -> FlagParser:
    """Of all that has a name of its own: made once, for a run reads its arguments twice, and it takes as long."""
    parser = FlagParser(prog="--model_args")
    parser.add_class_arguments(EvaluationOptions, as_group=False)
    parser.add_options(_GENERATOR)
    parser.add_options(_VERIFIER)
    return parser


def _require_settings(settings: Mapping[str, Any], flags: Sequence[str], values: Mapping[str, Any]) -> None:
    """Refuses what is no argument and no policy's setting, and settings of a policy that is not named."""
    known = {one.name for kind in POLICIES.values() for one in fields(kind)}  # type: ignore[arg-type]
    for name in settings:
        if name not in known:
            raise InputError(f"--model_args: there is no {name!r}{did_you_mean(name, [*flags, *sorted(known)])}")
    if settings and values["policies"] and values["policy"] is None:
        name = next(iter(settings))
        raise InputError(
            f"{name}={settings[name]} in --model_args is a setting of policy=, and none is named beside --policies: "
            f"write it there, as in NAME:{name}={settings[name]}"
        )


def _without_small_batch(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without lm-eval's ``--batch_size`` unless it is > 1: its default of 1 would draw one by one."""
    size = str(given.get("batch_size"))
    rest = {name: value for name, value in given.items() if name != "batch_size"}
    return {**rest, "batch_size": int(size)} if re.fullmatch("[0-9]{1,9}", size) and int(size) > 1 else rest

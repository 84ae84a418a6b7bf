"""``--model_args``: what of an evaluation is ours to say, checked and turned into generator, verifier and policies."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from optscale_predictor.backends.engines import make_generator, make_verifier
from optscale_predictor.backends.generators import Generator, SamplingParams, ServerOptions, VLLMOptions
from optscale_predictor.backends.verifiers import Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.policies import Policy, make_policy, parse_policy
from optscale_predictor.predictor import load_predictor
from optscale_predictor.replay.recorded_engines import RecordedGenerator, RecordedVerifier

_MOST_TOKENS = 256  # of a sample, where neither the user nor the task says

#: Arguments that change no answer: where things are served and kept, and how fast.
_NEUTRAL = ("base_url", "verifier_url", "record", "concurrency", "in_flight", "timeout", "max_retries", "send_seed")


@dataclass(frozen=True)
class Arguments:
    """What ``--model_args`` may say, besides the primary policy's settings.

    Attributes:
        generator: Model folder, hub id or ``embedded:generator``; with ``base_url`` the served model's name.
        verifier: Reward model or process reward model, ``judge:MODEL``, or your own as ``python:module:function``.
        verifier_url: Server of the verifier; in this process by default.
        verifier_layout: How a process reward model reads steps; ``auto`` asks its config.
        verifier_aggregate: What its steps' scores become: ``mean``, ``min``, ``product`` or ``last``.
        verifier_separator: What stands between two steps; the layout's own by default.
        policy: Name of the stopping rule; its settings (``score_min``, ``alpha`` and so on) are arguments too.
        policies: Further policies, separated by spaces, that share the samples; settings parted by ``;`` or ``,``.
        predictor: Predictor checkpoint; without one a vague prior.
        source: Which of the sources that the predictor has learnt; by default the one that generator and verifier are.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        engine: As ``engines.choose_engine`` takes it: ``auto``, ``transformers``, ``continuous``, ``vllm``, ``server``.
        vllm: Options of an in-process vLLM (``VLLMOptions``), where ``--model_args`` is JSON.
        base_url: An OpenAI-compatible server, or several, separated by spaces.
        timeout: Seconds that a server may take for one try, > 0.
        max_retries: How often a request is sent to a server again, >= 0.
        send_seed: Whether requests to a server carry a seed; some engines cannot take one.
        chat: Whether a prompt is a user's turn, put into the model's chat template; ``--apply_chat_template`` is
            lm-eval's own way, with examples as turns.
        pool: A scored pool whose samples are served in place of a generator's; no generator or verifier is loaded.
        temperature: Softmax temperature, >= 0; a task's own setting, which is greedy, does not apply to samples, but
            where it says ``do_sample``.
        top_p: Nucleus mass, in (0, 1].
        max_tokens: Most tokens a sample may have; by default the task's ``max_gen_toks``, or 256 where it has none.
        seed: Base seed, >= 0.
        concurrency: Requests under way at once at a server, >= 1.
        in_flight: Questions under way at once, >= 1.
        batch_size: Samples in one batch of an in-process model (lm-eval's ``--batch_size``).
        trust_remote_code: Whether to run code that a model's repository brings.
        limit_tokens: Generated tokens of one task's run at most, >= 1.
        limit_seconds: Wall time of one task's run at most, > 0.
        question_seconds: Wall time of one question at most, > 0.
        record: Folder for what the run leaves behind, one folder a task; see ``run_record``.
    """

    generator: str | None = None
    verifier: str | None = "embedded:verifier"
    verifier_url: str | None = None
    verifier_layout: str = "auto"
    verifier_aggregate: str = "mean"
    verifier_separator: str | None = None
    policy: str | None = None
    policies: str = ""
    predictor: str | None = None
    source: str | None = None
    allow_source_mismatch: bool = False
    engine: str = "auto"
    vllm: Mapping[str, Any] | None = None
    base_url: str | None = None
    timeout: float = 600.0
    max_retries: int = 8
    send_seed: bool = True
    chat: bool = False
    pool: str | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int | None = None
    seed: int = 0
    concurrency: int = 32
    in_flight: int = 1024
    batch_size: int | str | None = None
    trust_remote_code: bool = False
    limit_tokens: int | None = None
    limit_seconds: float | None = None
    question_seconds: float | None = None
    record: str | None = None
    settings: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Arguments":
        """The arguments among ``given``; what is left are the primary policy's settings."""
        names = {one.name for one in fields(cls)} - {"settings"}
        own = {name: value for name, value in given.items() if name in names}
        return cls(**own, settings={name: value for name, value in given.items() if name not in names})

    def rules(self) -> tuple[Policy, ...]:
        """The policies, the primary one first.

        Raises:
            InputError: One is not known, or a setting of it.
        """
        further = [parse_policy(one.replace(";", ",")) for one in str(self.policies).split()]
        if self.policy is None and further and not self.settings:
            return tuple(further)
        name, _, rest = (self.policy or "optscale").replace(";", ",").partition(":")
        primary = make_policy(name, self.settings) if self.settings or not rest else parse_policy(f"{name}:{rest}")
        return (primary, *(one for one in further if one != primary))

    def scaler(self) -> OptScale:
        """Everything loaded.

        Raises:
            InputError: Something named does not exist or is out of range.
        """
        rules = self.rules()
        generator, verifier = self._engines()
        predictor = load_predictor(self.predictor)
        more: dict[str, Any] = {
            "source": self.source,
            "allow_source_mismatch": self.allow_source_mismatch,
            "in_flight": int(self.in_flight),
        }
        return OptScale(generator, verifier, predictor, rules, **more)

    def limits(self) -> Limits:
        """On one task's run."""
        return Limits(self.limit_tokens, self.limit_seconds, self.question_seconds)

    def fingerprint(self) -> dict[str, object]:
        """All that answers depend on; JSON types, no secrets."""
        shaping = {name: value for name, value in asdict(self).items() if name not in (*_NEUTRAL, "settings", "policy")}
        return {**shaping, "policies": [str(rule) for rule in self.rules()], "served": self.base_url is not None}

    def _engines(self) -> tuple[Generator, Verifier | None]:
        if self.pool is not None:
            recorded = RecordedGenerator(self.pool)
            return recorded, RecordedVerifier(recorded)
        most = _MOST_TOKENS if self.max_tokens is None else int(self.max_tokens)
        sampling = SamplingParams(float(self.temperature), float(self.top_p), most, seed=int(self.seed))
        name = self.generator or (None if self.base_url else "embedded:generator")
        generator = make_generator(
            name,
            sampling,
            self.base_url,
            bool(self.chat),
            _whole_batch(self.batch_size),
            int(self.concurrency),
            engine=self.engine,
            vllm=_vllm_options(self.vllm),
            trust_remote_code=bool(self.trust_remote_code),
            server=ServerOptions(float(self.timeout), int(self.max_retries), send_seed=bool(self.send_seed)),
        )
        return generator, self._verifier()

    def _verifier(self) -> Verifier | None:
        if not self.verifier or self.verifier == "none":
            return None
        return make_verifier(
            self.verifier,
            trust_remote_code=bool(self.trust_remote_code),
            base_url=self.verifier_url,
            concurrency=int(self.concurrency),
            layout=self.verifier_layout,
            aggregate=self.verifier_aggregate,
            separator=self.verifier_separator,
        )


def _whole_batch(given: int | str | None) -> int:
    """lm-eval's ``--batch_size``, whose own default of 1 would be a slow joke for sampling."""
    return int(str(given)) if str(given).isdigit() and int(str(given)) > 1 else 512


def _vllm_options(given: Mapping[str, Any] | None) -> VLLMOptions | None:
    try:
        return None if given is None else VLLMOptions(**given)
    except TypeError as error:
        raise InputError(f"vllm: {error}") from error

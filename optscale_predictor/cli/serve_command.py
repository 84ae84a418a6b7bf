"""The verb that serves OptScale inference to OpenAI clients."""

import logging
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.messages import messages_dated
from optscale_predictor.backends.default_verifier import verifier_for
from optscale_predictor.backends.generators import SamplingParams, ServerOptions
from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
from optscale_predictor.cli.answer_command import given_settings

if TYPE_CHECKING:
    from optscale_predictor.backends.generators import Generator
    from optscale_predictor.predictor import OptScalePredictor
    from optscale_predictor.serving import ServeSettings

_LOG = logging.getLogger(__name__)
_KEY = "OPTSCALE_SERVE_API_KEY"
# A generator's server is asked again for as long as a request has time: the request's own time ends it.
_GENERATOR = GeneratorOptions(
    sampling=SamplingParams(max_tokens=1024),
    concurrency=256,
    server=ServerOptions(max_retries=10_000, longest_wait=5.0),
)
_VERIFIER = VerifierOptions()


def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    served_model_name: str | None = None,
    generator: GeneratorOptions = _GENERATOR,
    verifier: VerifierOptions = _VERIFIER,
    predictor: str | None = None,
    policy: str = "optscale",
    score_min: float | None = None,
    alpha: float | None = None,
    max_samples: int | None = None,
    selection: str | None = None,
    client_policies: str | None = None,
    prompt_file: str | None = None,
    max_in_flight: int = 256,
    max_waiting: int = 1024,
    timeout: float = 600.0,
    grace: float = 30.0,
    max_body: int = 4 << 20,
    max_connections: int = 4096,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    prior: str | None = None,
) -> None:
    """Serve an OpenAI-compatible endpoint that answers with the chosen sample.

    Clients change their URL and nothing else; what it cost is in each answer's `usage`. SIGTERM and Ctrl-C end it:
    what is under way is finished first. Where the environment has OPTSCALE_SERVE_API_KEY, clients must show it.

    Args:
        host: Interface to serve at; 127.0.0.1 for this machine alone.
        port: Port, in [0, 65535]; 0 for any that is free.
        served_model_name: The model's name for clients; by default the generator's.
        generator: What draws samples; its sampling holds where a client names nothing else. With `chat` true
            conversations go through its chat template and nothing else is served; with false a conversation is a
            single message, which is the prompt.
        verifier: What scores them; `none` for policies that look at answers alone.
        predictor: Predictor checkpoint; without one a vague prior.
        policy: The stopping rule, for example `best_of_n:max_samples=8`; the three flags that follow set it too.
        score_min: Target score, in [0, 1]; of `optscale` 0.95 by default.
        alpha: Target probability of reaching it, in (0, 1); of `optscale` 0.95 by default.
        max_samples: Cap on a question's samples, >= 1; of `optscale` 32 by default. Clients may ask for fewer.
        selection: How the answer is chosen among the samples: `best_score`, `majority`, `weighted_majority`, or
            `confidence:FOLDER` with the folder of a fitted policy; by default the policy's own rule.
        client_policies: What clients may choose in place of `policy`: names, separated by spaces, with the values of
            settings where they are to be restricted, as in `optscale best_of_n:max_samples=1..8 esc:window=3|5`;
            `none` for nothing. By default every policy that decides within milliseconds and needs no file.
        prompt_file: Text file with {question} in it, put around the last user's turn; the bare turn by default.
        max_in_flight: Questions at work at once, >= 1.
        max_waiting: Questions that may wait for their turn, >= 0; more are refused with 429.
        timeout: Seconds that a request may take, > 0; clients may ask for less.
        grace: Seconds, >= 0, for what is under way when the server is told to stop.
        max_body: Bytes that a request's body may have, >= 1.
        max_connections: Connections of clients at once, >= 1; one more is told so and closed.
        source: Name of one of the predictor's score sources; by default the one that matches generator and verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        prior: `learnt`: each question starts from a prior that is learnt from the questions that have been answered;
            `learnt:block=8` says how many questions the first blocks have. In place of a predictor.
    """
    from optscale_predictor.policies import parse_policy

    rule = parse_policy(policy, given_settings(score_min=score_min, alpha=alpha, max_samples=max_samples))
    from optscale_predictor.backends.generators import warning_at_end
    from optscale_predictor.inference import OptScale
    from optscale_predictor.inference.policy_needs import require_before_loading
    from optscale_predictor.policies.selection import require_selection
    from optscale_predictor.questions.prompts import PromptTemplate
    from optscale_predictor.serving import (
        CLIENT_POLICIES,
        ClientPolicies,
        ServeSettings,
        bind,
        is_loopback,
        require_servable,
    )
    from optscale_predictor.serving import serve as serve_at
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

    require_servable(rule)
    if selection is not None:
        require_selection(selection)
    verifier = verifier_for(generator, verifier)
    learning = None if prior is None else LearntPrior.parse(prior)
    settings = ServeSettings(
        served_model_name if served_model_name is not None else "its own",
        max_in_flight=max_in_flight,
        max_waiting=max_waiting,
        timeout=timeout,
        grace=grace,
        max_body=max_body,
        max_connections=max_connections,
        generator_urls=tuple((generator.base_url or "").split()),
        client_policies=ClientPolicies.parse(CLIENT_POLICIES if client_policies is None else client_policies),
        api_key=os.environ.get(_KEY, ""),
    )
    prompt = PromptTemplate.from_file(prompt_file)
    require_before_loading([rule], selection, verifier, predictor is not None or prior is not None)
    with bind(host, port) as bound:  # before anything is loaded: a port that is taken costs no minutes
        drawing = within_requests(generator, timeout).build()
        scoring = verifier.build() if verifier.wanted else None
        learnt = _loaded(predictor)
        scaler = OptScale(
            drawing,
            scoring,
            learnt,
            rule,
            prompt=prompt,
            prior=learning,
            selection=selection,
            source=source,
            allow_source_mismatch=allow_source_mismatch,
        )
        settings = _fitting(settings, served_model_name, drawing, generator.chat)
        if not settings.api_key and not is_loopback(host):
            _LOG.warning(f"anybody who reaches {host}:{port} is served; {_KEY} sets a key")
        with messages_dated(), warning_at_end(drawing):
            serve_at(
                scaler,
                settings,
                bound,
                lambda url: print(f"serving {settings.name} at {url}/v1 with {rule}; Ctrl-C ends it", flush=True),
            )
    _leave()


def _loaded(predictor: str | None) -> "OptScalePredictor | None":
    """The predictor; without one neither it nor torch is imported, which takes seconds and 200 MiB."""
    if predictor is None:
        return None
    from optscale_predictor.predictor import load_predictor

    return load_predictor(predictor)


def within_requests(generator: GeneratorOptions, timeout: float) -> GeneratorOptions:
    """The same generator; where no time of a try is given, one may take as long as a request.

    Args:
        generator: As the flags say.
        timeout: Seconds that a request may take, > 0.
    """
    if generator.server.timeout is not None:
        return generator
    return replace(generator, server=replace(generator.server, timeout=timeout))


def _fitting(settings: "ServeSettings", name: str | None, generator: "Generator", chat: bool | None) -> "ServeSettings":
    """The settings, with what only the loaded generator can tell."""
    conversations = generator.takes_conversations() if chat is None else chat
    return replace(
        settings,
        name=name or _name_of(generator),
        conversations=conversations,
        prompts=not chat,
        chat_fields=generator.takes_chat_fields(),
    )


def _leave() -> None:
    """Ends the process at once where a thread still waits for a verifier; its result is no longer needed."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("optscale-batch-worker") for thread in threading.enumerate()):
        os._exit(0)


def _name_of(generator: "Generator") -> str:
    """The generator's model name; of a local folder its last part, as clients must not learn paths of the server."""
    name = str(generator.describe()["model"])
    return Path(name).name if Path(name).is_dir() else name

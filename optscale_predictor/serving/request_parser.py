"""From a request's body to what answers it: a question, the generator's prompt, sampling parameters and a policy.

The generator reads the whole conversation. Verifier and predictor read the last user's turn, which is the question.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from uuid import uuid4

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy, parse_policy
from optscale_predictor.questions.question import Question, require_encodable
from optscale_predictor.serving.api_errors import ApiError, field_error, shown
from optscale_predictor.serving.request_bodies import (
    ChatBody,
    CompletionBody,
    OptscaleOptions,
    RequestBody,
    parse_body,
)
from optscale_predictor.serving.servable_policies import FILE_SETTINGS, ClientPolicies, require_servable
from optscale_predictor.serving.serve_settings import ServeSettings

#: Pairs of role and content.
Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ParsedRequest:
    """A request that can be answered.

    Attributes:
        id: The reply's id.
        chat: Whether it is a chat completion.
        question: What verifier and predictor read.
        prompt: What the generator reads.
        messages: The conversation that it reads in place of the prompt, pairs of role and content; empty: none.
        sampling: How samples are drawn.
        policy: How many.
        timeout: Seconds that it may take from its arrival, > 0.
        stream: Whether the answer is streamed.
        include_usage: Whether the stream ends with its usage.
    """

    id: str
    chat: bool
    question: Question
    prompt: str
    messages: Turns
    sampling: SamplingParams
    policy: Policy
    timeout: float
    stream: bool
    include_usage: bool


class RequestParser:
    """Parses requests.

    Args:
        scaler: What will answer them.
        settings: The server's.
    """

    def __init__(self, scaler: OptScale, settings: ServeSettings) -> None:
        self._scaler, self._settings, self._own_policy = scaler, settings, scaler.policies[0]

    def chat(self, raw: bytes) -> ParsedRequest:
        """A request for a chat completion.

        Args:
            raw: Its body.

        Raises:
            ApiError: It cannot be honoured; names the field.
        """
        body = parse_body(raw, ChatBody)
        self._require_model(body)
        turns = tuple(message.turn for message in body.messages)
        _require_last_turn(turns, body)
        text = _question_in(turns)
        prompt = self._scaler.prompt(text)
        if self._settings.conversations:
            return self._parsed(body, f"chatcmpl-{uuid4().hex}", text, prompt, _with_question(turns, prompt))
        if len(turns) > 1:
            raise field_error("messages", "this model has no chat template and takes a single message of the user")
        return self._parsed(body, f"chatcmpl-{uuid4().hex}", text, prompt, ())

    def completion(self, raw: bytes) -> ParsedRequest:
        """A request for a completion.

        Args:
            raw: Its body.

        Raises:
            ApiError: It cannot be honoured; names the field.
        """
        body = parse_body(raw, CompletionBody)
        self._require_model(body)
        if not self._settings.prompts:
            raise ApiError(400, "this server takes conversations alone; ask /v1/chat/completions", "prompt")
        return self._parsed(body, f"cmpl-{uuid4().hex}", body.prompt, self._scaler.prompt(body.prompt), ())

    def _require_model(self, body: RequestBody) -> None:
        if body.model != self._settings.name:
            message = f"the model {shown(body.model)} does not exist; this server serves {self._settings.name!r}"
            raise ApiError(404, message, "model", "model_not_found")

    def _parsed(self, body: RequestBody, name: str, text: str, prompt: str, messages: Turns) -> ParsedRequest:
        if body.stream_options is not None and not body.stream:
            raise field_error("stream_options", "only goes with stream")
        # A request's random numbers follow from its question's id: equal seeds give equal samples, and questions that
        # differ in nothing else can share an engine's batch.
        question = Question(name if body.seed is None else f"seed {body.seed}", text)
        parsed = ParsedRequest(
            id=name,
            chat=isinstance(body, ChatBody),
            question=question,
            prompt=prompt,
            messages=messages,
            sampling=self._sampling(body),
            policy=requested_policy(body.optscale, self._own_policy, self._settings.client_policies),
            timeout=self._timeout(body.optscale),
            stream=body.stream,
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
        )
        self._require_answerable(parsed)
        return parsed

    def _sampling(self, body: RequestBody) -> SamplingParams:
        """The server's own sampling parameters, where the body names no others."""
        longest, newer = body.max_tokens, body.max_completion_tokens
        if longest is not None and newer is not None and longest != newer:
            raise field_error("max_tokens", "max_completion_tokens says something else")
        given: dict[str, object] = {
            "temperature": body.temperature,
            "top_p": body.top_p,
            "max_tokens": longest if newer is None else newer,
            "stop": (body.stop,) if isinstance(body.stop, str) else body.stop and tuple(body.stop),
        }
        known = {name: value for name, value in given.items() if value is not None}
        return replace(self._scaler.generator.sampling, **known)  # type: ignore[arg-type]

    def _timeout(self, options: OptscaleOptions) -> float:
        longest = self._settings.timeout
        if options.timeout is not None and options.timeout > longest:
            raise field_error("optscale.timeout", f"must lie in (0, {longest:g}] seconds, got {options.timeout:g}")
        return longest if options.timeout is None else options.timeout

    def _require_answerable(self, parsed: ParsedRequest) -> None:
        """Checks, before anything is drawn, that text is text, that there is room for it, that the policy can run."""
        where = "messages" if parsed.chat else "prompt"
        texts = (parsed.prompt, *(content for _, content in parsed.messages))
        _require_encodable(texts, where)
        _require_encodable(parsed.sampling.stop, "stop")
        generator = self._scaler.generator.with_sampling(parsed.sampling)
        try:
            generator.check_sampling()
        except InputError as error:
            raise ApiError(400, str(error), "temperature") from None
        try:
            generator.check(Request(parsed.id, parsed.prompt, 1, 0, parsed.messages))
        except InputError as error:
            raise ApiError(400, str(error), where) from None
        try:
            self._scaler.require_usable([parsed.policy])
        except InputError as error:
            raise field_error("optscale.policy", str(error)) from None


def requested_policy(options: OptscaleOptions, own: Policy, allowed: ClientPolicies) -> Policy:
    """The policy for a request: the server's own or the one that is named, with the settings that are named.

    No policy may draw more samples than the server's own cap, and none may name a file.

    Args:
        options: What the client asks for.
        own: The server's policy.
        allowed: What clients may choose in its place.

    Raises:
        ApiError: The policy or a value is not one that clients may choose, a setting is not one of the policy's, or it
            goes beyond the server's cap.
    """
    policy = own if options.policy is None else _named_policy(options.policy, own, allowed)
    asked = {"score_min": options.score_min, "alpha": options.alpha, "max_samples": options.max_samples}
    changes: dict[str, float] = {name: value for name, value in asked.items() if value is not None}
    if options.max_samples is not None:
        _require_within_cap(options.max_samples, own, "optscale.max_samples")
    known = {setting.name for setting in fields(policy)}  # type: ignore[arg-type]
    for name in changes:
        if name not in known:
            raise field_error(f"optscale.{name}", f"policy {policy.name!r} has no such setting")
    try:
        changed = replace(policy, **changes) if changes else policy  # type: ignore[type-var]
        allowed.require_settings(changed, own)
    except InputError as error:  # values that are not allowed, or do not go together
        raise field_error("optscale" if options.policy is None else "optscale.policy", str(error)) from None
    return changed


def _named_policy(text: str, own: Policy, allowed: ClientPolicies) -> Policy:
    param = "optscale.policy"
    name, _, rest = text.partition(":")
    keys = [part.partition("=")[0].strip() for part in rest.split(",")]
    for key in keys:
        if key in FILE_SETTINGS:
            raise field_error(param, f"{key} names a file on the server, which is the server's affair")
    try:
        allowed.require_name(name.strip())
        policy = parse_policy(text)
        require_servable(policy)
        if "max_samples" not in keys:  # its default is nobody's request
            cap = int(min(policy.max_samples, own.max_samples, allowed.cap(policy.name)))
            policy = replace(policy, max_samples=cap)  # type: ignore[type-var]
    except InputError as error:
        raise field_error(param, str(error)) from None
    _require_within_cap(policy.max_samples, own, param)
    return policy


def _require_within_cap(max_samples: int, own: Policy, param: str) -> None:
    if max_samples > own.max_samples:
        raise field_error(param, f"max_samples must be <= {own.max_samples}, this server's own cap, got {max_samples}")


def _require_last_turn(turns: Turns, body: ChatBody) -> None:
    """Checks that the last turn is the one that the generator's is to follow, or to go on from."""
    if body.add_generation_prompt not in (None, not body.continue_final_message):
        raise field_error("add_generation_prompt", "must be the opposite of continue_final_message")
    last = "assistant" if body.continue_final_message else "user"
    if turns[-1][0] != last:
        hint = "" if body.continue_final_message else "; with continue_final_message the assistant's"
        raise field_error("messages", f"the last message must be the {last}'s{hint}")


def _question_in(turns: Turns) -> str:
    """The last user's turn."""
    question = next((content for role, content in reversed(turns) if role == "user"), "")
    if not question.strip():
        raise field_error("messages", "there must be a message of the user that is not empty")
    return question


def _with_question(turns: Turns, question: str) -> Turns:
    """The same conversation with another last user's turn."""
    last = max(index for index, (role, _) in enumerate(turns) if role == "user")
    return (*turns[:last], ("user", question), *turns[last + 1 :])


def _require_encodable(texts: Sequence[str], param: str) -> None:
    """Checks that texts are Unicode: JSON can spell half a surrogate pair, which no tokenizer takes."""
    try:
        for text in texts:
            require_encodable(Question("", text), param)
    except InputError as error:
        raise ApiError(400, str(error), param) from None

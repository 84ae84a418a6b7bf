"""From a request's body to what answers it: a question, the generator's prompt, sampling parameters and a policy.

The generator reads the whole conversation. Verifier and predictor read the last user's turn, which is the question.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import uuid4

from optscale_predictor.backends.generators import ChatFields, Request, SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy
from optscale_predictor.questions.question import Question, require_encodable
from optscale_predictor.serving.api_errors import ApiError, field_error
from optscale_predictor.serving.full_chat_body import chat_body
from optscale_predictor.serving.request_bodies import (
    CompletionBody,
    ConversationBody,
    OptscaleOptions,
    RequestBody,
    Turns,
    parse_body,
)
from optscale_predictor.serving.requested_policy import policy_field, policy_in_model, requested_policy
from optscale_predictor.serving.serve_settings import ServeSettings


@dataclass(frozen=True)
class ParsedRequest:
    """A request that can be answered.

    Attributes:
        id: The reply's id.
        chat: Whether it is a chat completion.
        question: What verifier and predictor read.
        prompt: What the generator reads.
        messages: The conversation that it reads in place of the prompt, pairs of role and content; empty: none.
        beside_text: What that says beside text; None: nothing.
        sampling: How samples are drawn.
        policy: How many.
        policy_field: Where it is named, or would be.
        timeout: Seconds that it may take from its arrival, > 0.
        stream: Whether the answer is streamed.
        include_usage: Whether the stream ends with its usage.
        include_samples: Whether the reply holds all samples.
    """

    id: str
    chat: bool
    question: Question
    prompt: str
    messages: Turns
    beside_text: ChatFields | None
    sampling: SamplingParams
    policy: Policy
    policy_field: str
    timeout: float
    stream: bool
    include_usage: bool
    include_samples: bool


class RequestParser:
    """Parses requests.

    Args:
        scaler: What will answer them.
        settings: The server's.
    """

    def __init__(self, scaler: OptScale, settings: ServeSettings) -> None:
        self._scaler, self._settings, self._own_policy = scaler, settings, scaler.policies[0]

    def chat(self, raw: bytes, policy: str | None = None) -> ParsedRequest:
        """A request for a chat completion.

        Args:
            raw: Its body.
            policy: The policy that its header names; None where it names none.

        Raises:
            ApiError: It cannot be honoured; names the field.
        """
        body = parse_body(raw, chat_body(self._settings))
        own_policy = policy_in_model(body.model, self._settings.name)
        turns = body.turns
        _require_last_turn(turns, body)
        text = _question_in(turns)
        prompt, name = self._scaler.prompt(text), f"chatcmpl-{uuid4().hex}"
        if not self._settings.conversations:
            if len(turns) > 1:
                raise field_error("messages", "this model has no chat template and takes a single message of the user")
            return self._parsed(body, name, text, prompt, own_policy, policy)
        turns = _with_question(turns, prompt)
        return self._parsed(body, name, text, prompt, own_policy, policy, turns, body.beside_text(turns))

    def completion(self, raw: bytes, policy: str | None = None) -> ParsedRequest:
        """A request for a completion.

        Args:
            raw: Its body.
            policy: The policy that its header names; None where it names none.

        Raises:
            ApiError: It cannot be honoured; names the field.
        """
        body = parse_body(raw, CompletionBody)
        own_policy = policy_in_model(body.model, self._settings.name)
        if not self._settings.prompts:
            raise ApiError(400, "this server takes conversations alone; ask /v1/chat/completions", "prompt")
        prompt = self._scaler.prompt(body.prompt)
        return self._parsed(body, f"cmpl-{uuid4().hex}", body.prompt, prompt, own_policy, policy)

    def require_model(self, name: str) -> None:
        """Checks that a name is the served model's, with or without a policy behind it.

        Raises:
            ApiError: It is not, or clients may not choose the policy.
        """
        self._policy(OptscaleOptions(), policy_in_model(name, self._settings.name), None)

    def _parsed(
        self,
        body: RequestBody,
        name: str,
        text: str,
        prompt: str,
        policy_in_name: str | None,
        policy_in_header: str | None,
        messages: Turns = (),
        beside_text: ChatFields | None = None,
    ) -> ParsedRequest:
        if body.stream_options is not None and not body.stream:
            raise field_error("stream_options", "only goes with stream")
        # A request's random numbers follow from its question's id: equal seeds give equal samples, and questions that
        # differ in nothing else can share an engine's batch.
        question = Question(name if body.seed is None else f"seed {body.seed}", text)
        parsed = ParsedRequest(
            id=name,
            chat=isinstance(body, ConversationBody),
            question=question,
            prompt=prompt,
            messages=messages,
            beside_text=beside_text,
            sampling=self._sampling(body),
            policy=self._policy(body.optscale, policy_in_name, policy_in_header),
            policy_field=policy_field(body.optscale, policy_in_name, policy_in_header),
            timeout=self._timeout(body.optscale),
            stream=body.stream,
            include_usage=body.stream_options is not None and body.stream_options.include_usage,
            include_samples=body.optscale.include_samples,
        )
        self._require_answerable(parsed)
        return parsed

    def _policy(self, options: OptscaleOptions, in_model: str | None, in_header: str | None) -> Policy:
        return requested_policy(options, self._own_policy, self._settings.client_policies, in_model, in_header)

    def _sampling(self, body: RequestBody) -> SamplingParams:
        """The server's own sampling parameters, where the body names no others."""
        longest, newer = body.max_tokens, body.max_completion_tokens
        if longest is not None and newer is not None and longest != newer:
            raise field_error("max_tokens", "max_completion_tokens says something else")
        given: dict[str, object] = {
            "temperature": body.temperature,
            "top_p": body.top_p,
            "max_tokens": longest if newer is None else newer,
            "stop": (body.stop,) if isinstance(body.stop, str) else body.stop,
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
        if parsed.beside_text is not None:
            _require_encodable([_text_in(parsed.beside_text.messages)], where)
            for field, value in parsed.beside_text.body.items():
                _require_encodable([_text_in(value)], field)
        generator = self._scaler.generator.with_sampling(parsed.sampling)
        try:
            generator.check_sampling()
        except InputError as error:
            raise ApiError(400, str(error), "temperature") from None
        try:
            generator.check(Request(parsed.id, parsed.prompt, 1, 0, parsed.messages, parsed.beside_text))
        except InputError as error:
            raise ApiError(400, str(error), where) from None
        try:
            self._scaler.require_usable([parsed.policy])
        except InputError as error:
            raise field_error(parsed.policy_field, str(error)) from None


def _require_last_turn(turns: Turns, body: ConversationBody) -> None:
    """Checks that the last turn is the one that the generator's is to follow, or to go on from."""
    if body.add_generation_prompt not in (None, not body.continue_final_message):
        raise field_error("add_generation_prompt", "must be the opposite of continue_final_message")
    last = ("assistant",) if body.continue_final_message else ("user", "tool")
    if turns[-1][0] not in last:
        hint = "" if body.continue_final_message else "; with continue_final_message the assistant's"
        raise field_error("messages", f"the last message must be the {last[0]}'s{hint}")


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


def _text_in(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _require_encodable(texts: Sequence[str], param: str) -> None:
    """Checks that texts are Unicode: JSON can spell half a surrogate pair, which no tokenizer takes."""
    try:
        for text in texts:
            require_encodable(Question("", text), param)
    except InputError as error:
        raise ApiError(400, str(error), param) from None

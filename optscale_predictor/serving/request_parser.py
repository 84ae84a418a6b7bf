"""Requests as clients send them: every field honoured, or refused by its name; none is passed over in silence."""

from dataclasses import dataclass, replace
from uuid import uuid4

from optscale_predictor.backends.generators import Request, SamplingParams
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.policies import Policy
from optscale_predictor.questions.question import Question, require_encodable
from optscale_predictor.serving.api_errors import Refusal, bad_field
from optscale_predictor.serving.conversation import Messages, question_in, read_messages, with_question
from optscale_predictor.serving.request_fields import Fields, shown
from optscale_predictor.serving.request_options import read_policy
from optscale_predictor.serving.serve_settings import ServeSettings

#: Fields that may only say what holds anyway, by what they would need.
_ONLY: dict[str, tuple[tuple[object, ...], str]] = {
    "n": ((1,), "one answer is chosen among many samples, so n can only be 1"),
    "best_of": ((1,), "how many samples are drawn is the policy's affair (optscale.max_samples)"),
    "logprobs": ((False,), "log-probabilities are not kept"),
    "top_logprobs": ((0,), "log-probabilities are not kept"),
    "frequency_penalty": ((0, 0.0), "penalties are not supported"),
    "presence_penalty": ((0, 0.0), "penalties are not supported"),
    "logit_bias": (({},), "biases are not supported"),
    "tools": (([],), "tools are not supported"),
    "tool_choice": (("none", "auto"), "tools are not supported"),
    "parallel_tool_calls": ((True, False), "tools are not supported"),
    "functions": (([],), "functions are not supported"),
    "function_call": (("none", "auto"), "functions are not supported"),
    "response_format": (({"type": "text"},), "only text is supported"),
    "modalities": ((["text"],), "only text is supported"),
    "audio": ((), "only text is supported"),
    "store": ((False,), "nothing is stored"),
    "metadata": (({},), "nothing is stored"),
    "service_tier": (("auto", "default"), "there are no tiers"),
    "echo": ((False,), "the prompt is not part of the answer"),
    "suffix": (("",), "nothing can be put in between"),
}

#: Fields that say who asks, which changes nothing about the answer.
_WHO = ("user", "safety_identifier", "prompt_cache_key")

_MOST_STOPS = 16


@dataclass(frozen=True)
class Asked:
    """A request that was read.

    Attributes:
        id: The reply's id.
        chat: Whether it is a chat completion.
        question: What verifier and predictor read.
        prompt: What the generator reads.
        messages: The conversation that it reads in place of the prompt, where there is one.
        sampling: How samples are drawn.
        policy: How many.
        seconds: Wall time that it may take, > 0.
        stream: Whether the answer is streamed.
        include_usage: Whether the stream ends with its usage.
    """

    id: str
    chat: bool
    question: Question
    prompt: str
    messages: Messages
    sampling: SamplingParams
    policy: Policy
    seconds: float
    stream: bool
    include_usage: bool


class Reader:
    """Reads requests.

    Args:
        scaler: What will answer them.
        settings: The server's.
    """

    def __init__(self, scaler: OptScale, settings: ServeSettings) -> None:
        self._scaler, self._settings, self._own = scaler, settings, scaler.policies[0]

    def chat(self, body: object) -> Asked:
        """A request for a chat completion.

        Raises:
            Refusal: It cannot be honoured; names the field.
        """
        fields = self._fields(body)
        messages = read_messages(fields.take("messages"))
        self._require_end(messages, fields)
        text = question_in(messages)
        prompt = self._scaler.prompt(text)
        if self._settings.conversations:
            return self._finish(fields, "chatcmpl", text, prompt, with_question(messages, prompt))
        if len(messages) > 1:
            raise bad_field("messages", "this model has no chat template and takes a single message of the user")
        return self._finish(fields, "chatcmpl", text, prompt, ())

    def completion(self, body: object) -> Asked:
        """A request for a completion; see :meth:`chat`."""
        fields = self._fields(body)
        if not self._settings.prompts:
            raise Refusal(400, "this server takes conversations alone; ask /v1/chat/completions", "prompt")
        prompt = fields.take("prompt")
        if isinstance(prompt, list) and len(prompt) == 1:
            prompt = prompt[0]
        if not isinstance(prompt, str) or not prompt.strip():
            raise bad_field("prompt", f"must be one text that is not empty, got {shown(prompt)}")
        return self._finish(fields, "cmpl", prompt, self._scaler.prompt(prompt), ())

    def _fields(self, body: object) -> Fields:
        fields = Fields(body)
        model = fields.text("model")
        if model is None:
            raise bad_field("model", "must be given")
        if model != self._settings.name:
            message = f"the model {shown(model)} does not exist; this server serves {self._settings.name!r}"
            raise Refusal(404, message, "model", "model_not_found")
        return fields

    def _require_end(self, messages: Messages, fields: Fields) -> None:
        """Takes the pair of fields with which vLLM's clients have an assistant's turn go on."""
        goes_on = fields.flag("continue_final_message")
        prompted = fields.take("add_generation_prompt")
        if prompted not in (None, not goes_on):
            raise bad_field("add_generation_prompt", "must be the opposite of continue_final_message")
        last = "assistant" if goes_on else "user"
        if messages[-1][0] != last:
            hint = "" if goes_on else "; with continue_final_message the assistant's"
            raise bad_field("messages", f"the last message must be the {last}'s{hint}")

    def _finish(self, fields: Fields, kind: str, text: str, prompt: str, messages: Messages) -> Asked:
        seed, name = fields.whole("seed"), f"{kind}-{uuid4().hex}"
        stream = fields.flag("stream")
        include_usage = self._stream_options(fields, stream)
        sampling = self._sampling(fields)
        wishes = Fields(fields.take("optscale") or {}, "optscale")
        policy, seconds = read_policy(wishes, self._own), self._seconds(wishes)
        wishes.end()
        for field in _WHO:
            fields.text(field)
        for field, (values, why) in _ONLY.items():
            fields.allow(field, values, why)
        fields.end()
        # Requests have seeds of their own, made of their question's id: equal seeds give equal samples, and questions
        # that differ in nothing else can share an engine's batch.
        question = Question(name if seed is None else f"seed {seed}", text)
        asked = Asked(
            name, kind == "chatcmpl", question, prompt, messages, sampling, policy, seconds, stream, include_usage
        )
        self._require_servable(asked)
        return asked

    def _sampling(self, fields: Fields) -> SamplingParams:
        wished: dict[str, object] = {"temperature": fields.number("temperature"), "top_p": fields.number("top_p")}
        most, newer = fields.whole("max_tokens"), fields.whole("max_completion_tokens")
        if most is not None and newer is not None and most != newer:
            raise bad_field("max_tokens", "max_completion_tokens says something else")
        wished["max_tokens"] = most if newer is None else newer
        wished["stop"] = self._stop(fields.take("stop"))
        given = {name: value for name, value in wished.items() if value is not None}
        try:
            return replace(self._scaler.generator.sampling, **given)  # type: ignore[arg-type]
        except InputError as error:
            raise Refusal(400, str(error), str(error).split()[0]) from None

    def _stop(self, value: object) -> tuple[str, ...] | None:
        if value is None:
            return None
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or len(given) > _MOST_STOPS:
            raise bad_field("stop", f"must be a string or a list of at most {_MOST_STOPS}, got {shown(value)}")
        if not all(isinstance(one, str) and one for one in given):
            raise bad_field("stop", f"must be strings that are not empty, got {shown(value)}")
        return tuple(given)

    def _stream_options(self, fields: Fields, stream: bool) -> bool:
        given = fields.take("stream_options")
        if given is None:
            return False
        if not stream:
            raise bad_field("stream_options", "only goes with stream")
        options = Fields(given, "stream_options")
        include_usage = options.flag("include_usage")
        options.allow("include_obfuscation", (False,), "streams are not obfuscated")
        options.end()
        return include_usage

    def _seconds(self, wishes: Fields) -> float:
        seconds = wishes.number("timeout")
        if seconds is None:
            return self._settings.timeout
        if not 0 < seconds <= self._settings.timeout:
            raise bad_field("optscale.timeout", f"must lie in (0, {self._settings.timeout:g}] seconds, got {seconds:g}")
        return seconds

    def _require_servable(self, asked: Asked) -> None:
        """Checks, before anything is drawn, that text is text, that there is room for it, that the policy can run."""
        where = "messages" if asked.chat else "prompt"
        try:
            for text in (asked.prompt, *(content for _, content in asked.messages), *asked.sampling.stop):
                require_encodable(Question("", text), where)
            self._scaler.generator.check(Request(asked.id, asked.prompt, 1, 0, asked.messages))
        except InputError as error:
            raise Refusal(400, str(error), where) from None
        try:
            self._scaler.require_usable([asked.policy])
        except InputError as error:
            raise bad_field("optscale.policy", str(error)) from None

"""What a request for samples says to a server: all but its prompt and seed is the same for a run, and written once."""

from collections.abc import Mapping
from typing import Any

from optscale_predictor.backends.generators.engine_options import ServerOptions
from optscale_predictor.backends.generators.generator import Request
from optscale_predictor.backends.generators.reply_reader import LOGPROBS, TOKEN_IDS
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.posted_json import PostedJson, PostedTemplate

_MOST_KINDS = 256  # of requests that are remembered: clients may bring sampling of their own
_Kind = tuple[SamplingParams, int, str, str, bool, bool]
_Known = tuple[Mapping[str, Any], PostedTemplate]  # and the fields of samplers that it was made with


class RequestPayloads:
    """The payloads of requests for samples of one model.

    Args:
        model: Its name at the server.
        chat: Whether to ask the chat endpoint, whatever the request.
        options: How the servers are asked.
    """

    def __init__(self, model: str, chat: bool, options: ServerOptions) -> None:
        self._model, self._chat, self._options = model, chat, options
        self._templates: dict[_Kind, _Known] = {}
        self._last: tuple[_Kind | None, _Known | None] = None, None

    def is_chat(self, request: Request) -> bool:
        """Whether a request is for the chat endpoint."""
        return self._chat or bool(request.messages)

    def posted(
        self,
        request: Request,
        sampling: SamplingParams,
        count: int,
        seed: int,
        way: str,
        limit: str,
        plain: Mapping[str, Any],
    ) -> PostedJson:
        """What is posted for samples.

        Args:
            request: Whose prompt they answer.
            sampling: How they are drawn.
            count: How many, >= 1.
            seed: The request's; not sent where the servers are not to get one.
            way: How their tokens are counted: ``TOKEN_IDS``, ``LOGPROBS`` or ``USAGE``.
            limit: The field that limits a sample's tokens.
            plain: Fields that switch the servers' other samplers off, the same object while they are the same; a user's
                own go first.
        """
        chat = self.is_chat(request)
        text = {"messages": request.turns()} if chat else {"prompt": _prompt(request)}
        seeded = {"seed": seed} if self._options.send_seed else {}
        varying: dict[str, object] = {**text, **seeded}
        kind = (sampling, count, way, limit, chat, request.continues)
        known = None
        if request.chat is None:
            # Asking the same objects whether they are equal is cheap, where their hash is computed each time.
            known = self._last[1] if kind == self._last[0] else self._templates.get(kind)
        if known is None or known[0] is not plain:
            asked = {"model": self._model, "n": count, "temperature": sampling.temperature, "top_p": sampling.top_p}
            payload = {**plain, **self._options.extra_body, **asked, **text}
            if request.continues:
                payload |= {"add_generation_prompt": False, "continue_final_message": True}
            payload |= {"stop": list(sampling.stop)} if sampling.stop else {}
            payload |= {limit: sampling.max_tokens, **seeded, **_counting(way, sampling.logprobs, chat)}
            if request.chat is not None:
                return PostedJson.of({**payload, **request.chat.body})
            if len(self._templates) >= _MOST_KINDS:
                self._templates.clear()
            known = self._templates[kind] = plain, PostedTemplate(payload, varying)
            self._last = kind, known
        return known[1].filled(varying)


def _prompt(request: Request) -> str:
    return request.prompt + (request.prefix.text if request.prefix else "")


def _counting(way: str, logprobs: bool, chat: bool) -> dict[str, object]:
    """What asks for the tokens' ids or log-probabilities."""
    fields: dict[str, object] = {"return_token_ids": True} if way == TOKEN_IDS else {}
    if way == LOGPROBS or logprobs:
        fields["logprobs"] = True if chat else 0
    if logprobs:
        # One alternative, which nobody reads: llama.cpp lists no log-probabilities where none is asked for.
        fields["top_logprobs" if chat else "logprobs"] = 1
    return fields

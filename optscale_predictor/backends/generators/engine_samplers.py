"""The samplers that engines have besides temperature and top-p: switched off, or stated.

The bound N* and every estimate of this package take samples for independent draws from the model's own distribution.
Engines filter it unless they are told not to. llama.cpp's chain has top-k 40, top-p 0.95 and min-p 0.05; servers of
vLLM and SGLang take top-k, min-p and penalties of repetition from the model folder's ``generation_config.json``. A
request that only names temperature and top-p is drawn from what these leave, and nothing in the reply tells.

So each request to a server carries the values at which such samplers do nothing, under the names that its kind of
server has. A server of unknown kind may refuse a field that it does not know: that field is then left out, with one
warning. The engines that run in this process have no other samplers than those that this package gives them.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optscale_predictor.errors import RequestRefusedError

_LOG = logging.getLogger(__name__)

#: A key in a generator's description, and its values beside a mapping of those that are on.
OTHER_SAMPLERS, OFF, UNKNOWN = "other_samplers", "off", "unknown"

#: As vLLM and SGLang call them: what a ``generation_config.json`` can set there.
_FROM_MODEL_FOLDER: Mapping[str, Any] = {
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}

# Filters come after the temperature, as in transformers and vLLM; llama.cpp's own order is the other way round, so that
# with a top-p below 1 equal settings would be another distribution. Samplers that are not named do not run.
_LLAMA_CPP_ORDER = ["penalties", "dry", "temperature", "top_n_sigma", "top_k", "typ_p", "top_p", "min_p", "xtc"]
_LLAMA_CPP: Mapping[str, Any] = {
    "samplers": _LLAMA_CPP_ORDER,
    "mirostat": 0,
    "dynatemp_range": 0.0,
    "top_k": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "top_n_sigma": -1.0,
    "xtc_probability": 0.0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
}

# The names and values that most others take: 0 is "no top-k" wherever -1 is, and where -1 is out of range.
_ANY_OTHER: Mapping[str, Any] = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "repeat_penalty": 1.0}

#: By who owns the models that a server lists.
_KNOWN: Mapping[str, Mapping[str, Any]] = {
    "vllm": _FROM_MODEL_FOLDER,
    "sglang": _FROM_MODEL_FOLDER,
    "llamacpp": _LLAMA_CPP,
    "optscale": {},  # `optscale serve` draws with the two that requests have anyway
}

#: Fields that shape the distribution of the next token, with the values at which they do nothing.
_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "top_k": (0, -1),
    "min_p": (0,),
    "top_a": (0,),
    "tfs": (1,),
    "typical": (1,),
    "typical_p": (1,),
    "top_n_sigma": (-1, 0),
    "xtc_probability": (0,),
    "adaptive_target": (-1,),
    "mirostat": (0,),
    "mirostat_mode": (0,),
    "dynatemp_range": (0,),
    "repetition_penalty": (1,),
    "repeat_penalty": (1,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "dry_multiplier": (0,),
    "logit_bias": ({}, []),
    "min_tokens": (0,),
    "ignore_eos": (False,),
}


def filters_in(extra_body: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a request's further fields that switch a sampler on, by name.

    Args:
        extra_body: The fields that a user adds to every request.
    """
    return {
        name: value
        for name, value in extra_body.items()
        if name in _NEUTRAL and value is not None and value not in _NEUTRAL[name]
    }


@dataclass
class ServerSamplers:
    """The other samplers of a kind of server; shared by all that draw from it, whatever their sampling.

    Attributes:
        owners: Who the servers say owns their model: tells their kind, where all say the same.
        extra_body: Fields that a user adds to every request. They go first: who asks for top-k 20 gets it.
    """

    owners: set[str]
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    _fields: dict[str, Any] = field(init=False)
    _taken: bool = field(init=False, default=False)
    _warned: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Chooses the fields that switch them off."""
        chosen = _KNOWN[next(iter(self.owners))] if self._kind_is_known else _ANY_OTHER
        self._fields = {name: value for name, value in chosen.items() if name not in self.extra_body}

    @property
    def _kind_is_known(self) -> bool:
        return len(self.owners) == 1 and self.owners <= _KNOWN.keys()

    def fields(self) -> dict[str, Any]:
        """What each request carries to switch them off."""
        return dict(self._fields)

    def describe(self) -> object:
        """What a manifest says of them: ``off``, ``unknown``, or those that are on by name."""
        on = filters_in(self.extra_body)
        if self._kind_is_known:
            return on or OFF
        return {**on, "others": UNKNOWN} if on else UNKNOWN

    def first(self) -> Mapping[str, Any]:
        """What a request carries to switch the other samplers off, as far as the server is known to take it."""
        if not self._warned:
            self._warn_of_filters()
        return self._fields

    def fewer(self, sent: Mapping[str, Any], error: RequestRefusedError) -> Mapping[str, Any]:
        """What to send in place of fields that a server may have refused.

        Args:
            sent: What the request carried.
            error: What the server said.

        Raises:
            RequestRefusedError: The same, where it was not these fields.
        """
        fewer = self._without(sent, error)
        if fewer is None:
            raise error
        return fewer

    def note_taken(self, sent: Mapping[str, Any]) -> None:
        """A request was answered.

        Args:
            sent: What it carried.
        """
        self._taken = True
        if len(sent) < len(self._fields):
            self._settle(sent)

    def _without(self, sent: Mapping[str, Any], error: RequestRefusedError) -> dict[str, Any] | None:
        """What to send in place of fields that a server may have refused; None where it was not these.

        A refusal that names no field is blamed on them only at a server of unknown kind, and only until it has once
        taken them.
        """
        if error.field in sent:
            return {name: value for name, value in sent.items() if name != error.field}
        blamed = bool(sent) and not error.field and not self._kind_is_known and not self._taken
        return {} if blamed else None

    def _settle(self, sent: Mapping[str, Any]) -> None:
        """A request was answered: what it did not carry stays out from now on, with one warning."""
        refused = [name for name in self._fields if name not in sent]
        self._fields = {name: value for name, value in self._fields.items() if name in sent}
        _LOG.warning(
            f"the server refuses {', '.join(refused)}, which would switch its own samplers off: if it "
            "filters by default, samples are not drawn from the model's own distribution"
        )

    def _warn_of_filters(self) -> None:
        """Names, once, the filters that a user has switched on."""
        on = filters_in(self.extra_body)
        self._warned = True
        if on:
            named = ", ".join(f"{name} {value}" for name, value in on.items())
            _LOG.warning(f"samples are not drawn from the model's own distribution: extra_body asks for {named}")

"""Conversations on their way through lm-eval, which carries prompts as strings.

lm-eval hands a model the turns and takes back one string. Ours is the turns themselves as JSON, so that the engine, or
its server, puts them into the model's own chat template.
"""

import json

from optscale_predictor.errors import InputError

_MARK = "optscale conversation: "


def write_turns(turns: list[dict[str, str]]) -> str:
    """A conversation as one string."""
    return _MARK + json.dumps(turns, ensure_ascii=False)


def read_turns(prompt: str) -> tuple[tuple[str, str], ...]:
    """The pairs of role and content in a string that :func:`write_turns` wrote; none in any other.

    Raises:
        InputError: Something was added to the string on its way.
    """
    if not prompt.startswith(_MARK):
        return ()
    try:
        turns = json.loads(prompt.removeprefix(_MARK))
    except ValueError:
        raise InputError("lm-eval added text to a conversation; this task does not go with chat templates") from None
    return tuple((str(turn["role"]), str(turn["content"])) for turn in turns)

"""Layouts of published process reward models: how each marks steps, and where it is read.

They need a tokenizer and no model, so what is sent to a server is what is read in this process.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from optscale_predictor.backends.verifiers.step_layout import Layout, StepRow
from optscale_predictor.errors import InputError

TAG = " ки"
MARKER = "<extra_0>"
_QWEN_SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}."
_LINE_END = "\n"
_FIRST, _SECOND = "the first turn", "the second turn"  # looked for in a template's text


class Qwen(Layout):
    """Qwen2.5-Math-PRM: the marker ``<extra_0>`` after each step, two classes at each marker, the second one good.

    The conversation is the model's own: system prompt, question, and all steps as the assistant's turn, each followed
    by the marker (id 151651 in the published tokenizer). Without a chat template, question and steps are lines of text.
    Blank lines separate steps. Source: the model card of Qwen/Qwen2.5-Math-PRM-7B.
    """

    name: ClassVar[str] = "qwen"
    good: ClassVar[int] = 1

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._marker = self._single(MARKER)
        self._special = sorted({*self._special, MARKER})

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        answer = "".join(step + MARKER for step in steps)
        if self._tokenizer.chat_template:
            turns = {"system": _QWEN_SYSTEM, "user": question, "assistant": answer}
            text = self._chat([{"role": role, "content": content} for role, content in turns.items()])
        else:
            text = f"{question}\n\n{answer}"
        tokens = self._encode(text)
        return StepRow(tokens, [index for index, token in enumerate(tokens) if token == self._marker])


class MathShepherd(Layout):
    """Math-Shepherd: the tag `` ки`` after each step; ``+`` against ``-`` among a causal language model's logits there.

    The tag was put where the training data had a step's label, so the model predicts the label at the tag itself. In
    the published tokenizer the tag is id 12902, ``+`` 648 and ``-`` 387. There is no chat template; blank lines
    separate steps. Source: the model card of peiyi9979/math-shepherd-mistral-7b-prm.
    """

    name: ClassVar[str] = "math_shepherd"

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._tag = self._single(TAG, before="1")
        self.candidates = (self._single("+"), self._single("-"))
        if len(self._lay_out("What is x?", ["1 + 1 = 2.", "So x = 2."]).positions) != 2:
            raise InputError(f"verifier {name!r}: its tokenizer merges {TAG!r} with the text around it")

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        text = f"{question} " + "\n".join(step + TAG for step in steps)
        tokens = list(self._tokenizer(text)["input_ids"])  # with the special tokens that the model starts with
        return StepRow(tokens, [index for index, token in enumerate(tokens) if token == self._tag])


class RLHFlow(Layout):
    """RLHFlow's Llama 3.1 models: each step is a user turn, answered by an assistant ``+``.

    A step's score is ``+`` against ``-`` among a causal language model's logits where that answer is predicted, which
    is the last token before it. All steps before are answered by ``+``, as in the published evaluation code
    (RLHFlow/RLHF-Reward-Modeling). The last answer itself is left out: nothing reads it. The first turn is the question
    and the first step; blank lines separate steps.

    Raises:
        InputError: The tokenizer has no chat template, or one that a lone ``+`` cannot be read off.
    """

    name: ClassVar[str] = "rlhflow"

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._plus = self._single("+")
        self.candidates = (self._plus, self._single("-"))
        if not tokenizer.chat_template:
            raise InputError(f"verifier {name!r}: layout {self.name!r} needs a chat template, its tokenizer has none")
        self._head, self._ask, self._between = self._pieces()
        self._require_pieces()

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        tokens: list[int] = []
        positions: list[int] = []
        before = f"{self._head}{question} "
        for step in steps:
            tokens += ([self._plus] if positions else []) + self._encode(before + step + self._ask)
            positions.append(len(tokens) - 1)
            before = self._between
        return StepRow(tokens, positions)

    def _pieces(self) -> tuple[str, str, str]:
        """What the template writes before the first turn, between a turn and its answer, and after an answer."""
        turns = [_FIRST, "the first answer", _SECOND, "the second answer"]
        text = self._chat(_conversation(turns))
        between = []
        for turn in turns:
            before, found, text = text.partition(turn)
            if not found:
                raise self._unsuited()
            between.append(before)
        head, ask, after, ask_again = between
        if ask != ask_again:
            raise self._unsuited()
        return head, ask, after

    def _require_pieces(self) -> None:
        """Holds rows put together from pieces against the template's own text, read as a whole."""
        steps = ["1 + 1 = 2.", "So x = 2.", "The answer is 2."]
        turns = [f"What is x? {steps[0]}", "+", steps[1], "+", steps[2], "+"]
        whole, row = self._encode(self._chat(_conversation(turns))), self._lay_out("What is x?", steps)
        if whole[: len(row.tokens) + 1] != [*row.tokens, self._plus]:
            raise self._unsuited()

    def _unsuited(self) -> InputError:
        return InputError(
            f"verifier {self._name!r}: layout {self.name!r} needs a chat template that keeps turns as they are and "
            "gives '+' a token of its own"
        )


class Skywork(Layout):
    """Skywork-o1-Open-PRM: a newline ends each step, and a value head gives one number there.

    The question stands on the first line, with no chat template; the score is the sigmoid of the value at each step's
    newline. Lines are steps. Source: SkyworkAI/skywork-o1-prm-inference.
    """

    name: ClassVar[str] = "skywork"
    labels: ClassVar[int] = 1
    separator: ClassVar[str] = _LINE_END

    def __init__(self, tokenizer: Any, name: str) -> None:
        super().__init__(tokenizer, name)
        self._end = self._single(_LINE_END, before="1")

    def _lay_out(self, question: str, steps: Sequence[str]) -> StepRow:
        tokens = self._encode(f"{self._tokenizer.bos_token or ''}{question}{_LINE_END}")
        positions: list[int] = []
        for step in steps:
            tokens += [*self._encode(step), self._end]
            positions.append(len(tokens) - 1)
        return StepRow(tokens, positions)


LAYOUTS: Mapping[str, type[Layout]] = {kind.name: kind for kind in (Qwen, MathShepherd, RLHFlow, Skywork)}


def layout_class(name: str) -> type[Layout]:
    """The layout of this name.

    Raises:
        InputError: There is none.
    """
    if name not in LAYOUTS:
        raise InputError(f"layout must be one of {', '.join(LAYOUTS)}, got {name!r}")
    return LAYOUTS[name]


def _conversation(turns: Sequence[str]) -> list[dict[str, str]]:
    """User and assistant in turns."""
    return [{"role": "assistant" if index % 2 else "user", "content": turn} for index, turn in enumerate(turns)]

"""Questions with their solutions as tokens: the prompt as the generator reads it, and what it is to write after it.

What is trained on is what is drawn later: the prompt's tokens come from the code that engines read prompts with, and a
solution ends with a token at which the engine ends samples.
"""

from typing import Any, NamedTuple

from optscale_predictor.backends.generators.generator import Request
from optscale_predictor.backends.generators.huggingface import end_tokens
from optscale_predictor.backends.generators.transcription import Transcriber
from optscale_predictor.errors import InputError
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.questions.worked_solutions import SolvedQuestion


class SolutionTokens(NamedTuple):
    """A prompt with a solution.

    Attributes:
        tokens: Of both, and, where it is known, the one that ends the sample.
        start: Where the solution begins, >= 1.
    """

    tokens: list[int]
    start: int


class SolutionReader:
    """Tokenises questions with their solutions.

    Args:
        transcriber: Reads prompts for the model.
        prompt: The prompt around a question.

    Attributes:
        padding: A token that pads; it is masked, so that any will do.
    """

    def __init__(self, transcriber: Transcriber, prompt: PromptTemplate) -> None:
        self._transcriber, self._prompt, self._tokenizer = transcriber, prompt, transcriber.tokenizer
        known = (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id, 0)
        self.padding = next(one for one in known if one is not None)
        # A prompt that ends in a word is gone on from with a space; one that ends in white space, or in the question
        # itself, or a chat template's, is gone on from as it is.
        after = prompt.text.rpartition("{question}")[2]
        self._space = bool(after) and not after[-1].isspace() and not transcriber.chat

    def __call__(self, row: SolvedQuestion) -> SolutionTokens:
        """The tokens of a question's prompt and its solution, without the one that ends it.

        Raises:
            InputError: The prompt is refused, or the tokenizer cannot write some of the solution's characters.
        """
        try:
            text, asked = self._transcriber.rendered(Request(row.location, self._prompt(row.question), 1))
        except InputError as error:
            raise InputError(f"{row.location}: {str(error).partition(': ')[2] or error}") from error
        if not asked:
            raise InputError(f"{row.location}: its prompt is empty")
        space = " " if self._space and not row.solution[0].isspace() else ""
        written = self._written(text, asked, f"{space}{row.solution}")
        if self._tokenizer.unk_token_id in written:
            raise InputError(f"{row.location}: the model's tokenizer cannot write some of the solution's characters")
        return SolutionTokens([*asked, *written], len(asked))

    def _written(self, text: str, asked: list[int], solution: str) -> list[int]:
        """The solution's tokens after a prompt's."""
        whole = list(self._tokenizer(text + solution, add_special_tokens=not self._transcriber.chat)["input_ids"])
        # Some tokenizers put a space before whatever begins a text, so a solution is tokenised where it stands. One
        # whose tokens would reach back into the prompt is tokenised alone: a prompt's own are fixed when it is asked.
        if whole[: len(asked)] == asked and len(whole) > len(asked):
            return whole[len(asked) :]
        return list(self._tokenizer(solution, add_special_tokens=False)["input_ids"])


def end_token(transcriber: Transcriber, model: Any) -> int:
    """What ends a solution: in a chat the token that ends a turn, else the one that ends a text.

    Args:
        transcriber: Reads prompts for the model.
        model: The causal language model; it stops at what its ``generation_config`` names.

    Raises:
        InputError: Nothing ends the model's samples.
    """
    ends, tokenizer = end_tokens(model), transcriber.tokenizer
    if not ends:
        raise InputError(f"base model {transcriber.model!r}: its generation_config names no token that ends a sample")
    if transcriber.chat:
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        text = str(tokenizer.apply_chat_template(turns, tokenize=False)).rpartition("!")[2]
        ending = [token for token in tokenizer(text, add_special_tokens=False)["input_ids"] if token in ends]
        if ending:
            return int(ending[0])
    return int(tokenizer.eos_token_id if tokenizer.eos_token_id in ends else ends[0])

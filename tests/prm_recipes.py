"""How each published process reward model scores steps, by hand: one sample at a time, no padding, from raw logits.

Each function follows its model's card or evaluation code with transformers and NumPy alone, and shares nothing with
the package.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tiny_prms
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from optscale_predictor.backends.verifiers import Answered
from optscale_predictor.questions.question import Question

Recipe = Callable[[str, str, list[str]], list[float]]

SUM = Question("sum", "What is 7 + 5?")
EGGS = Question("eggs", "There are 16 eggs a day; she eats three. How many are left?\nExplain.")
ITEMS = [
    Answered(SUM, "First we add 7 and 5.\n\n7 + 5 = 12\n\nso the answer is 12."),
    Answered(EGGS, "Step 1: 16 - 3 = 13.\n\nStep 2: so she sells 13 eggs.\nThat is all.\n\nThe answer is \\boxed{13}."),
    Answered(SUM, "12"),
    Answered(SUM, "\n\nWe add.\n \n\n\n7 + 5 = 13, 12 - 4 = 8\n\nnothing\n\nnothing\n\nThe answer is 8.\n\n"),
]
#: The steps of ITEMS, cut by hand.
STEPS = [
    ["First we add 7 and 5.", "7 + 5 = 12", "so the answer is 12."],
    ["Step 1: 16 - 3 = 13.", "Step 2: so she sells 13 eggs.\nThat is all.", "The answer is \\boxed{13}."],
    ["12"],
    ["We add.", "7 + 5 = 13, 12 - 4 = 8", "nothing", "nothing", "The answer is 8."],
]


def softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max())
    return shifted / shifted.sum()


def numbers(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def by_hand_qwen_tokens(tokenizer: PreTrainedTokenizerFast, question: str, steps: list[str]) -> list[int]:
    turns = [{"role": "system", "content": "Please reason step by step, and put your final answer within \\boxed{}."}]
    turns += [{"role": "user", "content": question}]
    turns += [{"role": "assistant", "content": "<extra_0>".join(steps) + "<extra_0>"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
    return tokenizer(text)["input_ids"]


def by_hand_qwen(folder: str, question: str, steps: list[str]) -> list[float]:
    tokenizer, backbone = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    tokens = by_hand_qwen_tokens(tokenizer, question, steps)
    hidden = numbers(backbone(torch.tensor([tokens])).last_hidden_state[0])
    head = {key: numbers(tensor) for key, tensor in load_file(Path(folder) / "model.safetensors").items()}
    scores = []
    for position, token in enumerate(tokens):
        if tokenizer.convert_ids_to_tokens(token) == "<extra_0>":
            inner = np.maximum(head["score.0.weight"] @ hidden[position] + head["score.0.bias"], 0)
            scores.append(softmax(head["score.2.weight"] @ inner + head["score.2.bias"])[1])
    return scores


def by_hand_token_classifier(folder: str, question: str, steps: list[str]) -> list[float]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = by_hand_qwen_tokens(tokenizer, question, steps)
    model = AutoModelForTokenClassification.from_pretrained(folder)
    logits = numbers(model(torch.tensor([tokens])).logits[0])
    marker = tokenizer.get_vocab()["<extra_0>"]
    return [softmax(logits[position])[1] for position, token in enumerate(tokens) if token == marker]


def by_hand_math_shepherd(folder: str, question: str, steps: list[str]) -> list[float]:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    vocabulary = tokenizer.get_vocab()
    text = question + " " + "\n".join(f"{step} ки" for step in steps)
    tokens = tokenizer(text)["input_ids"]
    assert tokens[0] == tokenizer.bos_token_id
    logits = numbers(model(torch.tensor([tokens])).logits[0])
    pair = [vocabulary["▁+"], vocabulary["▁-"]]
    return [softmax(logits[at, pair])[0] for at, token in enumerate(tokens) if token == vocabulary["▁ки"]]


def by_hand_rlhflow(folder: str, question: str, steps: list[str]) -> list[float]:
    """The conversation grows step by step, and the whole of it is read again each time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    pair = [tokenizer.get_vocab()[sign] for sign in "+-"]
    turns: list[dict[str, str]] = []
    scores = []
    for index, step in enumerate(steps):
        turns.append({"role": "user", "content": step if index else f"{question} {step}"})
        turns.append({"role": "assistant", "content": "+"})
        tokens = tokenizer(tokenizer.apply_chat_template(turns, tokenize=False), add_special_tokens=False)["input_ids"]
        assert tokens[-2] == pair[0]  # then the end of the turn
        scores.append(softmax(numbers(model(torch.tensor([tokens])).logits[0, -3, pair]))[0])
    return scores


def by_hand_skywork(folder: str, question: str, steps: list[str]) -> list[float]:
    tokenizer, backbone = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    head = load_file(Path(folder) / "model.safetensors")
    weight, bias = numbers(head["v_head.summary.weight"])[0], numbers(head["v_head.summary.bias"])[0]
    tokens = tokenizer(f"{question}\n")["input_ids"]
    scores = []
    for step in steps:
        tokens = tokens + tokenizer(step)["input_ids"] + tokenizer("\n")["input_ids"]
        hidden = numbers(backbone(torch.tensor([tokens])).last_hidden_state[0, -1])
        scores.append(1 / (1 + math.exp(-(hidden @ weight + bias))))
    return scores


def by_hand_one_label(folder: str, question: str, steps: list[str]) -> list[float]:
    """Skywork's layout on a token classifier of one label, as servers without that architecture can have it."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForTokenClassification.from_pretrained(folder)
    tokens = tokenizer(f"{question}\n")["input_ids"]
    scores = []
    for step in steps:
        tokens = tokens + tokenizer(step)["input_ids"] + tokenizer("\n")["input_ids"]
        value = numbers(model(torch.tensor([tokens])).logits[0, -1, 0])
        scores.append(1 / (1 + math.exp(-value)))
    return scores


#: How each tiny model is made, the layout that has to be named for it, and its scores by hand.
CASES: Mapping[str, tuple[Callable[[Path], str], str, Recipe]] = {
    "qwen": (tiny_prms.make_qwen, "auto", by_hand_qwen),
    "token_classifier": (tiny_prms.make_token_classifier, "auto", by_hand_token_classifier),
    "math_shepherd": (tiny_prms.make_math_shepherd, "math_shepherd", by_hand_math_shepherd),
    "rlhflow": (tiny_prms.make_rlhflow, "rlhflow", by_hand_rlhflow),
    "skywork": (tiny_prms.make_skywork, "auto", by_hand_skywork),
}

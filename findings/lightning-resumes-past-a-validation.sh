#!/usr/bin/env bash
# A Lightning run that goes on from the checkpoint of an epoch's last step never validates that epoch.
#
# Versions: pytorch-lightning 2.6.6, torch 2.13.0.
# Seen: three epochs of four steps, a checkpoint every four steps: a whole run validates epochs 0, 1 and 2; resumed at
#   step 4 it validates 1 and 2, at step 8 only 2, at step 12 none. ModelCheckpoint writes before the validation, and the
#   resumed run takes the epoch for finished. No message says so: early stopping and the best checkpoint miss that epoch.
# Expected: the validations that the run would have made, had it not been interrupted.
# Here: a state due at an epoch's last step is written after its validation, and so is one asked for by Ctrl-C.
# Exits with 1 once that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'torch==2.13.0'
"$folder/venv/bin/pip" install -q 'pytorch-lightning==2.6.6'
cd "$folder"
venv/bin/python - <<'EOF' 2> log || { tail -n 5 log; exit 1; }
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(1, 1)
        self.validated = []

    def training_step(self, batch):
        return self.line(batch).square().mean()

    def validation_step(self, batch):
        self.log("val_loss", self.line(batch).square().mean())

    def on_validation_end(self):
        self.validated.append(self.current_epoch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def validated_epochs(state=None):
    model, name = Line(), "whole" if state is None else "resumed"
    checkpoints = ModelCheckpoint(name, filename="{step}", save_top_k=-1, every_n_train_steps=4)
    trainer = pl.Trainer(
        accelerator="cpu", devices=1, max_epochs=3, callbacks=[checkpoints], logger=False, num_sanity_val_steps=0,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(model, DataLoader(torch.ones(4, 1)), DataLoader(torch.ones(1, 1)), ckpt_path=state)
    assert trainer.global_step == 12
    return model.validated


seen = {"whole": validated_epochs()}
for step in (4, 8, 12):
    seen[f"resumed at step {step}"] = validated_epochs(f"whole/step={step}.ckpt")
for name, epochs in seen.items():
    print(f"{name}: validated epochs {epochs}")
assert list(seen.values()) == [[0, 1, 2], [1, 2], [2], []], "Lightning behaves otherwise now"
EOF

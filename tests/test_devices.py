"""Where models run: a device that torch has here, or one line that says that it has not."""

import pytest
import torch

from optscale_predictor._support.devices import choose_device
from optscale_predictor.errors import InputError


@pytest.mark.parametrize("device", ["cpu", "auto", "cpu:0"])
def test_a_device_that_is_here_takes_tensors(device):
    assert torch.zeros(1, device=choose_device(device)).device.type in ("cpu", "cuda")


@pytest.mark.parametrize("device", ["many", "", "cpu:x", "cuda:99", "meta", "cpu cuda"])
def test_any_other_is_named(device):
    with pytest.raises(InputError, match=f"device '{device}'"):
        choose_device(device)

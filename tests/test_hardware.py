from __future__ import annotations

import pytest
import torch

from warpzone import hardware
from warpzone.errors import ConfigError


def test_devices() -> None:
    assert hardware.pick_device("cpu") == torch.device("cpu")
    assert hardware.pick_device("auto").type in ("cpu", "cuda")
    for name in ("gpu", "mps", "meta", "cuda:99"):
        with pytest.raises(ConfigError, match=f"device '{name}'"):
            hardware.pick_device(name)


def test_threads_are_given_back() -> None:
    before = torch.get_num_threads()
    with hardware.torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before

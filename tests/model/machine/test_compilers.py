"""What torch loads for GPUs that are not there."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

STEP = """
import sys
import torch
from model.learn.config import TrainConfig
from model.learn.optimizer import Optimizer
from tests.model.tiny import tiny_encoder
encoder = tiny_encoder()
optimizer = Optimizer(encoder, TrainConfig(), lazy=False)
encoder.weight.grad = torch.ones_like(encoder.weight)
optimizer.step()
import torch._dynamo  # as the step did, and the export does
print([name for name, module in sys.modules.items() if name.startswith("triton") and module is not None])
"""


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can be used here, so what compiles for it is loaded")
def test_a_training_on_a_cpu_steps_without_triton() -> None:
    done = subprocess.run([sys.executable, "-c", STEP], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"

"""How weights are learned: what a step sees, its loss, the optimizer, validation, checkpoints."""

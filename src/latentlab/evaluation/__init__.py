"""One file per question asked of a model; pure functions of tensors."""

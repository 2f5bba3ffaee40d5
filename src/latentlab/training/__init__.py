"""Training: what, on which device, and the loop."""

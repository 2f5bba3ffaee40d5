"""latentlab."""

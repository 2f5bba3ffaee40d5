"""How fast is the study? `latentlab bench` runs it, nothing else uses it, and no benchmark asserts anything."""

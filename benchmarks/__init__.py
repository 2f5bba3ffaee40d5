"""How fast is it? `latentlab bench` runs it, nothing else uses it, and no benchmark asserts anything."""

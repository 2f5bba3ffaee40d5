"""`latentlab repro`: the stages of DVC's pipelines, several at the same time."""

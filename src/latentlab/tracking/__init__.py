"""Where the runs go: the only package that imports MLflow."""

import os

# MLflow reports usage over the network unless told not to, and reads these when it is first imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

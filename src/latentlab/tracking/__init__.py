"""Where the runs go: all that writes to MLflow."""

import os

# MLflow reports usage over the network unless told not to, and reads these when it is first imported
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
# the lines that it prints at the end of a run hold the server's URL, with the password that may be in it
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"

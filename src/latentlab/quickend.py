"""Who imports this ends at once when it ends: `workers.preload` has the process import it that workers are forks of.

Python would take apart all that was loaded, one object after the other: 2.7 s for torch, MLflow and scikit-learn, while the
output of the whole command stays open.
"""

import atexit
import os

atexit.register(os._exit, 0)

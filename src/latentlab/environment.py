"""What a command changes of the environment that it finds: whose sources run, which settings of the user do not count."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.request import getproxies_environment

# set where a stage must not log to MLflow, as whoever gave it out does so later
LOGGED_LATER = "LATENTLAB_LOGGED_LATER"
_THIS_MACHINE = "localhost,127.0.0.1,::1"


def prepare(project: Path) -> None:
    """Prepares the process of a command or a stage, before anything else is imported.

    Runs the project's own sources. Servers on this machine are asked without the user's proxy, which would look for them
    on its own. Figures are drawn with matplotlib's defaults, not with the user's, so that they have the same bytes
    everywhere. Exits with 2 if Python does not take the sources.
    """
    _run_own_sources(project)
    if getproxies_environment().keys() - {"no"}:
        before = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
        if before != "*":  # of the two names the first one counts
            os.environ["no_proxy"] = ",".join(filter(None, [before, _THIS_MACHINE]))
    matplotlib = find_spec("matplotlib")
    if matplotlib and matplotlib.origin:
        os.environ["MATPLOTLIBRC"] = str(Path(matplotlib.origin).with_name("mpl-data") / "matplotlibrc")


def _run_own_sources(project: Path) -> None:
    """Begins this process again with the sources of a project, if that has some, and they are others than those imported.

    An environment has the sources of one clone installed. Others that use it, and DVC's temporary copies, have their own,
    and those are what DVC hashes.
    """
    sources = (project / "src").resolve()
    if not (sources / "latentlab").is_dir() or sources == Path(__file__).resolve().parents[1]:
        return
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if before[0] == str(sources):
        print(f"error: Python imports {Path(__file__).parent} in the place of {sources / 'latentlab'}", file=sys.stderr)
        sys.exit(2)
    os.environ["PYTHONPATH"] = os.pathsep.join([str(sources), *filter(None, before)])
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])

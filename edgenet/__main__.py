"""python -m edgenet"""

import os
import sys

if __name__ == "__main__":
    # Python puts the working directory first, where a numpy.py or secrets.py of the user's may lie.
    sys.path[:] = [entry for entry in sys.path if entry not in ("", os.getcwd())]

    from edgenet.cli.main import run

    sys.exit(run())

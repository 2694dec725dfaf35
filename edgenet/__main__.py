"""python -m edgenet"""

import sys

from edgenet.cli import main

if __name__ == "__main__":
    sys.exit(main())

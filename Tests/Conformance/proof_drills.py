"""Every alert caused and ended: see drills.py."""
import sys

import drills

if __name__ == "__main__":
    sys.exit(drills.main())

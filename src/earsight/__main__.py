"""`python -m earsight` is the same as the command `earsight`."""

import sys

from earsight.cli.app import main

sys.exit(main())

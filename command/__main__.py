"""`python -m command` in a checkout is `vac` of an installation."""

import sys

from command.main import main

sys.exit(main())

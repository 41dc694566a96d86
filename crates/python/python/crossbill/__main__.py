"""``python -m crossbill`` is the ``crossbill`` command."""

import sys

from crossbill._command import main

sys.exit(main())

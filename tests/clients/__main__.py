"""``python -m tests.clients``: see :mod:`tests.clients.matrix`."""

import sys

from tests.clients.matrix import main

sys.exit(main())

"""``python -m tests.versions``: see :mod:`tests.versions.matrix`."""

import sys

from tests.versions.matrix import main

sys.exit(main())

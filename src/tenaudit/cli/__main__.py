"""`python -m tenaudit.cli` is `tenaudit`."""

import sys

from tenaudit.cli import main

sys.exit(main())

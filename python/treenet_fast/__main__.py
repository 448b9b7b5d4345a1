import sys

from treenet_fast.cli import main

sys.exit(main())

"""Write the generated documents into the source tree: ``python -m shared.schemas``."""

import sys

from shared.schemas.files import write

for path in write():
    sys.stdout.write(f"{path}\n")

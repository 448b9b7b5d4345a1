"""Names of array types."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Tensors of a model file (SPEC §9) by name.
IntegerTensors = dict[str, NDArray[Any]]

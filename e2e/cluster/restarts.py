"""The mark of tests that end the API server while others call it."""

from __future__ import annotations

from typing import Final

import pytest

# Python 3.11's ssl module leaves a socket open whose other end is gone before the handshake begins.
RESTARTS: Final = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

"""What the model knows a sentence by: words, pairs of neighbours, and pairs of classes of words in their order.

A feature's name is all there is to it, so that a table of weights can be read: `ignore` is a word, `ignore
previous` two neighbours, `TELL` a class of words, and `TELL..SECRET` a word of one class before one of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

REACH: Final = 6
"""How many words apart two classes may stand and still make a pair."""


def features(words: Sequence[str], classes: Mapping[str, str]) -> set[str]:
    """Names of everything that is there; how often does not count."""
    found = set(words)
    found.update(map(" ".join, pairwise(words)))
    standing = [(at, classes[word]) for at, word in enumerate(words) if word in classes]
    for index, (at, name) in enumerate(standing):
        found.add(name)
        for later, other in standing[index + 1 :]:
            if later - at > REACH:
                break
            found.add(f"{name}..{other}")
    return found

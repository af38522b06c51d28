"""What a measured accuracy is worth: how sure it is, and its mean if all classes count alike."""

from __future__ import annotations

import math
from typing import Any

from hyperhive.common.values import sequence, whole

_Z = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution: 2.5 % are left out on either side."""


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share, 0 to 1, of ``count`` independent observations.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22 (1927), 209-212. With p the share, n the count:

        (p + z^2 / 2n ± z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Unlike p ± z sqrt(p (1 - p) / n) it stays within 0 to 1, and is wide for few observations also
    where all of them agree. Raises ``ValueError`` for a share outside of 0 to 1, and for no
    observation.
    """
    if not 0 <= share <= 1 or count < 1:
        raise ValueError(f"there is no interval for a share of {share} of {count} observations")
    middle = share + _Z**2 / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    low, high = (middle - half) / scale, (middle + half) / scale
    return (0.0 if share == 0 else low), (1.0 if share == 1 else high)  # exactly, without rounding


def mean_recall(confusion: Any) -> float | None:
    """Return the balanced accuracy, 0 to 1: the mean of the classes' recalls.

    A class's recall is the share of its images that are right. The mean counts all classes alike,
    whatever their numbers of images: Brodersen et al., "The balanced accuracy and its posterior
    distribution", ICPR 2010, for more than two classes. One without images is left out.

    Args:
        confusion: counts by ``[true class][predicted class]``, as untrusted JSON.

    Returns None if it counts no image.
    """
    rows = [[max(0, whole(count, 0)) for count in sequence(row)] for row in sequence(confusion)]
    seen = [(label, row, sum(row)) for label, row in enumerate(rows)]
    recalls = [row[label] / count for label, row, count in seen if count > 0 and label < len(row)]
    return sum(recalls) / len(recalls) if recalls else None

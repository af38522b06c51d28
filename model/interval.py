"""How sure a measured share is: an interval for the share of all that the sample stands for."""

from __future__ import annotations

import math

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

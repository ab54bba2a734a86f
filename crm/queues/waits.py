"""How long a caller will wait, by what is known while they do. No database, no clock.

The estimate is the Markovian queue-length one with abandonments (QLm) of Ibrahim and Whitt, "Real-Time Delay Estimation
in Overloaded Multiserver Queues with Abandonments" (Management Science 55(10), 2009): with s agents who serve at rate
μ each, and callers who give up at rate θ each, whoever has n callers before them waits the sum over i = 0 … n of
1 / (s·μ + i·θ) in the mean. With θ = 0 that is (n + 1) / (s·μ), the plain queue-length estimate of a GI/M/s queue.
"""

from math import fsum


def estimate_s(ahead: int, *, agents: int, free: int, service_s: float, patience_s: float | None) -> float | None:
    """Return the seconds a caller will wait from now on in the mean; None when nobody serves.

    `ahead`: callers before them; `agents`: those who serve the queue, `free` of them at this moment; `service_s`: the
    mean seconds one call takes an agent, after-call work included; `patience_s`: the mean seconds after which a caller
    gives up, None when nobody has been seen to.
    """
    if ahead < free:
        return 0.0
    if agents <= 0 or service_s <= 0:
        return None
    served, gives_up = agents / service_s, 1.0 / patience_s if patience_s else 0.0
    return fsum(1.0 / (served + before * gives_up) for before in range(ahead - free + 1))


def patience_s(*, waited_s: float, abandoned: int) -> float | None:
    """Return the mean patience of callers from all the seconds they waited and how many gave up; None: nobody did.

    The maximum-likelihood estimate for exponential patience seen through answers, which cut it off.
    """
    return waited_s / abandoned if abandoned else None

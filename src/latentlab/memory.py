"""Memory that is kept for the next step instead of being given back to the system."""

import ctypes

# numbers of malloc.h
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def keep() -> None:
    """Tells the C library to keep freed memory.

    A training step frees what the next one asks for again. By default glibc gives tensors of some megabytes back each time,
    and the system fills new pages with zeros: a quarter of the time of a step of cae_baseline. Other C libraries are left
    as they are. Results do not change.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 << 20)

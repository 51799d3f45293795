"""Working on a few images at a time, so that what is made of them stays in the cache."""

NUMBERS_AT_ONCE = 2**19  # 2 MB of float32
# Up to here OpenBLAS (on AVX-512) has kernels for small matrices, in one thread:
MULTIPLICATIONS_AT_ONCE = 10**6


def portions(images: int, numbers: int, multiplications: int = 0) -> list[slice]:
    """Slices of as many images as stay within both limits; at least one image each.

    Args:
        images: how many there are.
        numbers: how many numbers are made of one image on the way.
        multiplications: how many one image takes, in one matrix product.
    """
    step = min(
        NUMBERS_AT_ONCE // max(1, numbers), MULTIPLICATIONS_AT_ONCE // max(1, multiplications)
    )
    step = max(1, step)
    return [slice(start, start + step) for start in range(0, images, step)]

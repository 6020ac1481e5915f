"""Section 1: ML-KEM-768 (FIPS 203). `cryptography` makes keys and decapsulates; it draws the randomness of
encapsulation itself, so that Encaps_internal stands here by hand, for conversations under given randomness."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from .primitives import require

Q, K = 3329, 3
ZETAS = [pow(17, int(f"{i:07b}"[::-1], 2), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * int(f"{i:07b}"[::-1], 2) + 1, Q) for i in range(128)]
Poly = list[int]


def public_of_seed(seed: bytes) -> bytes:
    """The encapsulation key, 1,184 bytes. The seed is FIPS 203's d ‖ z, 64 bytes."""
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    return MLKEM768PrivateKey.from_seed_bytes(seed).decapsulate(ciphertext)


def bits_of(data: bytes, width: int) -> Poly:
    """ByteDecode."""
    number = int.from_bytes(data, "little")
    return [number >> width * i & (1 << width) - 1 for i in range(8 * len(data) // width)]


def bytes_of(numbers: Poly, width: int) -> bytes:
    """ByteEncode."""
    number = sum(n << width * i for i, n in enumerate(numbers))
    return number.to_bytes(width * len(numbers) // 8, "little")


def compress(poly: Poly, width: int) -> Poly:
    return [((n << width) + Q // 2) // Q % (1 << width) for n in poly]


def ntt(poly: Poly) -> Poly:
    """Algorithm 9."""
    f, i, length = list(poly), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = ZETAS[i] * f[j + length]
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
            i += 1
        length //= 2
    return f


def inverse_ntt(poly: Poly) -> Poly:
    """Algorithm 10."""
    f, i, length = list(poly), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, ZETAS[i] * (f[j + length] - t) % Q
            i -= 1
        length *= 2
    return [n * 3303 % Q for n in f]


def multiply(f: Poly, g: Poly) -> Poly:
    """Algorithm 11."""
    out = []
    for i in range(128):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a * c + b * d * GAMMAS[i]) % Q, (a * d + b * c) % Q]
    return out


def add(*polys: Poly) -> Poly:
    return [sum(column) % Q for column in zip(*polys)]


def sample_ntt(seed: bytes) -> Poly:
    """Algorithm 7."""
    stream = bits_of(hashlib.shake_128(seed).digest(3 * 1024), 12)
    return [n for n in stream if n < Q][:256]


def sample_noise(r: bytes, count: int) -> Poly:
    """Algorithm 8 with eta = 2."""
    b = bits_of(hashlib.shake_256(r + bytes([count])).digest(128), 1)
    return [(b[i] + b[i + 1] - b[i + 2] - b[i + 3]) % Q for i in range(0, 1024, 4)]


def encapsulate(key: bytes, random: bytes) -> tuple[bytes, bytes]:
    """Algorithms 17 and 14: (secret, ciphertext). A key that fails the modulus check is refused."""
    require(len(key) == 1184, "kem: length")
    t = [bits_of(key[384 * i : 384 * i + 384], 12) for i in range(K)]
    require(all(n < Q for poly in t for n in poly), "kem: modulus")
    g = hashlib.sha3_512(random + hashlib.sha3_256(key).digest()).digest()
    secret, r, rho = g[:32], g[32:], key[1152:]
    y = [ntt(sample_noise(r, i)) for i in range(K)]
    u = [
        add(inverse_ntt(add(*(multiply(sample_ntt(rho + bytes([i, j])), y[j]) for j in range(K)))), sample_noise(r, K + i))
        for i in range(K)
    ]
    message = [bit * ((Q + 1) // 2) for bit in bits_of(random, 1)]
    v = add(inverse_ntt(add(*(multiply(t[i], y[i]) for i in range(K)))), sample_noise(r, 2 * K), message)
    return secret, b"".join(bytes_of(compress(poly, 10), 10) for poly in u) + bytes_of(compress(v, 4), 4)

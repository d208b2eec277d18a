# mixing.py - mixed keys as doc/rotation.md says, made by other means than rekey-host's; not a test by itself.
import base64
import hashlib
import hmac
import struct
import uuid


def hkdf(key, info, n=32, salt=b"\0" * 32):
    prk = hmac.new(salt, key, hashlib.sha256).digest()
    out, block = b"", b""
    while len(out) < n:
        block = hmac.new(prk, block + info + bytes([len(out) // 32 + 1]), hashlib.sha256).digest()
        out += block
    return out[:n]


def static_key(secret, key_id, bits=256):
    return hkdf(secret.strip().encode(), b"rekey static v1\0" + key_id.encode() + b"\0%d" % bits, bits // 8)


def kme_key(pair_secret, key_id):
    """As contrib/kme/keys.h says."""
    root = hmac.new(b"rekey-kme pair v1", pair_secret, hashlib.sha256).digest()
    names = b"".join(bytes([len(sae)]) + sae for sae in (b"SAE_A", b"SAE_B"))
    return hkdf(root, b"rekey-kme key v1" + bytes.fromhex(key_id.replace("-", "")) + names)


def parts_of(key_id):
    """The IDs of the parts, "" for one that was left out."""
    parts = []
    for part in key_id.split("+"):
        if part.startswith("~"):
            part = str(uuid.UUID(bytes=base64.urlsafe_b64decode(part[1:] + "==")))
        parts.append(part)
    return parts


def counted(text):
    return struct.pack(">I", len(text)) + text


def ikm_of(parts, keys):
    """keys: of each part, None for one that was left out."""
    return b"".join(struct.pack(">H", i) + counted(part.encode()) + counted(keys[i]) for i, part in enumerate(parts) if part)


def mixed_key(key_id, keys, link, saes=("SAE_A", "SAE_B"), bits=256):
    low, high = sorted(sae.encode() for sae in saes)
    info = (b"rekey mix v1" + counted(link.encode()) + counted(low) + counted(high) + counted(key_id.encode()) +
            struct.pack(">I", bits))
    return hkdf(ikm_of(parts_of(key_id), keys), info, bits // 8, b"rekey mixed key")

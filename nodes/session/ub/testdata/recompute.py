"""Recomputes a run of Ub and a Ks_NAF from what was said and RES, CK and IK.

Reads JSON on standard input: method, target, challenge, authorization, info, body,
btid, res, ck, ik, impi, fqdn, ua, ks_naf (octets in hexadecimal digits). Says what is
not as RFC 2617, RFC 3310 and TS 33.220, annex B, have it; nothing if all is.
"""

import base64
import hashlib
import hmac
import json
import re
import struct
import sys


def directives(field):
    return {
        name.lower(): value if quoted == "" and value else quoted
        for name, quoted, value in re.findall(r'([A-Za-z-]+)=(?:"([^"]*)"|([^\s,"]+))', field)
    }


def md5(octets):
    return hashlib.md5(octets).hexdigest().encode()


def digest(told, password, method, body):
    a1 = md5(f"{told['username']}:{told['realm']}:".encode() + password)
    a2 = md5(f"{method}:{told['uri']}:".encode() + md5(body))
    middle = ":".join((told["nonce"], told["nc"], told["cnonce"], told["qop"])).encode()
    return md5(a1 + b":" + middle + b":" + a2).decode()


run = json.load(sys.stdin)
told, challenge, info = (directives(run[k]) for k in ("authorization", "challenge", "info"))
res, ck, ik = (bytes.fromhex(run[k]) for k in ("res", "ck", "ik"))
body = bytes.fromhex(run["body"])
nonce = base64.b64decode(challenge["nonce"])
rand = nonce[:16]


def parameter(p):
    return p + struct.pack(">H", len(p))


naf = run["fqdn"].encode() + bytes.fromhex(run["ua"])
s = b"\x01" + b"".join(map(parameter, (b"gba-me", rand, run["impi"].encode(), naf)))

wanted = {
    "nonce": (told["nonce"], challenge["nonce"]),
    "algorithm": (challenge["algorithm"], "AKAv1-MD5"),
    "response": (told["response"], digest(told, res, run["method"], b"")),
    "rspauth": (info["rspauth"], digest(told, res, "", body)),
    "B-TID": (run["btid"], base64.b64encode(rand).decode() + "@" + challenge["realm"]),
    "B-TID in the body": (re.search(rb"<btid>(.*)</btid>", body)[1].decode(), run["btid"]),
    "Ks_NAF": (run["ks_naf"], hmac.new(ck + ik, s, hashlib.sha256).hexdigest()),
}
for what, (found, want) in wanted.items():
    if found != want:
        print(f"{what} is {found}, want {want}")

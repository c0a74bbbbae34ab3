"""
ElastiCache Serverless in front of a real Valkey: Valkey's protocol over TLS up to AUTH, from where on bytes are passed to the
server behind. The password must be a token of IAM that is good for this cache and user, signed by a role that may connect to
both. The user is known to the server behind by the access string of the template, and by no other.
"""

import asyncio
import datetime
import hashlib
import os
import secrets
import time
from urllib.parse import parse_qsl, urlsplit

from ministack.core.iam_evaluator import EvalContext, evaluate, resolve_credential, resolve_principal
from ministack.core.responses import request_scope
from ministack.core.sigv4 import build_canonical_request, build_string_to_sign, calculate_signature, signatures_match
from ministack.services import elasticache as service

ACCOUNT, REGION = "000000000000", os.environ["AWS_REGION"]
PORT = 6379
HOST = f"local-cache.serverless.{REGION}.cache.amazonaws.com"
NOBODY = hashlib.sha256(b"").hexdigest()

groups = {}  # of users, by the cache's name


def create(logical_id, props, stack):
    groups[props["ServerlessCacheName"]] = props["UserGroupId"]
    return props["ServerlessCacheName"], {"Endpoint.Address": HOST, "Endpoint.Port": str(PORT)}


serverless_cache = {
    "create": create,
    "update": lambda name, old, new, *_: create("", new, ""),
    "delete": lambda name, props: groups.pop(name, None),
}


def signer(token, cache, user):
    """The access key by which this is a token for the cache and user; None if it is none."""
    url = urlsplit(f"//{token}")
    params = dict(parse_qsl(url.query, keep_blank_values=True))
    asked = {name: params.get(name) for name in ("Action", "User", "ResourceType", "X-Amz-SignedHeaders")}
    expected = {"Action": "connect", "User": user, "ResourceType": "ServerlessCache", "X-Amz-SignedHeaders": "host"}
    key, day, *scope = params["X-Amz-Credential"].split("/")
    if asked != expected or (url.netloc, url.path) != (cache, "/") or scope != [REGION, "elasticache", "aws4_request"]:
        return None
    signed = datetime.datetime.strptime(params["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
    age = time.time() - signed.timestamp()
    if not -300 < age < int(params["X-Amz-Expires"]) <= 900:
        return None
    credential = resolve_credential(key, ACCOUNT, params.get("X-Amz-Security-Token", ""))
    canonical = build_canonical_request("GET", "/", {"host": cache}, params, "host", payload_hash=NOBODY)
    text = build_string_to_sign(params["X-Amz-Date"], day, REGION, "elasticache", canonical)
    expected = calculate_signature(credential.secret_access_key, day, REGION, "elasticache", text)
    return credential.access_key_id if signatures_match(expected, params["X-Amz-Signature"]) else None


def may_connect(key, resource):
    principal = resolve_principal(key, ACCOUNT)
    context = EvalContext(
        principal_arn=principal.arn,
        principal_type=principal.type,
        principal_account=ACCOUNT,
        action="elasticache:Connect",
        resource_arn=f"arn:aws:elasticache:{REGION}:{ACCOUNT}:{resource}",
        region=REGION,
        principal_keys=principal.keys,
    )
    return principal.policies is None or evaluate(context, principal.policies).decision == "Allow"


def access_string(user, token):
    """What the user is permitted, if the token lets this user in; None if it does not."""
    with request_scope(ACCOUNT, REGION):
        cache = urlsplit(f"//{token}").netloc
        members = service._user_groups.get(groups.get(cache), {}).get("UserIds", [])
        key = signer(token, cache, user) if user in members else None
        if key and may_connect(key, f"serverlesscache:{cache}") and may_connect(key, f"user:{user}"):
            return service._users[user]["AccessString"]
    return None


def resp(*words):
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        parts.append(b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()))
    return b"".join(parts)


async def command(reader):
    count = int((await reader.readline())[1:])
    words = []
    for _ in range(count):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2].decode())
    return words


async def ask(reader, writer, *words):
    writer.write(resp(*words))
    answer = await reader.readline()
    if answer != b"+OK\r\n":
        raise ValueError(answer)


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def serve(reader, writer):
    try:
        name, *login = await command(reader)
        permitted = access_string(*login) if name.upper() == "AUTH" and len(login) == 2 else None
        if permitted is None:
            writer.write(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")
            return
        host, port = os.environ["CACHE_TARGET"].split(":")
        behind, to_behind = await asyncio.open_connection(host, port)
        password = secrets.token_hex(16)
        # Further passwords: others of this name are connected.
        await ask(behind, to_behind, "ACL", "SETUSER", login[0], *permitted.split(), f">{password}")
        await ask(behind, to_behind, "AUTH", login[0], password)
        writer.write(b"+OK\r\n")
        await asyncio.gather(pass_on(reader, to_behind), pass_on(behind, writer), return_exceptions=True)
    except (OSError, EOFError, ValueError, KeyError):
        pass  # the server behind is away, or the client is
    finally:
        writer.close()


async def serve_caches(certificate):
    server = await asyncio.start_server(serve, os.environ["SERVER_HOST"], PORT, ssl=certificate)
    await server.serve_forever()

"""
Starts MiniStack, an AWS in one process, with what its version 1.5.33 refuses or drops put right, as far as this project's
templates need it. It reaches into private names of that version, so requirements.txt pins it. What this AWS cannot show
stands in docs/local-aws.md.
"""

import asyncio
import json
import os
import secrets
import ssl
import struct
import sys
import threading
import time

import elasticache
from ministack.core import iam_actions, lambda_runtime
from ministack.core.iam_evaluator import EvalContext, evaluate, resolve_principal
from ministack.core.rds_iam import RdsIamTokenError, verify_rds_iam_token
from ministack.core.responses import request_scope
from ministack.services import apigateway, cloudwatch, eventbridge, lambda_svc, secretsmanager, sts
from ministack.services.cloudformation import provisioners

ACCOUNT, REGION = "000000000000", os.environ["AWS_REGION"]
handlers = provisioners._RESOURCE_HANDLERS

# --- Resource types that it refuses: recorded, with the attributes that templates read


def stub(resource_type, attributes=lambda props: {}):
    def create(logical_id, props, stack):
        return f"{stack}-{logical_id}"[:60].lower(), attributes(props)

    def update(physical_id, old, new, *_):
        return physical_id, attributes(new)

    handlers[resource_type] = {"create": create, "update": update, "delete": lambda physical_id, props: None}


# Names of the servers, which names.ts leads to the address of this process. Functions trust the common authorities for a
# proxy, and for a cluster of Amazon's Amazon's own, who did not sign here: so its name is another.
CLUSTER_NAME = "cluster.local-aws.test"
PROXY_NAME = f"local.proxy-local.{REGION}.rds.amazonaws.com"
PROXY = "prx-0123456789abcdef0"

stub("AWS::EC2::FlowLog")
stub("AWS::EC2::SecurityGroupEgress")
stub("AWS::EC2::SecurityGroupIngress")
stub("AWS::Logs::QueryDefinition", lambda props: {"QueryDefinitionId": "00000000-0000-0000-0000-000000000000"})
stub("AWS::RDS::DBProxyTargetGroup")
stub(
    "AWS::RDS::DBProxy",
    lambda props: {
        "Endpoint": PROXY_NAME,
        "DBProxyArn": f"arn:aws:rds:{REGION}:{ACCOUNT}:db-proxy:{PROXY}",
        "VpcId": "vpc-0",
    },
)

handlers["AWS::ElastiCache::ServerlessCache"] = elasticache.serverless_cache

# --- A cluster: it has an address that is known here, and RDS makes the password of its master user

cluster = handlers["AWS::RDS::DBCluster"] = dict(handlers["AWS::RDS::DBCluster"])
create_cluster, update_cluster, delete_cluster = cluster["create"], cluster["update"], cluster["delete"]


def master_secret(physical_id):
    return f"rds!cluster-{physical_id}"


def as_rds_makes_it(result, props):
    """A cluster whose master user has a password that RDS made."""
    physical_id, attributes = result
    name = master_secret(physical_id)
    if props.get("ManageMasterUserPassword") and name not in secretsmanager._secrets:
        user = {"username": props["MasterUsername"], "password": secrets.token_urlsafe(24)}
        provisioners._sm_secret_create("", {"Name": name, "SecretString": json.dumps(user)}, "")
    secret = secretsmanager._secrets.get(name, {}).get("ARN", "")
    return physical_id, {**attributes, "Endpoint.Address": CLUSTER_NAME, "MasterUserSecret.SecretArn": secret}


def drop_cluster(physical_id, props):
    secretsmanager._secrets.pop(master_secret(physical_id), None)
    return delete_cluster(physical_id, props)


cluster["create"] = lambda logical_id, props, stack: as_rds_makes_it(create_cluster(logical_id, props, stack), props)
cluster["update"] = lambda *given: as_rds_makes_it(update_cluster(*given), given[2])
cluster["delete"] = drop_cluster

# --- A secret: what refers to it gets its ARN, not its name

secret_handlers = handlers["AWS::SecretsManager::Secret"] = dict(handlers["AWS::SecretsManager::Secret"])
create_secret, delete_secret = secret_handlers["create"], secret_handlers["delete"]


def create_by_arn(logical_id, props, stack):
    name, attributes = create_secret(logical_id, props, stack)
    return secretsmanager._secrets[name]["ARN"], attributes


def delete_by_arn(arn, props):
    name = next((name for name, secret in secretsmanager._secrets.items() if secret["ARN"] == arn), arn)
    return delete_secret(name, props)


secret_handlers["create"], secret_handlers["delete"] = create_by_arn, delete_by_arn

# --- Permissions. It checks a call for several parameters of SSM against the resource `*`, AWS against each of them: here
# the first stands for all. It knows no condition on what a key of KMS is told that a secret is for.

resource_arn = iam_actions.extract_resource_arn
request_context = iam_actions.request_tag_context


def resource_arn_of(service, method, path, headers, body, *rest):
    asked = json.loads(body) if service == "ssm" and body else {}
    for name in asked.get("Names", []):
        return f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}"
    return resource_arn(service, method, path, headers, body, *rest)


def context_of(service, action, body, params):
    told = json.loads(body).get("EncryptionContext", {}) if service == "kms" and body else {}
    purposes = {f"kms:EncryptionContext:{name}": value for name, value in told.items()}
    return {**request_context(service, action, body, params), **purposes}


# The credentials of a function have no end, and a token of IAM by such is refused.
register_session = sts.register_session
sts.register_session = lambda key, session: register_session(key, {"Expiration": time.time() + 43200, **session})
iam_actions.extract_resource_arn = resource_arn_of
iam_actions.request_tag_context = context_of

# --- /opt: a function's layers are unpacked elsewhere, so what its environment says of /opt is told of that place

spawn = lambda_runtime.Worker._spawn


def spawn_with_layers(worker):
    class Variables(dict):
        def items(self):  # asked for once the layers are unpacked
            for name, value in super().items():
                layers = [os.path.join(worker._tmpdir, each) for each in sorted(os.listdir(worker._tmpdir))]
                places = [value.replace("/opt", layer, 1) for layer in layers if value.startswith("/opt/")]
                yield name, next((place for place in places if os.path.exists(place)), value)

    config = worker.config
    variables = Variables(config.get("Environment", {}).get("Variables", {}))
    worker.config = {**config, "Environment": {"Variables": variables}}
    try:
        spawn(worker)
    finally:
        worker.config = config


lambda_runtime.Worker._spawn = spawn_with_layers

# --- Metrics in log lines (EMF) become metrics; alarms are evaluated after every invocation

emit_logs = lambda_svc._emit_lambda_logs


def emit_logs_and_metrics(function, request_id, text, *rest, **named):
    emit_logs(function, request_id, text, *rest, **named)
    for line in (text or "").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        directives = entry.get("_aws", {}).get("CloudWatchMetrics", []) if isinstance(entry, dict) else []
        for directive in directives:
            for names in directive["Dimensions"]:
                for metric in directive["Metrics"]:
                    given = entry[metric["Name"]]
                    for value in given if isinstance(given, list) else [given]:
                        dimensions = {name: entry[name] for name in names}
                        unit = metric.get("Unit", "None")
                        cloudwatch.record_metric(directive["Namespace"], metric["Name"], value, unit, dimensions)
    cloudwatch._evaluate_all_alarms()


lambda_svc._emit_lambda_logs = emit_logs_and_metrics

# --- Time: with EB_TIME_SCALE=0.05 a rule of one minute fires every three seconds. It invokes as AWS does: with the
# function's own retries, and what it gave up in the function's dead letters

SCALE = float(os.environ.get("EB_TIME_SCALE", "1"))
rate_seconds = eventbridge._parse_rate_seconds


def scaled(expression):
    seconds = rate_seconds(expression)
    return None if seconds is None else seconds * SCALE


def invoke(arn, payload):
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)
    if function and config:
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))


eventbridge._parse_rate_seconds = scaled
eventbridge._dispatch_to_lambda = invoke
if SCALE < 1:
    eventbridge._SCHEDULER_TICK_INTERVAL = 1

# --- An HTTP API answers 401 to an authorizer's error `Unauthorized`, and 500 to any other


class Unauthorized(Exception):
    pass


run = apigateway.run_reentrant
authorize = apigateway._authorize_request_v2


async def run_authorizer(function, *given, **named):
    result = await run(function, *given, **named)
    body = (result or {}).get("body")
    if named.get("thread_name") == "ministack-apigw-authorizer" and isinstance(body, dict):
        if body.get("errorMessage") == "Unauthorized":
            raise Unauthorized
    return result


async def authorize_or_refuse(*given, **named):
    try:
        return await authorize(*given, **named)
    except Unauthorized:
        return (401, {"Content-Type": "application/json"}, b'{"message":"Unauthorized"}'), None


apigateway.run_reentrant = run_authorizer
apigateway._authorize_request_v2 = authorize_or_refuse

# --- Aurora and RDS Proxy: PostgreSQL's protocol over TLS up to the password, from where on bytes are passed to the server
# behind. The master user has the password of the secret. Of everybody else it must be a token of IAM that is good for this
# host, port and user, signed by a role that may connect as that user.

PORT = 5432
SSL_REQUEST = struct.pack("!II", 8, 80877103)
CLEARTEXT_PASSWORD = b"R" + struct.pack("!II", 8, 3)


def is_master(user, password):
    for name, secret in secretsmanager._secrets.items():
        for version in secret["Versions"].values() if name.startswith("rds!cluster-") else []:
            if json.loads(version["SecretString"]) == {"username": user, "password": password}:
                return True
    return False


def refusal(user, password):
    """Why this password does not let this user in; None where it does."""
    with request_scope(ACCOUNT, REGION):
        if is_master(user, password):
            return None
        token = verify_rds_iam_token(
            password, hostname=PROXY_NAME, port=PORT, db_user=user, region=REGION, account_id=ACCOUNT
        )
        if isinstance(token, RdsIamTokenError):
            return token.code
        principal = resolve_principal(token.access_key_id, ACCOUNT)
        context = EvalContext(
            principal_arn=principal.arn,
            principal_type=principal.type,
            principal_account=ACCOUNT,
            action="rds-db:connect",
            resource_arn=f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:{PROXY}/{user}",
            region=REGION,
            principal_keys=principal.keys,
        )
        decision = "Allow" if principal.policies is None else evaluate(context, principal.policies).decision
        return None if decision == "Allow" else decision


async def message(reader):
    (length,) = struct.unpack("!I", await reader.readexactly(4))
    return await reader.readexactly(length - 4)


async def pass_on(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def serve(reader, writer):
    try:
        if await reader.readexactly(8) != SSL_REQUEST:
            return  # TLS is required
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(certificate)
        startup = await message(reader)
        words = startup[4:].split(b"\0")
        user = words[words.index(b"user") + 1].decode()
        writer.write(CLEARTEXT_PASSWORD)
        await reader.readexactly(1)
        reason = refusal(user, (await message(reader))[:-1].decode())
        if reason is not None:
            fields = f"SFATAL\0C28000\0MThe IAM authentication failed for the role {user}: {reason}\0\0".encode()
            writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
            return
        host, port = os.environ["DATABASE_TARGET"].split(":")
        server_reader, server_writer = await asyncio.open_connection(host, port)
        server_writer.write(struct.pack("!I", len(startup) + 4) + startup)
        await asyncio.gather(pass_on(reader, server_writer), pass_on(server_reader, writer), return_exceptions=True)
    except (OSError, EOFError, ValueError):
        pass  # the server behind is away, or the client is
    finally:
        writer.close()


async def serve_databases():
    server = await asyncio.start_server(serve, os.environ["SERVER_HOST"], PORT)
    await server.serve_forever()


certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
certificate.load_cert_chain(os.environ["MINISTACK_SSL_CERT"], os.environ["MINISTACK_SSL_KEY"])


def in_background(serve_forever):
    threading.Thread(target=lambda: asyncio.run(serve_forever()), daemon=True).start()


if "DATABASE_TARGET" in os.environ:
    in_background(serve_databases)
if "CACHE_TARGET" in os.environ:
    in_background(lambda: elasticache.serve_caches(certificate))

from ministack.app import main  # noqa: E402  it starts from the environment as it is now

sys.argv = ["ministack"]
main()

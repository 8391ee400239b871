"""Signs requests with Amazon's own signer, for the tests of ours.

Needs botocore:  python3 scripts/sigv4_vectors.py > crates/steward-inference/fixtures/sigv4.json
Nothing here is secret: the keys are Amazon's published examples, and nothing is sent.
"""

import datetime
import json
import sys

import botocore
import botocore.auth
import botocore.awsrequest
import botocore.credentials

KEY = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN//////////wEaCXVzLWVhc3QtMSJHMEUCIQD+/=="
AT = datetime.datetime(2026, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc)
HOST = "https://bedrock-runtime.eu-central-1.amazonaws.com"
MODELS = [
    "anthropic.claude-sonnet-4-5-20250929-v1%3A0",
    "eu.anthropic.claude-opus-4-1-20250805-v1%3A0",
    "arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc123",
]
BODIES = ["", "{}", '{"messages":[{"role":"user","content":"größe – 日本"}]}']


def cases():
    for token in (None, TOKEN):
        for body in BODIES:
            for model in MODELS:
                yield "POST", f"{HOST}/model/{model}/invoke-with-response-stream", body, token
            yield "POST", f"{HOST}/openai/v1/chat/completions", body, token
            yield "POST", "http://127.0.0.1:8123/model/a%20b~c/invoke", body, token
        yield "GET", "https://bedrock.us-east-1.amazonaws.com/foundation-models", "", token
        yield "GET", "https://bedrock.us-east-1.amazonaws.com/foundation-models?byProvider=anthropic&byOutputModality=TEXT", "", token


def sign(method, url, body, token):
    headers = {"content-type": "application/json"} if method == "POST" else {}
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body.encode(), headers=headers)
    credentials = botocore.credentials.Credentials(*KEY, token)
    region = url.split(".")[1] if "amazonaws" in url else "eu-central-1"
    botocore.auth.SigV4Auth(credentials, "bedrock", region).add_auth(request)
    key = ":".join([*KEY, token] if token else KEY)
    return {"method": method, "url": url, "body": body, "region": region, "key": key, "authorization": request.headers["Authorization"]}


botocore.auth.get_current_datetime = lambda *_, **__: AT
vectors = {"signer": f"botocore {botocore.__version__}", "at": AT.isoformat(), "cases": [sign(*case) for case in cases()]}
json.dump(vectors, sys.stdout, indent=1, ensure_ascii=False)
print()

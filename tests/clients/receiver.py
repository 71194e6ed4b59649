"""Receives webhooks of scrapehook and prints `type job state` for each event.

pip install fastapi uvicorn standardwebhooks
WEBHOOK_SECRET=whsec_... uvicorn receiver:app --port 8000
"""

import os

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
app = FastAPI()

# A service keeps these ids in its database, in the transaction that does the work. They must outlive
# forward.give_up_after, because scrapehook sends a webhook again until it is answered with 2xx.
seen: set[str] = set()


def handle(message: dict) -> None:
    """Your code. It runs once for each event."""
    job = message["data"].get("job") or {}
    print(message["type"], job.get("id"), job.get("state"), flush=True)


@app.post("/webhooks")
async def receive(request: Request) -> Response:
    # The signature covers the bytes as they came, so read the body before anything parses it.
    body = await request.body()
    try:
        message = webhook.verify(body, dict(request.headers))
    except (WebhookVerificationError, ValueError):
        # ValueError: a signature that is not base64, or a body that is not text or not JSON.
        return Response("the signature does not fit\n", status_code=401)
    message_id = request.headers["webhook-id"]
    if message_id not in seen:
        handle(message)
        # After the work: if it fails, the webhook comes again.
        seen.add(message_id)
    return Response(status_code=204)

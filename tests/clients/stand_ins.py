#!/usr/bin/env python3
"""Stand-ins for the systems that receive webhooks: n8n, Windmill, Slack, Discord and ntfy.

usage: stand_ins.py [--listen HOST:PORT] [--seconds N]
       stand_ins.py --self-test

One server has all of them, at paths like those of the products. Each answers as the documentation or the source of its
product says. Comments marked "documented" name such a fact. Each accepted message is a line of JSON on standard output.
The address and the refused requests are on standard error. The server stops after N seconds (600 by default).

  n8n       POST /webhook-waiting/{execution}?signature=…    the resume URL of a Wait node
  Windmill  POST /api/w/{workspace}/jobs_u/resume/{job}/{resume_id}/{signature}
  Slack     POST /services/T0000/B0000/slack-token
  Discord   POST /api/webhooks/1234/discord-token
  ntfy      POST /{topic}

The products have other ways to make a resume URL and to begin a wait. Here these requests do so:

  POST /control/n8n/{execution}/running    starts an execution, and answers its resume URL
  POST /control/n8n/{execution}/waiting    lets it reach its Wait node
  POST /control/windmill                   starts a flow with an approval step, and answers its resume URL
"""

import argparse
import contextlib
import email.header
import hashlib
import hmac
import json
import re
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The largest body that any of them reads.
MAX_BODY = 16 << 20


class Answer(Exception):
    """The answer to a request. Raised, so that a stand-in can refuse from anywhere."""

    def __init__(self, status, body="", headers=None):
        super().__init__(status)
        is_text = isinstance(body, str)
        self.status = status
        self.body = (body if is_text else json.dumps(body)).encode()
        self.headers = {"Content-Type": "text/plain" if is_text else "application/json", **(headers or {})}


class Request:
    """A request that arrived."""

    def __init__(self, method, target, headers, body):
        parts = urllib.parse.urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        self.headers = headers
        self.body = body

    def json(self):
        """The body as JSON. ValueError if it is none."""
        return json.loads(self.body.decode())


class N8n:
    """Executions with a Wait node that resumes "On Webhook Call" with the method POST."""

    # Documented: "This generated URL is unique to each execution."
    PATH = re.compile(r"/webhook-waiting/([^/]+)")
    CONTROL = re.compile(r"/control/n8n/([^/]+)/(running|waiting)")

    def __init__(self):
        self._executions = {}

    def control(self, execution, state):
        self._executions[execution] = state
        return Answer(200, {"resumeUrl": f"/webhook-waiting/{execution}?signature={self._signature(execution)}"})

    @staticmethod
    def _signature(execution):
        return hmac.new(b"n8n", execution.encode(), hashlib.sha256).hexdigest()

    @staticmethod
    def _error(status, message):
        # Documented by its source (response-helper.ts): an error is JSON with `code` and `message`.
        return Answer(status, {"code": status, "message": message})

    def receive(self, request, execution):
        # The messages and their order are those of its source (waiting-webhooks.ts).
        state = self._executions.get(execution)
        if state is None:
            # Also an execution that has ended, if n8n does not keep it.
            raise self._error(404, f'The execution "{execution}" does not exist.')
        # Since 2026 the resume URL is signed, and a URL without its signature is refused.
        if not hmac.compare_digest(request.query.get("signature", ""), self._signature(execution)):
            raise Answer(401, {"error": "Invalid token"})
        if state == "running":
            # The execution has not reached its Wait node yet.
            raise self._error(409, f'The execution "{execution}" is running already.')
        if state == "finished":
            raise self._error(409, f'The execution "{execution}" has finished already.')
        if request.method != "POST":
            # The method of a Wait node is GET until somebody selects another one.
            raise self._error(
                404,
                f'The workflow for execution "{execution}" does not contain a waiting webhook'
                " with a matching path/method.",
            )
        try:
            body = request.json()
        except ValueError:
            raise self._error(422, "Failed to parse request body") from None
        self._executions[execution] = "finished"
        # Documented: with "Respond" set to "Immediately", n8n answers when the node executes, with status 200.
        return Answer(200, {"message": "Workflow was started"}), {"execution": execution, "body": body}


class Windmill:
    """Approval steps of flows, which a request to their resume URL resumes."""

    PATH = re.compile(r"/api/w/([^/]+)/jobs_u/resume/([0-9a-f-]{36})/([0-9]+)/([0-9a-f]+)")
    CONTROL = re.compile(r"/control/windmill")
    KEY = b"the key of the workspace"

    def __init__(self):
        self._suspended = set()
        self._resumed = set()

    def _signature(self, job, resume_id):
        # Documented: "the recipients of the secret urls". The source (jobs.rs) signs the id of the step and resume_id.
        message = uuid.UUID(job).bytes + resume_id.to_bytes(4, "big")
        return hmac.new(self.KEY, message, hashlib.sha256).hexdigest()

    def control(self):
        job, resume_id = str(uuid.uuid4()), uuid.uuid4().int >> 96
        self._suspended.add(job)
        signature = self._signature(job, resume_id)
        return Answer(200, {"resume": f"/api/w/demo/jobs_u/resume/{job}/{resume_id}/{signature}"})

    def receive(self, request, workspace, job, resume_id, signature):
        # The texts and the status of all refusals are those of its source (jobs.rs, error.rs).
        try:
            is_signed = hmac.compare_digest(signature, self._signature(job, int(resume_id)))
        except (ValueError, OverflowError):
            is_signed = False
        if not is_signed:
            raise Answer(500, "Invalid signature")
        if job not in self._suspended:
            raise Answer(500, f"job not found or parent flow not in queue: {job}")
        if job in self._resumed:
            raise Answer(500, "resume request already sent")
        # Documented in its OpenAPI description: POST takes the payload as JSON, and 201 means "job resumed".
        try:
            payload = request.json()
        except ValueError:
            raise Answer(400, "the payload is not JSON") from None
        # It may come before the step ends: the flow then does not wait.
        self._resumed.add(job)
        return Answer(201), {"workspace": workspace, "job": job, "resume": payload}


class Slack:
    """An incoming webhook."""

    # Documented: "https://hooks.slack.com/services/T…/B…/…". The three parts are team, service and token.
    PATH = re.compile(r"/services/([^/]+)/([^/]+)/([^/]+)")
    TOKEN = "slack-token"

    def receive(self, request, team, service, token):
        # Documented: errors are short strings with the statuses 400, 403, 404 and 410. Success is 200 with "ok".
        if team != "T0000" or service != "B0000":
            raise Answer(404, "no_service")
        if token != self.TOKEN:
            raise Answer(403, "invalid_token")
        try:
            if request.headers.get_content_type() == "application/x-www-form-urlencoded":
                message = json.loads(dict(urllib.parse.parse_qsl(request.body.decode()))["payload"])
            else:
                message = request.json()
        except (ValueError, KeyError):
            raise Answer(400, "invalid_payload") from None
        if not isinstance(message, dict):
            raise Answer(400, "invalid_payload")
        if not any(message.get(field) for field in ("text", "blocks", "attachments")):
            raise Answer(400, "no_text")
        return Answer(200, "ok"), message


class Discord:
    """A webhook of a channel."""

    PATH = re.compile(r"/api(?:/v[0-9]+)?/webhooks/([0-9]+)/([^/]+)")
    ID, TOKEN = "1234", "discord-token"
    # Documented: limits "should not be hard coded". The figures of its example are 5 in some seconds.
    LIMIT, SECONDS = 5, 2.0
    # Documented: "the message contents (up to 2000 characters)".
    MAX_CONTENT = 2000

    def __init__(self, now=time.monotonic):
        self._now = now
        self._recent = []

    def _take(self):
        """Counts a request, or refuses it."""
        now = self._now()
        self._recent = [at for at in self._recent if now - at < self.SECONDS]
        if len(self._recent) >= self.LIMIT:
            wait = self.SECONDS - (now - self._recent[0])
            # Documented: 429 with `message`, `retry_after` (a float) and `global`. Retry-After is in whole seconds.
            raise Answer(
                429,
                {"message": "You are being rate limited.", "retry_after": round(wait, 3), "global": False},
                {"Retry-After": str(int(wait) + 1), "X-RateLimit-Scope": "user"},
            )
        self._recent.append(now)

    @staticmethod
    def _error(status, code, message, **more):
        # Documented: errors are JSON with `message` and `code`, and with `errors` for an invalid form body.
        return Answer(status, {"message": message, "code": code, **more})

    def receive(self, request, webhook, token):
        # Documented codes: 10015, 50027, 50109, 50006 and 50035.
        if webhook != self.ID:
            raise self._error(404, 10015, "Unknown Webhook")
        if token != self.TOKEN:
            raise self._error(401, 50027, "Invalid Webhook Token")
        self._take()
        try:
            message = request.json()
        except ValueError:
            raise self._error(400, 50109, "The request body contains invalid JSON.") from None
        content = message.get("content") if isinstance(message, dict) else None
        # Documented: "you must provide a value for at least one of content, embeds, components, file, or poll".
        if not content and not (isinstance(message, dict) and message.get("embeds")):
            raise self._error(400, 50006, "Cannot send an empty message")
        if content and len(content) > self.MAX_CONTENT:
            fault = {"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}
            raise self._error(400, 50035, "Invalid Form Body", errors={"content": {"_errors": [fault]}})
        # Documented: "Returns a message or 204 No Content depending on the wait query parameter."
        if request.query.get("wait") == "true":
            return Answer(200, {"id": "1", "content": content}), message
        return Answer(204), message


class Ntfy:
    """A server without attachments."""

    # Documented: a topic is a name of up to 64 letters, digits, "_" and "-".
    PATH = re.compile(r"/([-_A-Za-z0-9]{1,64})")
    # Documented: priorities from 1 to 5, by number or by name.
    PRIORITIES = {"min": 1, "low": 2, "default": 3, "high": 4, "urgent": 5, "max": 5}
    # Documented: a longer message becomes an attachment.
    MAX_MESSAGE = 4096

    @staticmethod
    def _parameter(request, *names):
        # Documented: each has several names, as a header or in the query. Header values may be UTF-8 or RFC 2047.
        for name in names:
            value = request.headers.get(name)
            if value is not None:
                value = str(value).encode("latin-1", "surrogateescape").decode("utf-8", "replace")
                return str(email.header.make_header(email.header.decode_header(value))).strip()
            if name in request.query:
                return request.query[name].strip()
        return ""

    @staticmethod
    def _error(status, code, error):
        # Documented by its source (errors.go): an error is JSON with `code`, `http` and `error`.
        return Answer(status, {"code": code, "http": status, "error": error})

    def receive(self, request, topic):
        # Documented: "Publishing messages can be done via HTTP PUT/POST", with the message as the body.
        priority = self._parameter(request, "x-priority", "priority", "prio", "p").lower()
        if priority in self.PRIORITIES:
            priority = self.PRIORITIES[priority]
        elif priority in ("", "1", "2", "3", "4", "5"):
            priority = int(priority or 0)
        else:
            raise self._error(400, 40007, "invalid priority parameter")
        try:
            text = request.body.decode().strip()
        except UnicodeDecodeError:
            text = None
        if text is None or len(request.body) > self.MAX_MESSAGE:
            raise self._error(400, 40014, "invalid request: attachments not allowed")
        now = int(time.time())
        # Documented: an empty message is "triggered". The answer is the message as subscribers see it.
        message = {"id": uuid.uuid4().hex[:12], "time": now, "expires": now + 43200, "event": "message", "topic": topic}
        if title := self._parameter(request, "x-title", "title", "ti", "t"):
            message["title"] = title
        message["message"] = text or "triggered"
        if priority:
            message["priority"] = priority
        if tags := self._parameter(request, "x-tags", "tags", "tag", "ta"):
            message["tags"] = [tag.strip() for tag in tags.split(",")]
        return Answer(200, message), message


class StandIns:
    """All of them behind one address."""

    def __init__(self, accepted):
        self._accepted = accepted
        self._lock = threading.Lock()
        # ntfy is last, because a topic can be any word.
        self._products = [N8n(), Windmill(), Slack(), Discord(), Ntfy()]

    def answer(self, request):
        """The answer to a request."""
        with self._lock:
            try:
                return self._route(request)
            except Answer as refusal:
                print(f"refused {request.path} {refusal.status}", file=sys.stderr, flush=True)
                return refusal

    def _route(self, request):
        for product in self._products:
            control = getattr(product, "CONTROL", None)
            if control and (found := control.fullmatch(request.path)):
                return product.control(*found.groups())
        for product in self._products:
            if found := product.PATH.fullmatch(request.path):
                # n8n looks at the method itself.
                if request.method != "POST" and not isinstance(product, N8n):
                    raise Answer(405, "method not allowed")
                answer, message = product.receive(request, *found.groups())
                self._accepted({"product": type(product).__name__.lower(), "message": message})
                return answer
        raise Answer(404, "not found")


def serve(address, accepted):
    """A server for all stand-ins, which is not running yet."""
    stand_ins = StandIns(accepted)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def _handle(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY:
                self.close_connection = True
                answer = Answer(413, "too large")
            else:
                body = self.rfile.read(length)
                answer = stand_ins.answer(Request(self.command, self.path, self.headers, body))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            # 204 has no body and no length.
            if answer.status != 204:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = _handle

        def log_message(self, *_):
            pass

    return ThreadingHTTPServer(address, Handler)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("--seconds", type=float, default=600, help="stop after this time (default: 600)")
    parser.add_argument("--self-test", action="store_true", help="check the stand-ins and stop")
    options = parser.parse_args()
    if options.self_test:
        # Beside this file. It imports this one.
        import stand_ins_test

        stand_ins_test.check()
        return
    host, _, port = options.listen.rpartition(":")
    server = serve((host, int(port)), lambda message: print(json.dumps(message), flush=True))
    print(f"listening on http://{host}:{server.server_port}", file=sys.stderr, flush=True)
    stop = threading.Timer(options.seconds, server.shutdown)
    stop.daemon = True
    stop.start()
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()

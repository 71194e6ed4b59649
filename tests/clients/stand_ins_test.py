"""Checks each stand-in over HTTP: stand_ins.py --self-test."""

import email.header
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

from stand_ins import serve


def check():
    """Ends the program at the first answer that is not as expected."""
    accepted = []
    server = serve(("127.0.0.1", 0), accepted.append)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def send(path, body=b"", method="POST", **headers):
        if not isinstance(body, bytes):
            body, headers = json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        url = f"http://127.0.0.1:{server.server_port}{path}"
        request = urllib.request.Request(url, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                status, head, text = response.status, response.headers, response.read().decode()
        except urllib.error.HTTPError as error:
            status, head, text = error.code, error.headers, error.read().decode()
        is_json = head.get_content_type() == "application/json" and text
        return status, json.loads(text) if is_json else text, head

    checks = 0

    def expect(name, found, wanted):
        nonlocal checks
        checks += 1
        if found != wanted:
            sys.exit(f"{name}: {found!r} instead of {wanted!r}")

    def both(path, body=b"", **more):
        return send(path, body, **more)[:2]

    event = {"type": "job.settled", "data": {"job": {"state": "done"}}}

    expect("n8n, unknown", both("/webhook-waiting/7", event)[0], 404)
    expect("n8n, unknown, code", both("/webhook-waiting/7", event)[1]["code"], 404)
    resume = send("/control/n8n/7/running")[1]["resumeUrl"]
    expect("n8n, running", both(resume, event)[0], 409)
    send("/control/n8n/7/waiting")
    expect("n8n, unsigned", both("/webhook-waiting/7", event), (401, {"error": "Invalid token"}))
    expect("n8n, GET", both(resume, method="GET")[0], 404)
    expect("n8n, waiting", both(resume, event), (200, {"message": "Workflow was started"}))
    expect("n8n, message", accepted[-1], {"product": "n8n", "message": {"execution": "7", "body": event}})
    expect("n8n, finished", both(resume, event)[0], 409)

    resume = send("/control/windmill")[1]["resume"]
    expect("Windmill, forged", both(resume[:-64] + "0" * 64, event), (500, "Invalid signature"))
    expect("Windmill, text", both(resume, b"no JSON")[0], 400)
    expect("Windmill", both(resume, event), (201, ""))
    expect("Windmill, message", accepted[-1]["message"]["resume"], event)
    expect("Windmill, again", both(resume, event), (500, "resume request already sent"))

    slack = "/services/T0000/B0000/slack-token"
    expect("Slack", both(slack, {"text": "done"}), (200, "ok"))
    expect("Slack, message", accepted[-1], {"product": "slack", "message": {"text": "done"}})
    form = urllib.parse.urlencode({"payload": '{"text": "form"}'}).encode()
    expect("Slack, form", both(slack, form), (200, "ok"))
    expect("Slack, text", both(slack, b"done", **{"Content-Type": "text/plain"}), (400, "invalid_payload"))
    expect("Slack, list", both(slack, ["done"]), (400, "invalid_payload"))
    expect("Slack, empty", both(slack, {"text": ""}), (400, "no_text"))
    expect("Slack, token", both("/services/T0000/B0000/other", {"text": "done"}), (403, "invalid_token"))
    expect("Slack, service", both("/services/T0000/B1/slack-token", {"text": "done"}), (404, "no_service"))

    discord = "/api/webhooks/1234/discord-token"
    expect("Discord, unknown", both("/api/webhooks/1/discord-token", {"content": "a"})[1]["code"], 10015)
    expect("Discord, token", both("/api/webhooks/1234/other", {"content": "a"})[0], 401)
    expect("Discord", both(discord, {"content": "a" * 2000}), (204, ""))
    expect("Discord, wait", both(discord + "?wait=true", {"content": "b"}), (200, {"id": "1", "content": "b"}))
    expect("Discord, message", accepted[-1], {"product": "discord", "message": {"content": "b"}})
    expect("Discord, empty", both(discord, {"content": ""})[1]["code"], 50006)
    expect("Discord, long", both(discord, {"content": "a" * 2001})[1]["code"], 50035)
    expect("Discord, text", both(discord, b"text")[1]["code"], 50109)
    status, body, head = send(discord, {"content": "too many"})
    expect("Discord, limit", (status, body["global"], body["retry_after"] <= 2), (429, False, True))
    expect("Discord, header", int(head["Retry-After"]) >= body["retry_after"], True)

    title = "Fertig \u2013 12"
    status, body, _ = send("/jobs", "3 von 3 \u2713".encode(), Title=title.encode().decode("latin-1"), Priority="high")
    expect("ntfy", (status, body["event"], body["message"]), (200, "message", "3 von 3 \u2713"))
    expect("ntfy, headers", (body["title"], body["priority"], body["topic"]), (title, 4, "jobs"))
    expect("ntfy, message", accepted[-1], {"product": "ntfy", "message": body})
    encoded = email.header.Header(title, "utf-8").encode()
    expect("ntfy, RFC 2047", send("/jobs", b"a", **{"X-Title": encoded})[1]["title"], title)
    expect("ntfy, empty", send("/jobs")[1]["message"], "triggered")
    expect("ntfy, priority", send("/jobs", b"a", Priority="9")[1]["code"], 40007)
    expect("ntfy, long", send("/jobs", b"a" * 4097)[1]["code"], 40014)
    expect("ntfy, topic", both("/not.a.topic", b"a")[0], 404)

    expect("accepted", len(accepted), 9)
    server.shutdown()
    server.server_close()
    print(f"{checks} checks of the stand-ins passed")

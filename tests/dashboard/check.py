"""Runs the tests of the dashboard, or those that are named. `run` calls it."""

import sys
import traceback
from pathlib import Path

import content
import jobs
import signing_in
import views
from service import Service

TESTS = [*signing_in.TESTS, *jobs.TESTS, *content.TESTS, *views.TESTS]


def main():
    chosen = [test for test in TESTS if not sys.argv[1:] or test.__name__ in sys.argv[1:]]
    if not chosen:
        sys.exit(f"no test has this name: {sys.argv[1:]}")
    failed = []
    for test in chosen:
        service = Service()
        try:
            test(service)
            print(f"ok      {test.__name__}", flush=True)
        except Exception:
            failed.append(test.__name__)
            print(f"FAILED  {test.__name__}\n{traceback.format_exc()}", flush=True)
            print((Path(service.folder.name) / "serve.log").read_text()[-2000:], flush=True)
        service.close()
    if failed:
        sys.exit(f"{len(failed)} of {len(chosen)} tests failed")


if __name__ == "__main__":
    main()

"""The process that measures: reads questions and writes answers, one JSON object a line."""

import json
import os
import sys

from lanner import _lanner


def main() -> None:
    """Measures the models that standard input names, until it ends."""
    settings = json.loads(sys.argv[1])
    # Prints of a runtime must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    timer = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if timer is None:
                timer = _lanner.Timer(
                    settings["runtime"], settings["threads"], settings.get("library")
                )
            with open(question["model"], "rb") as file:
                model = file.read()
            latency = timer.measure(model, question["final"])
            if latency is None:
                answer: dict[str, object] = {"refused": timer.describe()}
            else:
                answer = {"ms": latency[0], "se": latency[1], "runtime": timer.describe()}
        except Exception as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()

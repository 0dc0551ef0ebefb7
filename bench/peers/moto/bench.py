"""Step Functions of moto, in memory and in this process: no HTTP, no disk, which is the most that can be said for it.

    bench.py --tmp FOLDER --definitions FOLDER [--executions 64] [--items 1000]

Prints one line of JSON. A transition is a state that an execution left. Executions go one after the other: a start
copies everything that the account has, and fails while another execution runs.
"""

import argparse
import itertools
import json
import os
import time

os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1")

import boto3  # noqa: E402
import moto  # noqa: E402
from moto.core import DEFAULT_ACCOUNT_ID  # noqa: E402
from moto.stepfunctions.parser.models import stepfunctions_parser_backends  # noqa: E402

ROLE = "arn:aws:iam::000000000000:role/bench"
NUMBERS = itertools.count()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tmp")
    parser.add_argument("--definitions", required=True, help="the folder with short, long and map.asl.json")
    parser.add_argument("--executions", type=int, default=64)
    parser.add_argument("--items", type=int, default=1000)
    options = parser.parse_args()
    with moto.mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        client = boto3.client("stepfunctions")
        definitions = {}
        for name in ("short", "long", "map"):
            with open(os.path.join(options.definitions, f"{name}.asl.json"), encoding="utf-8") as file:
                definitions[name] = file.read()
        said = {"version": moto.__version__}
        # The first execution loads the parser.
        run(client, definitions["short"])
        seconds = run(client, definitions["short"], options.executions)
        said["transitions_per_s"] = options.executions * len(json.loads(definitions["short"])["States"]) / seconds
        said["long_ms"] = run(client, definitions["long"]) * 1000
        boto3.client("s3").create_bucket(Bucket="items")
        body = json.dumps([{"id": at} for at in range(options.items)])
        boto3.client("s3").put_object(Bucket="items", Key="items.json", Body=body)
        said["map_items"] = options.items
        said["map_seconds"] = run(client, definitions["map"])
    print(json.dumps(said))


def run(client, definition, count=1):
    """Runs executions one after the other and returns the seconds that they took."""
    name = f"m-{next(NUMBERS)}"
    machine = client.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]
    backend = stepfunctions_parser_backends[DEFAULT_ACCOUNT_ID]["us-east-1"]
    seconds = 0.0
    for at in range(count):
        begin = time.perf_counter()
        arn = client.start_execution(stateMachineArn=machine, name=f"e-{at}", input='{"n": 1}')["executionArn"]
        # Its record is looked at itself: asking through the client would take the time of its threads.
        execution = backend.describe_execution(arn)
        while "RUNNING" in str(execution.exec_status):
            time.sleep(0.0005)
        seconds += time.perf_counter() - begin
        said = client.describe_execution(executionArn=arn)
        if said["status"] != "SUCCEEDED":
            raise SystemExit(f"an execution {said['status']}: {said.get('error')} {said.get('cause')}")
        # What is kept is copied at each start.
        backend.describe_state_machine(machine).executions.clear()
    return seconds


if __name__ == "__main__":
    main()

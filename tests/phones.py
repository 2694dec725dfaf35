"""What stands for a phone that asks a server, and what it says."""

import json
from http.client import HTTPConnection
from types import SimpleNamespace

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgenet.phone.server import Server


class Phone:
    """Asks a server over one connection, as a browser would. cookie: what it sends, if anything."""

    def __init__(self, server: Server):
        self._server = server
        self._connection = HTTPConnection(*server.server_address[:2], timeout=20)
        self.cookie = None

    def again(self) -> "Phone":
        """The same phone on a new connection, as after a refusal, which ends the connection."""
        return Phone(self._server)

    def begin(self) -> str:
        """The name of a new run."""
        return json.loads(self.post("/runs").data)["id"]

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> SimpleNamespace:
        if self.cookie:
            headers["Cookie"] = self.cookie
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        return SimpleNamespace(status=answer.status, data=data, headers=answer.headers)

    def get(self, path: str, **headers: str) -> SimpleNamespace:
        return self.ask("GET", path, **headers)

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> SimpleNamespace:
        return self.ask("POST", path, body, **headers)

    def error(self, answer: SimpleNamespace) -> tuple[int, str]:
        return answer.status, json.loads(answer.data)["error"]

    def score_all(self, run: str) -> None:
        """Run every variant on every chunk, by LiteRT, and send the scores."""
        told = json.loads(self.get("/bundle.json").data)
        for variant in told["variants"]:
            interpreter = Interpreter(model_content=self.get(variant["file"]).data)
            interpreter.allocate_tensors()
            entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            table = np.array(variant["input"]["table"], variant["input"]["dtype"])
            for number in range(-(-told["pictures"] // told["chunk"])):
                pixels = np.frombuffer(self.get(f"/pictures/{number}").data, np.uint8)
                pixels = pixels.reshape(-1, told["height"], told["width"], told["channels"])
                outputs = []
                for picture in pixels:
                    planes = [table[channel][picture[..., channel]] for channel in range(told["channels"])]
                    interpreter.set_tensor(entry["index"], np.stack(planes, axis=-1)[None])
                    interpreter.invoke()
                    outputs.append(interpreter.get_tensor(leave["index"]).tobytes())
                answer = self.post(f"/runs/{run}/scores/{variant['name']}/{number}", b"".join(outputs))
                assert answer.status == 200, answer.data


def report(names, rounds: int = 6, **phone) -> dict:
    """What a phone says at the end: int8 takes 1 ms, all others 2."""
    return {
        "phone": {
            "model": "Pixel 7",
            "architecture": "arm64",
            "cores": 8,
            "memory_bytes": 8 << 30,
            "system": "Android 14",
            "browser": "Chrome 140",
            "user_agent": "Mozilla/5.0",
            "litert": "2.5.3",
            "isolated": True,
            **phone,
        },
        "measurements": {
            name: {
                "load": 0.1,
                "first": 0.01,
                "latency": [
                    {"threads": count, "per_sample": 1, "rounds": [[0.001 * (1 + (name != "int8"))] * 5] * rounds}
                    for count in (1, 4)
                ],
            }
            for name in names
        },
        "condition": {"hidden": False, "battery": False, "resolution": 5e-6},
    }

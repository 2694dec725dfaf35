"""A simulated phone: its requests to a server, and its report."""

import json
from http.client import HTTPConnection
from types import SimpleNamespace

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgenet.phone.server import Server


class Phone:
    """Sends requests over one connection, as a browser does. cookie: the header to send; None for none."""

    def __init__(self, server: Server):
        self._server = server
        self._connection = HTTPConnection(*server.server_address[:2], timeout=20)
        self.cookie = None

    def reconnect(self) -> "Phone":
        """A phone with a new connection: an error response ends the connection."""
        return Phone(self._server)

    def begin(self) -> str:
        """The ID of a new run."""
        return json.loads(self.post("/runs").data)["id"]

    def request(self, method: str, path: str, body: bytes | None = None, **headers: str) -> SimpleNamespace:
        if self.cookie:
            headers["Cookie"] = self.cookie
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        data = response.read()
        return SimpleNamespace(status=response.status, data=data, headers=response.headers)

    def get(self, path: str, **headers: str) -> SimpleNamespace:
        return self.request("GET", path, **headers)

    def post(self, path: str, body: bytes = b"{}", **headers: str) -> SimpleNamespace:
        return self.request("POST", path, body, **headers)

    def error(self, response: SimpleNamespace) -> tuple[int, str]:
        return response.status, json.loads(response.data)["error"]

    def score_all(self, run: str) -> None:
        """Run every variant on every chunk, by LiteRT, and send the scores."""
        description = json.loads(self.get("/bundle.json").data)
        for variant in description["variants"]:
            interpreter = Interpreter(model_content=self.get(variant["file"]).data)
            interpreter.allocate_tensors()
            input_details, output_details = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
            values = np.array(variant["input"]["pixel_values"], variant["input"]["dtype"])
            for number in range(-(-description["images"] // description["chunk"])):
                pixels = np.frombuffer(self.get(f"/images/{number}").data, description["pixels"])
                pixels = pixels.reshape(-1, description["height"], description["width"], description["channels"])
                outputs = []
                for image in pixels:
                    if values.dtype == np.float32:
                        mean, std = (np.float32(description[name]) for name in ("mean", "std"))
                        tensor = (image - mean) / std
                    else:
                        levels = np.rint(image).astype(np.uint8)
                        planes = [values[channel][levels[..., channel]] for channel in range(description["channels"])]
                        tensor = np.stack(planes, axis=-1)
                    interpreter.set_tensor(input_details["index"], tensor[None])
                    interpreter.invoke()
                    outputs.append(interpreter.get_tensor(output_details["index"]).tobytes())
                response = self.post(f"/runs/{run}/scores/{variant['name']}/{number}", b"".join(outputs))
                assert response.status == 200, response.data


def report(names, rounds: int = 6, **phone) -> dict:
    """A phone's report: int8 takes 1 ms, all others 2."""
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

"""Classifies image files in a child process, for `edgenet classify`: the parent needs neither numpy nor LiteRT.

The request names the file, and the options of a `Classifier`. After that, a message {"folder": path} is answered by the
paths of its images, and {"images": paths, "top": count} by a result for each: "predictions", or an "error".
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgenet import cores
from edgenet.errors import EdgenetError
from edgenet.images import listing
from edgenet.litert import child
from edgenet.litert.classifier import LocalClassifier
from edgenet.litert.remote import limit_memory

# Decoding the largest image that is accepted.
DECODER_BYTES = 1_500_000_000


def _start(request: dict[str, Any]) -> tuple[dict[str, Any], child.Handler]:
    path, options = Path(request["path"]), request["options"]
    limit_memory(path, options.get("threads", 1) + cores.available(), DECODER_BYTES)
    classifier = LocalClassifier(path, **options)

    def classify_one(image: str, top: int) -> dict[str, Any]:
        try:
            return {"predictions": [asdict(prediction) for prediction in classifier.classify(image, top)]}
        except EdgenetError as error:
            return {"error": str(error)}

    def classify(images: Sequence[str], top: int) -> list[dict[str, Any]]:
        if len(images) == 1:
            return [classify_one(images[0], top)]
        with ThreadPoolExecutor(min(len(images), cores.available())) as pool:
            return list(pool.map(lambda image: classify_one(image, top), images))

    def answer(message: dict[str, Any], _: object) -> Any:
        if "folder" in message:
            return [str(path) for path in listing.find_images(Path(message["folder"])).paths]
        return classify(message["images"], message["top"])

    return {"notes": classifier.notes, "workers": cores.available()}, answer


if __name__ == "__main__":
    child.serve(_start)

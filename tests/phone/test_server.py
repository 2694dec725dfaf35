"""The web server: a whole run of a phone, and everything that is not one."""

import json
import re
import socket
import ssl
import threading
import time
from dataclasses import asdict, replace
from http.client import HTTPConnection

import numpy as np
import pytest
from phones import Phone, report

from edgenet import records
from edgenet.analysis import comparison, loading
from edgenet.benchmarking import benchmark, drift
from edgenet.benchmarking.options import BenchmarkOptions
from edgenet.benchmarking.subject import Subject
from edgenet.bundle import bundle as bundles
from edgenet.errors import EdgenetError
from edgenet.images import preprocess
from edgenet.phone import certificate
from edgenet.phone.server import MAX_REPORT_BYTES, Server
from edgenet.phone.service import MAX_IDLE_SECONDS, MAX_RUNS
from edgenet.records import Drift, Grade, Results, ScoreKind
from edgenet.reporting.results_table import results_table

NAMES = ("float32", "float16", "dynamic", "int8")


def without_sums(drift: Drift) -> Drift:
    """Without means of floats: a phone gets other numbers of images at a time, so they are added in another order."""
    return replace(drift, agreement=drift.agreement and replace(drift.agreement, probabilities=None))


def test_a_phones_run_becomes_results_with_the_laptops_drift(served, phone, bundle, progress):
    run = phone.begin()
    phone.score_all(run)
    answer = json.loads(phone.post(f"/runs/{run}/finish", json.dumps(report(NAMES)).encode()).data)

    path = bundle.folder / answer["file"]
    results = records.from_json(Results, path.read_bytes(), str(path))
    assert served.finished == [(path, results)]
    laptops = drift.measure_drift(bundle, bundle.variants(), progress)
    for measured in results.measurements:
        laptop = laptops[measured.name]
        assert without_sums(measured.drift) == without_sums(laptop)
        # 43 sums in float64: each rounds by at most 2**-53 of the total.
        change = asdict(laptop.agreement.probabilities)
        assert asdict(measured.drift.agreement.probabilities) == pytest.approx(change, rel=43 * 2**-53)
    assert (results.machine.cpu, results.machine.cores) == ("Pixel 7, Chrome 140", 8)
    assert results.run.api == "LiteRT.js" and results.machine.versions["LiteRT.js"] == "2.5.3"
    int8 = next(m for m in results.measurements if m.name == "int8")
    assert [(entry.threads, entry.median, entry.speedup.value) for entry in int8.latency] == [
        (1, 0.001, 2),
        (4, 0.001, 2),
    ]
    assert results.quality.grade == "good"
    flipped = {flip.file for m in results.measurements for flip in m.drift.flips}
    assert set(results.evaluation.thumbnails) == flipped
    shown = next(entry for entry in answer["variants"] if entry["name"] == "int8")
    assert shown["agreement"] == int8.drift.agreement.top1 and shown["latency"][0]["speedup"]["value"] == 2
    assert "Pixel 7" in results_table(results) and "an app is faster" in results_table(results)


@pytest.mark.slow  # seconds
def test_a_phone_compares_the_labels_of_a_multi_label_model(serve, bundle, progress):
    unlabelled = tuple(replace(image, label=None) for image in bundle.manifest.evaluation)
    manifest = replace(bundle.manifest, scores=ScoreKind.SIGMOID, evaluation=unlabelled)
    bundle = bundles.seal(bundle.folder, manifest)
    with serve(bundle) as serving:
        phone = Phone(serving.server)
        assert json.loads(phone.get("/bundle.json").data)["multi_label"] is True
        run = phone.begin()
        phone.score_all(run)
        answer = json.loads(phone.post(f"/runs/{run}/finish", json.dumps(report(NAMES)).encode()).data)
    ((_, results),) = serving.finished
    assert {m.name: m.drift for m in results.measurements} == drift.measure_drift(bundle, bundle.variants(), progress)
    for measured, shown in zip(results.measurements, answer["variants"], strict=True):
        assert measured.drift.agreement is None
        assert (shown["agreement"], shown["accuracy"]) == (measured.drift.label_agreement.images.value, None)


@pytest.mark.slow
def test_a_phone_is_one_more_device_for_compare(phone, bundle, progress):
    run = phone.begin()
    phone.score_all(run)
    answer = json.loads(phone.post(f"/runs/{run}/finish", json.dumps(report(NAMES)).encode()).data)
    some = bundle.variants(("float32", "int8"))
    subject = Subject.from_bundle(bundle, some, keras=False)
    here = benchmark.run(subject, BenchmarkOptions(threads=[1], rounds=5, seconds=0.001), progress)
    # What another machine's noise would refuse is not this test's subject.
    here = replace(here, quality=replace(here.quality, grade=Grade.FAIR))
    (bundle.folder / "here.json").write_bytes(records.to_json(here))
    compared = comparison.compare(loading.load([bundle.folder / "here.json", bundle.folder / answer["file"]]))
    assert compared.same == "bundle" and compared.threads == (1,)
    assert {row.variant for row in compared.rows} == {"float32", "int8"}
    assert all(row.agreement_change.value == 0 for row in compared.rows)


@pytest.mark.slow  # seconds
def test_what_the_browser_does_to_latencies_lowers_the_grade(phone, bundle):
    run = phone.begin()
    phone.score_all(run)
    body = report(NAMES, isolated=False)
    body["condition"] = {"hidden": True, "battery": True, "resolution": 1e-4}
    body["measurements"]["int8"]["latency"][0]["per_sample"] = 7
    answer = json.loads(phone.post(f"/runs/{run}/finish", json.dumps(body).encode()).data)
    assert answer["grade"] == "poor"
    assert "the page was in the background" in answer["reasons"][0]
    assert any("the machine ran on battery" in reason for reason in answer["reasons"])
    assert any("steps of 100 us" in reason for reason in answer["reasons"])
    results = records.from_json(Results, (bundle.folder / answer["file"]).read_bytes(), "here")
    assert any("the page was not isolated" in note.lower() for note in results.run.notes)
    assert any("mean of up to 7 inferences" in note for note in results.run.notes)


def test_scores_come_in_order_whole_and_may_come_twice(phone, bundle):
    run = phone.begin()
    size = 4 * 4 * 4  # images, classes, bytes of a float32
    path = f"/runs/{run}/scores/float32"
    assert phone.error(phone.post(f"{path}/1", bytes(size))) == (400, "expected chunk 0 of float32, got 1")
    assert phone.error(phone.post(f"{path}/0", bytes(size - 4))) == (
        400,
        f"expected {size} bytes of scores, got {size - 4}",
    )
    first = json.loads(phone.post(f"{path}/0", bytes(size)).data)
    assert json.loads(phone.post(f"{path}/0", bytes(size)).data) == first == {**first, "images": 4}
    assert phone.error(phone.post(f"{path}/11", b"")) == (
        400,
        "expected a variant and a chunk of the bundle, got 'float32' and 11",
    )
    assert phone.error(phone.post(f"/runs/{run}/scores/int4/0", b""))[1].endswith("got 'int4' and 0")
    status, line = phone.error(phone.post(f"{path}/1", b"\xff" * size))  # NaN
    assert status == 400 and re.match(r"float32: the score of class 0 \(ant\) is NaN for evaluation/", line)
    assert phone.error(phone.post(f"/runs/{run}/finish", json.dumps(report(NAMES)).encode())) == (
        400,
        "expected 11 chunks of float32, got 1",
    )
    assert not (bundle.folder / "results").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.pop("phone"),
        lambda r: r["phone"].update(cores="8"),
        lambda r: r["phone"].update(cores=True),
        lambda r: r["phone"].update(model={"a": 1}),
        lambda r: r["phone"].update(memory_bytes=-1),
        lambda r: r["measurements"].pop("int8"),
        lambda r: r["measurements"]["int8"].update(load=float("nan")),
        lambda r: r["measurements"]["int8"].update(load=-1),
        lambda r: r["measurements"]["int8"].update(latency=[]),
        lambda r: r["measurements"]["int8"]["latency"].pop(),
        lambda r: r["measurements"]["int8"]["latency"][0].update(rounds=[]),
        lambda r: r["measurements"]["int8"]["latency"][0].update(rounds=[[1.0], [1.0, 2.0]]),
        lambda r: r["measurements"]["int8"]["latency"][0].update(rounds=[[0.1]] * 5),
        lambda r: r["measurements"]["int8"]["latency"][0].update(rounds=[[1e9] * 5] * 6),
        lambda r: r["condition"].update(resolution="fast"),
    ],
)
def test_a_report_of_another_form_is_refused_in_one_line(phone, bundle, change):
    run, body = phone.begin(), report(NAMES)
    change(body)
    status, line = phone.error(phone.post(f"/runs/{run}/finish", json.dumps(body).encode()))
    assert status == 400 and line.startswith("malformed report from the phone (") and "\n" not in line
    assert not (bundle.folder / "results").exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"phone": NaN}'])
def test_malformed_json_is_refused(phone, bundle, body):
    status, line = phone.error(phone.post(f"/runs/{phone.begin()}/finish", body))
    assert status == 400 and line.startswith("malformed report from the phone (")
    assert not (bundle.folder / "results").exists()


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/page/../../../../etc/passwd",
        "/page/%2e%2e/%2e%2e/server.py",
        "/page/../server.py",
        "/models/../manifest.json",
        "/models/..%2fmanifest.json",
        "/models/int8.tflite/../../reference.npz",
        "/litert/wasm/../../package.json",
        "//etc/passwd",
        "/reference.npz",
        "/manifest.json",
        "/page/index.html%00.js",
        "/images/-1",
        "/runs",
    ],
)
def test_nothing_else_can_be_read(phone, path):
    assert phone.error(phone.get(path)) == (404, "there is no such page")


def test_images_are_those_of_the_bundle(phone, bundle):
    paths = [bundle.file(image.file) for image in bundle.manifest.evaluation]
    expected = np.stack(list(preprocess.load_all(paths, bundle.manifest.preprocessing)))
    # 43 images, 4 at a time.
    received = b"".join(phone.get(f"/images/{number}").data for number in range(11))
    np.testing.assert_array_equal(np.frombuffer(received, "<f4").reshape(expected.shape), expected)
    assert phone.error(phone.get("/images/11")) == (400, "expected a chunk below 11, got 11")


def test_pixels_of_integers_take_a_byte_each(serve, bundle):
    recipe = bundle.manifest.preprocessing
    recipe = replace(recipe, resize=replace(recipe.resize, rounded=True))
    bundle = bundles.seal(bundle.folder, replace(bundle.manifest, preprocessing=recipe))
    with serve(bundle) as serving:
        phone = Phone(serving.server)
        assert json.loads(phone.get("/bundle.json").data)["pixels"] == "uint8"
        assert len(phone.get("/images/2").data) == 11 * 32 * 32 * 3  # 43 images: 16, 16 and 11
        assert phone.error(phone.get("/images/3")) == (400, "expected a chunk below 3, got 3")


def test_a_gigabyte_is_refused_before_it_is_read(served):
    for path, most in (("/runs", 1_000), (f"/runs/{Phone(served.server).begin()}/finish", MAX_REPORT_BYTES)):
        with socket.create_connection(served.server.server_address[:2], timeout=20) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {1 << 30}\r\n\r\n".encode() + bytes(100)
            )
            answer = connection.makefile("rb").read()  # to its end: the server hangs up
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert f"expected at most {most:,} bytes, got 1,073,741,824".encode() in answer


@pytest.mark.parametrize("headers", ["", "Content-Length: -5\r\n", "Transfer-Encoding: chunked\r\n"])
def test_a_body_of_unknown_size_is_refused(served, headers):
    with socket.create_connection(served.server.server_address[:2], timeout=20) as connection:
        connection.sendall(f"POST /runs HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        assert connection.makefile("rb").read().startswith(b"HTTP/1.1 411 ")


def test_a_client_that_vanishes_leaves_nothing(served, phone, bundle):
    run = phone.begin()
    phone.score_all(run)
    body = json.dumps(report(NAMES)).encode()
    for sent in (b"", b"POST /ru", f"POST /runs/{run}/finish HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()):
        with socket.create_connection(served.server.server_address[:2], timeout=20) as connection:
            connection.sendall(sent)
    with socket.create_connection(served.server.server_address[:2], timeout=20) as connection:
        head = f"POST /runs/{run}/finish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[: len(body) // 2])
    # Another one is served as before, and the run can still be finished.
    assert phone.get("/").status == 200
    assert not (bundle.folder / "results").exists()
    assert phone.post(f"/runs/{run}/finish", body).status == 200
    assert [path.suffix for path in (bundle.folder / "results").iterdir()] == [".json"]


def test_200_connections_at_once_are_served(served):
    connections = [HTTPConnection(*served.server.server_address[:2], timeout=30) for _ in range(200)]
    found, started = [], threading.Barrier(len(connections))

    def ask(connection: HTTPConnection) -> None:
        connection.connect()
        started.wait()  # all are open before the first asks
        connection.request("GET", "/bundle.json")
        found.append(connection.getresponse().status)

    threads = [threading.Thread(target=ask, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 200


def test_too_many_runs_are_refused_until_old_ones_are_forgotten(served, phone, monkeypatch):
    runs = [phone.begin() for _ in range(MAX_RUNS)]
    answer = phone.post("/runs")
    assert phone.error(answer) == (503, f"{MAX_RUNS} phones are connected already; try again in a minute")
    later = time.monotonic() + MAX_IDLE_SECONDS + 1
    monkeypatch.setattr("edgenet.phone.service.time.monotonic", lambda: later)
    assert phone.begin()
    assert phone.error(phone.post(f"/runs/{runs[0]}/finish"))[1].startswith("this run does not exist or has expired")


def test_other_methods_are_refused_in_the_same_form(phone):
    assert phone.error(phone.request("PUT", "/runs", b"{}")) == (501, "Unsupported method ('PUT')")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "", "127.0.0.1.evil.example", "[::1", "1.2.3.4@evil.example"]
)
def test_a_name_that_points_here_is_refused(phone, host):
    answer = phone.get("/bundle.json", Host=host)
    assert phone.error(answer) == (421, "open this page by the address in the terminal")


def test_a_page_of_another_origin_is_refused(phone):
    assert phone.error(phone.post("/runs", Origin="https://evil.example")) == (
        403,
        "requests from other pages are not allowed",
    )
    server = phone.get("/bundle.json", Host="localhost:9999", Origin="http://localhost:9999")
    assert server.status == 200  # a port that was forwarded, as by adb


def test_pages_are_isolated_and_may_load_nothing_from_elsewhere(phone):
    answer = phone.get("/")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert b'from "./wasm-utils.js"' in phone.get("/litert/core.js").data


class TestToken:
    REFUSED = 403, "this link was already used or is wrong; scan the code that the terminal shows now"

    @pytest.fixture
    def served(self, serve, bundle):
        with serve(bundle, requires_token=True) as serving:
            yield serving

    def test_without_one_only_the_page_itself_is_shown(self, phone):
        assert phone.get("/").status == 200
        for path in ("/bundle.json", "/models/int8.tflite", "/images/0", "/litert/core.js", "/nothing"):
            assert phone.error(phone.get(path)) == self.REFUSED
        for path in ("/runs", "/runs/x/finish", "/runs/x/scores/int8/0"):
            assert phone.error(phone.post(path)) == self.REFUSED

    def test_it_works_once(self, served, phone):
        token = served.tokens[-1]
        answer = phone.post("/session", json.dumps({"token": token}).encode())
        assert answer.status == 200
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert phone.error(phone.get("/bundle.json")) == self.REFUSED  # no cookie yet
        phone.cookie = cookie.split(";")[0]
        assert phone.get("/bundle.json").status == 200
        assert phone.begin()
        other = Phone(served.server)
        assert other.error(other.post("/session", json.dumps({"token": token}).encode())) == self.REFUSED
        assert len(served.tokens) == 2 and served.tokens[1] != token
        assert other.post("/session", json.dumps({"token": served.tokens[1]}).encode()).status == 200

    @pytest.mark.parametrize(
        "body", [b"{}", b"", b"[]", b'{"token": 1}', b'{"token": ""}', '{"token": "ü"}'.encode(), b"[" * 900]
    )
    def test_a_wrong_one_is_refused(self, served, phone, body):
        assert phone.error(phone.post("/session", body)) == self.REFUSED
        assert len(served.tokens) == 1

    @pytest.mark.parametrize("cookie", ["edgenet=", "edgenet=wrong", "other=1", "edgenet", "\xff=;;;"])
    def test_a_wrong_cookie_is_refused(self, phone, cookie):
        phone.cookie = cookie
        assert phone.error(phone.get("/bundle.json")) == self.REFUSED


def test_https_with_its_own_certificate(serve, bundle):
    pytest.importorskip("cryptography")
    tls, fingerprint = certificate.make_context("127.0.0.1")
    with serve(bundle, requires_token=True, tls=tls) as serving:
        address = serving.server.server_address[:2]
        with socket.create_connection(address, timeout=20):  # one that never shakes hands keeps nobody waiting
            trusting = ssl.create_default_context()
            trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
            with trusting.wrap_socket(socket.create_connection(address, timeout=20)) as connection:
                shown = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
                connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                assert connection.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")
        # A browser that is told to trust it finds the right name in it.
        careful = ssl.create_default_context(cadata=shown)
        with careful.wrap_socket(socket.create_connection(address, timeout=20), server_hostname="127.0.0.1"):
            pass
        with socket.create_connection(address, timeout=20) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            try:
                answer = plain.recv(100)
            except ConnectionResetError:
                answer = b""
            assert not answer.startswith(b"HTTP")
    assert len(fingerprint.split(":")) == 32


def test_a_port_in_use_is_an_error(served):
    port = served.server.server_port
    with pytest.raises(EdgenetError, match=rf"^port: port {port} at 127\.0\.0\.1 is not available \(.*\); "):
        Server("127.0.0.1", port, served.server.service)

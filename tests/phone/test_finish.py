"""Runs are finished once, whatever becomes of the response: results are written once, and never lost."""

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from phones import Phone, report

from edgenet import records
from edgenet.bundle import results_files
from edgenet.errors import EdgenetError
from edgenet.phone.service import MAX_RESPONSES, MAX_RUNS
from edgenet.records import Results

pytestmark = pytest.mark.slow  # whole runs of phones

NAMES = ("float32", "float16", "dynamic", "int8")
BODY = json.dumps(report(NAMES)).encode()


def scored(phone: Phone) -> str:
    """A new run with all its scores."""
    run = phone.begin()
    phone.score_all(run)
    return run


def results_in(bundle) -> list[Path]:
    return sorted((bundle.folder / "results").glob("*.json"))


class FullDisk:
    """Refuses to write results until `free` is set."""

    def __init__(self, monkeypatch):
        self.free, self.write = False, results_files.write
        monkeypatch.setattr("edgenet.bundle.results_files.write", self)

    def __call__(self, folder, data):
        if not self.free:
            raise EdgenetError("results: no space left on device")
        return self.write(folder, data)


def test_a_run_that_is_finished_again_gets_the_same_response(served, phone, bundle):
    run = scored(phone)
    responses = [phone.post(f"/runs/{run}/finish", BODY) for _ in range(3)]
    assert [response.status for response in responses] == [200] * 3
    assert len({response.data for response in responses}) == 1
    assert [path.name for path in results_in(bundle)] == [Path(json.loads(responses[0].data)["file"]).name]
    assert len(served.finished) == 1


def test_an_response_that_was_lost_can_be_asked_for_again(served, phone, bundle):
    run = scored(phone)
    head = f"POST /runs/{run}/finish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(BODY)}\r\n\r\n"
    with socket.create_connection(served.server.server_address[:2], timeout=20) as connection:
        connection.sendall(head.encode() + BODY)  # and gone, before the response comes
    response = phone.post(f"/runs/{run}/finish", BODY)
    assert response.status == 200
    assert len(results_in(bundle)) == len(served.finished) == 1


def test_finished_twice_at_the_same_time_it_is_written_once(served, phone, bundle, monkeypatch):
    write, both = results_files.write, threading.Barrier(2, timeout=2)

    def slow(folder, data):
        with suppress(threading.BrokenBarrierError):
            both.wait()  # if a second one comes here, too, both go on and write
        return write(folder, data)

    monkeypatch.setattr("edgenet.bundle.results_files.write", slow)
    run, responses = scored(phone), []

    def finish():
        responses.append(Phone(served.server).post(f"/runs/{run}/finish", BODY))

    threads = [threading.Thread(target=finish) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [response.status for response in responses] == [200, 200]
    assert responses[0].data == responses[1].data
    assert len(results_in(bundle)) == 1


def test_a_refused_report_may_be_followed_by_a_right_one(phone, bundle):
    run = scored(phone)
    assert phone.post(f"/runs/{run}/finish", b"{}").status == 400
    assert phone.post(f"/runs/{run}/finish", BODY).status == 200
    assert len(results_in(bundle)) == 1


def test_as_many_responses_are_remembered_as_there_is_room_for(served, phone, monkeypatch):
    monkeypatch.setattr("edgenet.phone.service.MAX_RESPONSES", 2)
    assert MAX_RESPONSES >= MAX_RUNS
    runs = [scored(phone) for _ in range(3)]
    for run in runs:
        assert phone.post(f"/runs/{run}/finish", BODY).status == 200
    again = [phone.post(f"/runs/{run}/finish", BODY).status for run in runs]
    assert again == [400, 200, 200]


class TestFullDisk:
    KEPT = "the laptop could not write the results and keeps them in memory; see its terminal"

    @pytest.fixture
    def disk(self, monkeypatch):
        return FullDisk(monkeypatch)

    def test_it_is_told_and_the_run_can_be_finished_again(self, serve, bundle, disk):
        with serve(bundle, faults=1) as served:
            phone = Phone(served.server)
            run = scored(phone)
            assert phone.error(phone.post(f"/runs/{run}/finish", BODY)) == (507, self.KEPT)
            assert "Pixel 7, Chrome 140 could not be written: results: no space left on device" in served.logged[0]
            disk.free = True
            response = phone.reconnect().post(f"/runs/{run}/finish", BODY)
            assert response.status == 200
            ((path, results),) = served.finished
        assert results_in(bundle) == [path]
        assert records.from_json(Results, path.read_bytes(), "here") == results

    def test_results_are_kept_while_others_come_and_go(self, serve, bundle, disk, monkeypatch):
        with serve(bundle, faults=1) as served:
            phone = Phone(served.server)
            run = scored(phone)
            assert phone.post(f"/runs/{run}/finish", BODY).status == 507
            later = 1e9
            monkeypatch.setattr("edgenet.phone.service.time.monotonic", lambda: later)
            phone = phone.reconnect()
            for _ in range(MAX_RUNS + 1):
                later += 1e6  # all runs before are forgotten
                assert phone.post("/runs").status == 200
            disk.free = True
            assert phone.post(f"/runs/{run}/finish", BODY).status == 200
        assert len(results_in(bundle)) == 1

    def test_the_memory_for_them_is_bounded(self, serve, bundle, disk, monkeypatch):
        monkeypatch.setattr("edgenet.phone.service.MAX_RUNS", 2)
        with serve(bundle, faults=2) as served:
            for _ in range(2):
                phone = Phone(served.server)
                assert phone.post(f"/runs/{scored(phone)}/finish", BODY).status == 507
            status, line = phone.error(phone.reconnect().post("/runs"))
            assert (status, line) == (507, "2 results are waiting for disk space on the laptop; see its terminal")
            disk.free = True
        assert len(results_in(bundle)) == 2

    def test_they_are_written_at_the_end(self, serve, bundle, disk):
        with serve(bundle, faults=1) as served:
            phone = Phone(served.server)
            assert phone.post(f"/runs/{scored(phone)}/finish", BODY).status == 507
            assert served.finished == []
            disk.free = True
        ((path, results),) = served.finished
        assert results_in(bundle) == [path]
        assert records.from_json(Results, path.read_bytes(), "here") == results

    def test_they_are_written_to_another_place_at_the_end(self, serve, bundle, disk, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        with serve(bundle, faults=1) as served:
            phone = Phone(served.server)
            assert phone.post(f"/runs/{scored(phone)}/finish", BODY).status == 507
        ((path, results),) = served.finished
        assert path.is_relative_to(tmp_path / "cache") and results_in(bundle) == []
        assert records.from_json(Results, path.read_bytes(), "here") == results


def test_a_terminal_that_is_gone_costs_no_response(serve, bundle, monkeypatch):
    with serve(bundle) as served:
        monkeypatch.setattr(served.server.service, "_on_results", lambda *_: (_ for _ in ()).throw(BrokenPipeError()))
        phone = Phone(served.server)
        assert phone.post(f"/runs/{scored(phone)}/finish", BODY).status == 200
    assert len(results_in(bundle)) == 1

"""How the page handles lost responses: run by Node.js, with simulated responses."""

import json
import shutil
import subprocess

import pytest

from edgenet.phone.files import PAGE

NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")

# Responses, one for each fetch: a status, "lost" for none, or "cut" for one that ends early. Pauses take no time, but
# are recorded.
SCRIPT = """
const [server, call, answers] = process.argv.slice(1);
const left = JSON.parse(answers), asked = [], pauses = [];
globalThis.setTimeout = (proceed, pause) => { pauses.push(pause); proceed(); };
globalThis.fetch = async (path, { method, body } = {}) => {
  asked.push([method ?? "GET", path, body ?? null]);
  const answer = left.shift();
  if (answer === "lost") throw new TypeError("Failed to fetch");
  const text = JSON.stringify(answer === 200 || answer === "cut" ? { file: "a.json" } : { error: `no: ${answer}` });
  const response = new Response(text, { status: answer === "cut" ? 200 : answer });
  if (answer === "cut") response.arrayBuffer = async () => { throw new TypeError("network error"); };
  return response;
};
const page = await import(server);
const calls = {
  finish: () => page.send("/runs/a/finish", { phone: 1 }),
  scores: () => page.sendBytes("/runs/a/scores/int8/0", "bytes"),
  images: () => page.fetchBytes("/images/0"),
  session: () => page.sendOnce("/session", { token: "t" }),
};
let outcome;
try { outcome = [true, await calls[call]()]; } catch (error) { outcome = [false, error.message]; }
console.log(JSON.stringify({ outcome, asked, pauses }));
"""


def ask(call: str, *answers) -> dict:
    """What `call` gives, all that was asked for, and the pauses in between in milliseconds."""
    command = [
        NODE,
        "--input-type=module",
        "-e",
        SCRIPT,
        "--",
        (PAGE / "server.js").as_uri(),
        call,
        json.dumps(answers),
    ]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("first", ["lost", "cut", 500, 503, 507])
def test_a_report_is_sent_again_as_it_was(first):
    done = ask("finish", first, first, 200)
    assert done["outcome"] == [True, {"file": "a.json"}]
    assert done["asked"] == [["POST", "/runs/a/finish", '{"phone":1}']] * 3
    assert len(done["pauses"]) == 2 and done["pauses"] == sorted(done["pauses"])


@pytest.mark.parametrize("call", ["scores", "images"])
def test_so_are_scores_and_what_is_fetched(call):
    assert ask(call, "lost", 200)["outcome"][0]


@pytest.mark.parametrize("status", [400, 403, 404, 413])
def test_what_is_refused_is_not_sent_again(status):
    done = ask("finish", status, 200)
    assert not done["outcome"][0] and len(done["asked"]) == 1 and done["pauses"] == []


def test_a_link_that_works_once_is_not_used_twice():
    done = ask("session", "lost", 200)
    assert not done["outcome"][0] and len(done["asked"]) == 1


@pytest.mark.parametrize(
    ("last", "sentence"), [("lost", "The laptop does not respond. Is `edgenet serve`"), (507, "no: 507")]
)
def test_it_ends_in_a_sentence(last, sentence):
    done = ask("finish", *[last] * 20)
    assert done["outcome"][0] is False and done["outcome"][1].startswith(sentence)
    assert 3 <= len(done["asked"]) <= 6

"""ocfl-py, which other people wrote, judges the same broken and good objects; every disagreement has a reason.

It runs from its own environment, `.venv-peers`, in one process for all objects; without that the test is skipped.
"""

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repository.ocfl.validation import is_valid, validate_object
from tests.unit.ocfl import test_validate_object_history as history
from tests.unit.ocfl import test_validate_object_inventory as inventory
from tests.unit.ocfl import test_validate_object_structure as structure

if TYPE_CHECKING:
    from tests.doubles.ocfl_cases import Case

PEER = Path(__file__).parents[3] / ".venv-peers" / "bin" / "python"

ASK = """
import contextlib, io, json, sys
from ocfl.validator import Validator
answers = {}
for path in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            answers[path] = Validator().validate_object(path)
        except Exception as error:
            answers[path] = type(error).__name__
print(json.dumps(answers))
"""

WE_ARE_STRICTER = {
    "E007_declaration_without_newline": "section 3.2 asks for the newline",
    "E023_old_manifest_lacks_a_second_path": "section 3.3.1 asks for every file in that version's own manifest",
    "E033_repeated_key": "what a repeated key means is undefined in RFC 8259",
    "E033_repeated_version": "the same",
    "E033_repeated_key_in_version": "the same",
    "E033_repeated_key_in_user": "the same",
    "E033_fixity_repeated_algorithm": "the same",
    "E050_state_repeated_digest": "the same",
    "E096_manifest_repeated_digest": "the same, and section 3.5.2 forbids it",
    "E097_fixity_repeated_digest": "the same, and section 3.5.4 forbids it",
    "E038_type_of_other_release": "section 3.5.1: the type must match the declaration",
    "E049_created_9": "RFC 3339 allows ASCII digits only",
    "E051_path_with_null": "no file system can hold such a name",
    "E102_unknown_key": "section 3.5 allows no other keys",
    "E102_unknown_key_in_version": "the same",
    "E102_unknown_key_in_user": "the same",
}
WE_ARE_LENIENT = {
    "all_fixity_digests": "extension 0009 has sha512/256 and size, which ocfl-py 2.1 does not know",
    "created_in_a_leap_second": "RFC 3339 section 5.6 allows second 60",
    "sidecar_with_tabs_and_upper_case": "section 3.6 allows tabs, section 3.4 upper case",
}
IT_CANNOT_TELL = {
    "E089_pipe_in_content": "it would wait for the pipe for ever",
    "E034_inventory_is_a_directory": "it ends in an exception",
    "E033_inventory_bad_json_4": "the same",
    "E033_inventory_bad_json_8": "the same",
    "E033_inventory_bad_json_9": "the same",
    "E041_no_manifest": "the same",
    "E098_path_is_a_number": "the same",
    "E051_path_is_a_number": "the same",
}


@pytest.mark.skipif(not PEER.exists(), reason="ocfl-py is not installed in .venv-peers")
def test_ocfl_py_agrees_but_for_the_reasons_given(tmp_path: Path) -> None:
    ours: dict[str, tuple[Case, bool]] = {}
    for table in (structure.TABLE, inventory.TABLE, history.TABLE):
        for each in table.cases:
            for spec in each.specs if each.name not in IT_CANNOT_TELL else ():
                root = tmp_path / str(len(ours)) / "object"
                root.parent.mkdir()
                each.build(root, spec)
                ours[str(root)] = (each, is_valid(validate_object(root)))
    answer = subprocess.run(
        [PEER, "-c", ASK], input=json.dumps(list(ours)), capture_output=True, text=True, check=True
    )
    theirs = json.loads(answer.stdout)
    stricter = {each.name for path, (each, valid) in ours.items() if not valid and theirs[path] is True}
    lenient = {each.name for path, (each, valid) in ours.items() if valid and theirs[path] is False}
    no_answer = {each.name for path, (each, _) in ours.items() if not isinstance(theirs[path], bool)}
    assert (stricter, lenient, no_answer) == (set(WE_ARE_STRICTER), set(WE_ARE_LENIENT), set())
    assert len(ours) > 450

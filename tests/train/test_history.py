import pytest

from edgeproof.runtime import DataError
from edgeproof.train import history
from edgeproof.train.history import Epoch

EPOCHS = (
    Epoch(1, "head", 1.5, 0.25, "test", 1.25, 0.3, 1e-3, 2.5),
    Epoch(2, "finetune", 0.1 + 0.2, 1 / 3, "test", 1e-9, 1.0),
)
HEADER = b"epoch,phase,loss,top1,watched,watched_loss,watched_top1,learning_rate,seconds\n"


def test_what_is_written_is_read_again_to_the_last_digit(tmp_path):
    history.write(tmp_path / "history.csv", EPOCHS)
    assert history.read(tmp_path / "history.csv") == EPOCHS


def test_the_file_is_a_table_with_a_header(tmp_path):
    history.write(tmp_path / "history.csv", EPOCHS)
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0] == HEADER.decode().strip()
    assert lines[1] == "1,head,1.5,0.25,test,1.25,0.3,0.001,2.5"


def test_a_history_without_epochs_is_empty(tmp_path):
    history.write(tmp_path / "history.csv", ())
    assert history.read(tmp_path / "history.csv") == ()


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,phase\n1,head\n",
        HEADER + b"one,head,1,1,test,1,1,1,1\n",
        HEADER + b"1,head,1,1\n",
        HEADER + b"\xff\xfe",
    ],
)
def test_a_damaged_history_is_refused(content, tmp_path):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"history\.csv: the history cannot be read .*Start afresh with --overwrite"):
        history.read(tmp_path / "history.csv")


def test_a_missing_history_is_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        history.read(tmp_path / "history.csv")

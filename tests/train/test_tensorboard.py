import logging

import tensorflow as tf

from edgeproof.train.history import Epoch
from edgeproof.train.tensorboard import Logs

EPOCHS = [
    Epoch(1, "head", 2.0, 0.25, "validation", 1.5, 0.5, 1e-3, 1.0),
    Epoch(2, "finetune", 1.0, 0.5, "validation", 0.75, 0.625, 1e-4, 1.0),
    Epoch(3, "finetune", 0.5, 0.75, "validation", 0.5, 0.75, 5e-5, 1.0),
]


def scalars(folder):
    """What the event files in a folder hold, in their order: (tag, step, value)."""
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.append((value.tag, event.step, round(float(tf.make_ndarray(value.tensor)), 6)))
    return found


def test_an_epoch_is_there_as_soon_as_it_is_added(tmp_path):
    logs = Logs(tmp_path / "logs", [])
    logs.add(EPOCHS[0])
    assert scalars(tmp_path / "logs" / "training") == [
        ("head/loss", 1, 2.0),
        ("head/top1", 1, 0.25),
        ("head/learning_rate", 1, 0.001),
    ]
    assert scalars(tmp_path / "logs" / "validation") == [("head/loss", 1, 1.5), ("head/top1", 1, 0.5)]
    logs.close()


def test_after_a_resume_every_epoch_stands_there_once_and_in_order(tmp_path):
    first = Logs(tmp_path / "logs", [])
    for epoch in EPOCHS[:2]:
        first.add(epoch)  # and killed: never closed
    resumed = Logs(tmp_path / "logs", EPOCHS[:1])
    for epoch in EPOCHS[1:]:
        resumed.add(epoch)
    resumed.close()
    found = [(tag, step) for tag, step, _ in scalars(tmp_path / "logs" / "validation")]
    assert found == [
        *(("head/loss", 1), ("head/top1", 1)),
        *((f"finetune/{name}", step) for step in (2, 3) for name in ("loss", "top1")),
    ]


def test_a_place_that_cannot_be_written_costs_the_logs_alone(tmp_path, caplog):
    (tmp_path / "logs").write_text("a file")
    with caplog.at_level(logging.WARNING, "edgeproof"):
        Logs(tmp_path / "logs", EPOCHS[:1]).close()
    assert "the logs for TensorBoard cannot be written" in caplog.text

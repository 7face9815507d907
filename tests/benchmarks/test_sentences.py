import msgspec

from edgeproof.benchmarks import sentences
from edgeproof.benchmarks.blocks import Measurement


def test_the_first_sentence_names_data_machine_and_threads(make_report):
    assert sentences.summary(make_report())[0] == (
        "2 files were measured with pictures of colours on Example CPU, with 1 thread and 2 threads."
    )


def test_the_second_sentence_names_the_fastest_and_the_slowest(make_report):
    fast = sentences.summary(make_report())[1]
    assert "tiny-int8.tflite is the fastest, with a median of 0.500 ms a picture on 2 threads" in fast
    assert "tiny-float32.tflite on 1 thread, with 4.00 ms" in fast


def test_the_third_sentence_says_that_intervals_overlap_when_they_do(make_report):
    few, many = (sentences.summary(make_report(classes=classes))[2] for classes in (1, 40))
    assert "overlaps with it" in few
    assert many.startswith("tiny-float32.tflite is right on 90.0 %")
    assert "no other file's interval reaches that" in many


def test_without_pictures_no_accuracy_is_claimed(make_report):
    told = sentences.summary(make_report(judged=False))
    assert "synthetic pictures" in told[0]
    assert told[2] == "Accuracy was not measured, because no labelled pictures were given."


def test_one_file_is_not_compared_with_others(make_report):
    report = make_report()
    file = report.files[0]
    alone = msgspec.structs.replace(report, files=(msgspec.structs.replace(file, measurements=file.measurements[:1]),))
    told = " ".join(sentences.summary(alone))
    assert "1 file was measured" in told
    assert "fastest" not in told
    assert "interval)." in told


def test_what_is_not_stable_is_said_with_a_remedy_and_what_is_stable_is_not(make_report, make_block):
    report = make_report()
    assert sentences.warnings(report) == ()
    file = report.files[0]
    noisy = Measurement(threads=1, blocks=(make_block(1.0), make_block(2.0)))
    changed = msgspec.structs.replace(report, files=(msgspec.structs.replace(file, measurements=(noisy,)),))
    (told,) = sentences.warnings(changed)
    assert told.startswith("Not stable: tiny-float32.tflite with 1 thread: the machine's speed changed")
    assert told.endswith("measure again.")


def test_golden_examples_are_named_as_such(make_report):
    told = sentences.summary(make_report(judged=False, synthetic_pictures=False, pictures="golden"))
    assert "measured with golden examples on" in told[0]


def test_blocks_of_a_run_that_was_cut_short_are_told(make_report):
    assert sentences.warnings(make_report(resumed_blocks=3)) == ("3 blocks were measured by a run that was cut short.",)
